//! The kinds of sentences, and how often each is said.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::lexicon::adjectives::Adjective;
use super::lexicon::classes::*;
use super::lexicon::nouns::Noun;
use super::lexicon::phrases::RELATIONS;
use super::lexicon::verbs::Frame;
use super::sample::{Sampler, describes, simple, verb};
use super::syntax::*;

impl<R: Rng> Sampler<'_, R> {
    /// Any sentence.
    pub(super) fn sentence(&mut self) -> Option<Sentence> {
        let kinds = [
            80, 7, 4, 4, 4, 1, 1, 4, 3, 3, 2, 9, 6, 7, 5, 4, 4, 3, 2, 2, 1, 4, 3,
        ];
        Some(match self.weighted(&kinds) {
            0 => Sentence::Statement(self.activity()?),
            1 => Sentence::Statement(self.state()?),
            2 => Sentence::Statement(self.comparison()?),
            3 => Sentence::Statement(self.location()?),
            4 => Sentence::Statement(self.whereabouts()?),
            5 => Sentence::Statement(self.job()?),
            6 => Sentence::Statement(self.age()?),
            7 => Sentence::Statement(self.liking()?),
            8 => Sentence::Statement(self.pastime()?),
            9 => Sentence::Statement(self.playing()?),
            10 => Sentence::Statement(self.cost()?),
            11 => self.because()?,
            12 => self.condition()?,
            13 => self.reported()?,
            14 => self.purpose()?,
            15 => self.who()?,
            16 => self.there()?,
            17 => {
                let part = self.noun(|noun| noun.is(BODY))?;
                let whose = match self.weighted(&[2, 4, 3]) {
                    0 => Np::Pronoun(Pronoun::I),
                    1 => self.relative()?,
                    _ => Np::Name(self.name(|_| true)?),
                };
                Sentence::Hurts(whose, part, part.is(PAIR) && self.chance(0.5))
            }
            18 => {
                let noun = self.noun(|noun| noun.is(THING | PLACE | LUGGAGE))?;
                let plural = noun.is(THING) && self.chance(0.2);
                Sentence::WhereIs(self.known(noun, plural))
            }
            19 => {
                let noun = self.noun(|noun| noun.is(GOODS | CLOTHES | PRODUCE | GIFT))?;
                let determiner = if self.chance(0.7) {
                    Determiner::The
                } else {
                    Determiner::This
                };
                let plural = noun.is(PRODUCE) && !noun.is(MASS);
                let adjective = self.quality(noun, 0.3);
                Sentence::HowMuch(Np::Noun(NounPhrase {
                    noun,
                    determiner,
                    adjective,
                    plural,
                }))
            }
            20 => {
                let noun = self.noun(|noun| noun.is(LINE))?;
                let verb = verb(if self.chance(0.5) { "leave" } else { "arrive" })?;
                Sentence::WhatTime(the(noun), verb)
            }
            21 => self.question()?,
            _ => Sentence::Statement(self.weather_report()?),
        })
    }

    pub(super) fn quality(&mut self, noun: &Noun, probability: f64) -> Option<&'static Adjective> {
        if !self.chance(probability) {
            return None;
        }
        self.adjective(|it| describes(it, noun))
    }

    /// `the soup is cold`, `my sister isn't tired`
    pub(super) fn state(&mut self) -> Option<Clause> {
        let adjective = self.adjective(|_| true)?;
        let noun =
            self.noun(|noun| noun.is(adjective.classes & !JOB) && !(noun.is(MASS) && adjective.before))?;
        let subject = if noun.is(FAMILY | PERSON) {
            if self.chance(0.5) {
                self.person()?
            } else {
                self.relative()?
            }
        } else {
            let plural = noun.is(PRODUCE | TABLEWARE | DOOR) && self.chance(0.35);
            self.known(noun, plural)
        };
        if matches!(subject, Np::Noun(phrase) if phrase.adjective.is_some()) {
            return None;
        }
        let passing = adjective.state || adjective.classes & (FILM | TEXT | EVENT) != 0;
        let past = passing && self.chance(0.35);
        let mut clause = simple(
            subject,
            Predicate::Be(adjective),
            if past { Mood::Past } else { Mood::Present },
        );
        clause.negated = self.chance(0.2);
        if past && adjective.state && self.chance(0.7) {
            clause.time = self.time(Mood::Past);
        }
        Some(clause)
    }

    /// `the train is faster than the bus`
    fn comparison(&mut self) -> Option<Clause> {
        let adjective = self.adjective(|it| !it.en_more.is_empty())?;
        if adjective.classes & PERSON != 0 {
            let (a, b) = (self.name(|_| true)?, self.name(|_| true)?);
            return Some(simple(
                Np::Name(a),
                Predicate::BeMore(adjective, Np::Name(b)),
                Mood::Present,
            ));
        }
        // Two things of one kind.
        let kinds = [
            ANIMAL,
            FURNITURE,
            LUGGAGE,
            SIGHT,
            VEHICLE,
            VEHICLE | LINE,
            CLOTHES,
            DEVICE,
            TEXT,
            FILM | TEXT,
            EVENT,
        ];
        let kind = *kinds.choose(self.rng)? & adjective.classes;
        let (a, b) = (self.noun(|noun| noun.is(kind))?, self.noun(|noun| noun.is(kind))?);
        let than = the(b);
        Some(simple(
            self.known(a, false),
            Predicate::BeMore(adjective, than),
            Mood::Present,
        ))
    }

    /// `the key is on the table`
    fn location(&mut self) -> Option<Clause> {
        let thing = self.noun(|noun| noun.is(THING | TABLEWARE | ANIMAL | LUGGAGE))?;
        let relation = RELATIONS.choose(self.rng)?;
        let place = self.noun(|noun| noun.is(relation.classes) && !noun.is(LUGGAGE | TABLEWARE))?;
        let subject = if self.chance(0.2) {
            Np::Genitive(self.name(|_| true)?, thing)
        } else {
            let plural = self.chance(0.2);
            self.known(thing, plural)
        };
        let mut clause = simple(subject, Predicate::BeAt(relation, the(place)), Mood::Present);
        clause.negated = self.chance(0.12);
        Some(clause)
    }

    /// `my father is in the kitchen`
    pub(super) fn whereabouts(&mut self) -> Option<Clause> {
        let noun = self.noun(|noun| noun.at.is_some())?;
        let past = self.chance(0.5);
        let subject = self.person()?;
        let mut clause = simple(
            subject,
            Predicate::BeIn(noun),
            if past { Mood::Past } else { Mood::Present },
        );
        clause.negated = self.chance(0.12);
        if past {
            clause.time = self.time(Mood::Past);
            clause.fronted = !clause.negated && self.chance(0.3);
        }
        Some(clause)
    }

    /// `daniel is an engineer`
    fn job(&mut self) -> Option<Clause> {
        let job = self.noun(|noun| noun.is(JOB))?;
        let subject = if self.chance(0.5) {
            Np::Name(self.name(|name| name.gender == Gender::M)?)
        } else {
            self.relative()?
        };
        let masculine = subject.agreement(|noun| noun.de.0).gender == Gender::M;
        masculine.then(|| simple(subject, Predicate::BeA(job), Mood::Present))
    }

    fn age(&mut self) -> Option<Clause> {
        let subject = if self.chance(0.5) {
            Np::Name(self.name(|_| true)?)
        } else {
            self.relative()?
        };
        Some(simple(
            subject,
            Predicate::BeYearsOld(self.number(5, 40)?),
            Mood::Present,
        ))
    }

    /// `my aunt likes dogs`
    fn liking(&mut self) -> Option<Clause> {
        let subject = self.person()?;
        let noun = self.noun(|noun| noun.is(FOOD | DRINK | ANIMAL | FILM | TEXT | SIGHT | MUSIC))?;
        let thing = if noun.is(FILM | TEXT | SIGHT) {
            self.known(noun, false)
        } else {
            Np::Noun(NounPhrase {
                noun,
                determiner: Determiner::Bare,
                adjective: None,
                plural: !noun.is(MASS),
            })
        };
        let mut clause = simple(subject, Predicate::Like(thing), Mood::Present);
        clause.negated = thing.is_definite() && self.chance(0.3);
        Some(clause)
    }

    /// `david likes to play football`
    fn pastime(&mut self) -> Option<Clause> {
        let names = [
            "eat", "drink", "read", "swim", "sing", "dance", "play", "listen", "travel", "wash",
        ];
        let verb = verb(names.choose(self.rng)?)?;
        let subject = self.person()?;
        let complement = match verb.frame {
            Frame::Object { classes, .. } => {
                let noun = self.noun(|noun| noun.is(classes) && !noun.is(CLOTHES))?;
                if noun.is(VEHICLE) {
                    Complement::Object(the(noun))
                } else {
                    let plural = !noun.is(MASS);
                    let phrase = NounPhrase {
                        noun,
                        determiner: Determiner::Bare,
                        adjective: None,
                        plural,
                    };
                    Complement::Object(Np::Noun(phrase))
                }
            }
            _ => self.complement(verb, &subject)?,
        };
        Some(simple(
            subject,
            Predicate::LikeTo(verb, complement),
            Mood::Present,
        ))
    }

    /// `our neighbor plays the piano every evening`
    fn playing(&mut self) -> Option<Clause> {
        let instrument = self.noun(|noun| noun.is(INSTRUMENT))?;
        let mood = [Mood::Present, Mood::Progressive, Mood::Past, Mood::Want][self.weighted(&[4, 2, 2, 2])];
        let mut clause = simple(self.person()?, Predicate::Play(instrument), mood);
        if self.chance(0.6) {
            clause.time = self.time(mood);
            clause.fronted = matches!(clause.time, Some(Time::Phrase(it)) if it.fronts) && self.chance(0.3);
        }
        Some(clause)
    }

    pub(super) fn cost(&mut self) -> Option<Clause> {
        let noun = self.noun(|noun| noun.is(CLOTHES | GIFT | TABLEWARE | PRODUCE) && !noun.is(MASS))?;
        let determiner = if self.chance(0.6) {
            Determiner::The
        } else {
            Determiner::This
        };
        let plural = noun.is(PRODUCE) && self.chance(0.6);
        let adjective = self.quality(noun, 0.4);
        let subject = Np::Noun(NounPhrase {
            noun,
            determiner,
            adjective,
            plural,
        });
        let dearest = if noun.is(PRODUCE) { 8 } else { 40 };
        Some(simple(
            subject,
            Predicate::Cost(self.number(2, dearest)?),
            Mood::Present,
        ))
    }

    fn weather_report(&mut self) -> Option<Clause> {
        let mood = [Mood::Present, Mood::Progressive, Mood::Past, Mood::Future][self.weighted(&[2, 2, 3, 2])];
        let mut clause = self.weather(mood)?;
        clause.place = if self.chance(0.6) {
            Some(Place::City(self.city()?))
        } else {
            None
        };
        let time = self.time(mood)?;
        // The weather has no weekdays: of the habitual times only the seasons go with it.
        let seasonal = matches!(time, Time::Phrase(it) if it.text.en.starts_with("in the"));
        if mood == Mood::Present && !seasonal {
            return (clause.place.is_some() && matches!(clause.predicate, Predicate::Weather(_)))
                .then_some(clause);
        }
        clause.time = Some(time);
        clause.fronted = matches!(time, Time::Phrase(it) if it.fronts) && self.chance(0.4);
        Some(clause)
    }
}

pub(super) fn the(noun: &'static Noun) -> Np {
    Np::Noun(NounPhrase {
        noun,
        determiner: Determiner::The,
        adjective: None,
        plural: false,
    })
}
