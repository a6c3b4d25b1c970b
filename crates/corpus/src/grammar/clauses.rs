//! Sentences of more than one clause, and questions.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::compose::the;
use super::lexicon::classes::*;
use super::lexicon::nouns::Noun;
use super::lexicon::phrases::{IDIOMS, RELATIONS, WEATHER};
use super::lexicon::verbs::{VERBS, Verb};
use super::sample::{IT, Sampler, pronoun, simple, verb};
use super::syntax::*;

impl<R: Rng> Sampler<'_, R> {
    /// The verb with a chosen object.
    fn act(&mut self, subject: Np, infinitive: &str, mood: Mood) -> Option<Clause> {
        let verb = verb(infinitive)?;
        let complement = self.complement(verb, &subject)?;
        Some(simple(subject, Predicate::Verb(verb, complement), mood))
    }

    /// The verb with a new object of these classes.
    fn with_new(&mut self, subject: Np, infinitive: &str, classes: Classes, mood: Mood) -> Option<Clause> {
        let noun = self.noun(|noun| noun.is(classes))?;
        let determiner = if noun.is(MASS) {
            Determiner::Bare
        } else {
            Determiner::A
        };
        let object = Np::Noun(NounPhrase {
            noun,
            determiner,
            adjective: None,
            plural: false,
        });
        Some(simple(
            subject,
            Predicate::Verb(verb(infinitive)?, Complement::Object(object)),
            mood,
        ))
    }

    /// Something done, and why.
    pub(super) fn because(&mut self) -> Option<Sentence> {
        let subject = self.person()?;
        let again = Np::Pronoun(pronoun(&subject)?);
        let be = |name: &str, mood| -> Option<Clause> {
            let adjective = super::lexicon::adjectives::ADJECTIVES
                .iter()
                .find(|it| it.en == name)?;
            Some(simple(again, Predicate::Be(adjective), mood))
        };
        let (main, reason) = match self.weighted(&[3, 3, 3, 2, 3, 2, 3]) {
            0 => {
                let idiom = IDIOMS.choose(self.rng)?;
                let verbs: &[&str] = if idiom.remedy == FOOD {
                    &["eat", "cook", "order"]
                } else {
                    &["drink", "order"]
                };
                let infinitive = verbs.choose(self.rng)?;
                let mood = if self.chance(0.5) {
                    Mood::Progressive
                } else {
                    Mood::Want
                };
                let classes = match *infinitive {
                    "cook" => COOKED,
                    "order" if idiom.remedy == FOOD => DISH,
                    _ => idiom.remedy,
                };
                (
                    self.with_new(subject, infinitive, classes, mood)?,
                    simple(again, Predicate::Idiom(idiom), Mood::Present),
                )
            }
            1 => {
                let infinitive = *["work", "swim", "sing", "dance", "study", "sleep"].choose(self.rng)?;
                let mut main = self.act(subject, infinitive, Mood::Can)?;
                main.negated = true;
                main.place = None;
                let state = match infinitive {
                    "sleep" => "sad",
                    _ => *["tired", "sick"].choose(self.rng)?,
                };
                (main, be(state, Mood::Present)?)
            }
            2 => {
                let infinitive = *["stay", "take", "stay"].choose(self.rng)?;
                let mood = if self.chance(0.5) {
                    Mood::Future
                } else {
                    Mood::Must
                };
                let main = self.act(subject, infinitive, mood)?;
                let bad = if self.chance(0.6) {
                    self.weather(Mood::Progressive)?
                } else {
                    simple(
                        IT,
                        Predicate::Weather(WEATHER.iter().find(|it| it.en == "cold")?),
                        Mood::Present,
                    )
                };
                (main, bad)
            }
            3 => {
                let main = self.with_new(subject, "wear", CLOTHES, Mood::Progressive)?;
                (
                    main,
                    simple(
                        IT,
                        Predicate::Weather(WEATHER.iter().find(|it| it.en == "cold")?),
                        Mood::Present,
                    ),
                )
            }
            4 => {
                let (state, infinitive) = if self.chance(0.5) {
                    ("happy", if self.chance(0.5) { "find" } else { "buy" })
                } else {
                    ("sad", "lose")
                };
                let main = Clause {
                    subject,
                    ..be(state, Mood::Present)?
                };
                (main, self.act(again, infinitive, Mood::Past)?)
            }
            5 => {
                let noun = self.noun(|noun| noun.is(EVENT))?;
                let object = NounPhrase {
                    noun,
                    determiner: Determiner::A,
                    adjective: None,
                    plural: false,
                };
                let have = VERBS.iter().find(|it| it.en[0] == "have" && it.state)?;
                let reason = simple(
                    again,
                    Predicate::Verb(have, Complement::Object(Np::Noun(object))),
                    Mood::Present,
                );
                let main = match noun.en[0] {
                    "exam" => self.act(subject, "study", Mood::Must)?,
                    "meeting" => {
                        let office = self.noun(|noun| noun.en[0] == "office")?;
                        simple(
                            subject,
                            Predicate::Verb(verb("go")?, Complement::Place(office)),
                            Mood::Must,
                        )
                    }
                    _ => self.with_new(subject, "need", CLOTHES, Mood::Present)?,
                };
                (main, reason)
            }
            _ => {
                let main = self.act(subject, "call", Mood::Progressive)?;
                (main, self.with_new(again, "need", THING | DEVICE, Mood::Present)?)
            }
        };
        Some(Sentence::Because(main, reason))
    }

    /// What somebody does if, or whenever.
    pub(super) fn condition(&mut self) -> Option<Sentence> {
        let kind = if self.chance(0.5) {
            Condition::If
        } else {
            Condition::When
        };
        let mood = if kind == Condition::If && self.chance(0.6) {
            Mood::Future
        } else {
            Mood::Present
        };
        let subject = self.person()?;
        if self.chance(0.55) {
            let condition = self.weather(Mood::Present)?;
            let infinitive = match &condition.predicate {
                Predicate::Weather(it) if matches!(it.en, "hot" | "sunny") => {
                    *["swim", "go"].choose(self.rng)?
                }
                _ => *["stay", "take", "read", "watch", "wear", "cook"].choose(self.rng)?,
            };
            let main = match infinitive {
                "wear" => self.with_new(subject, "wear", CLOTHES, mood)?,
                "read" => self.with_new(subject, "read", TEXT, mood)?,
                "cook" => self.with_new(subject, "cook", COOKED, mood)?,
                "go" => {
                    let place = self.noun(|noun| matches!(noun.en[0], "beach" | "park"))?;
                    simple(
                        subject,
                        Predicate::Verb(verb("go")?, Complement::Place(place)),
                        mood,
                    )
                }
                other => self.act(subject, other, mood)?,
            };
            return Some(Sentence::Condition(kind, condition, main));
        }
        let again = Np::Pronoun(pronoun(&subject)?);
        let (predicate, main) = if self.chance(0.5) {
            let idiom = IDIOMS.choose(self.rng)?;
            let infinitive = if idiom.remedy == FOOD { "eat" } else { "drink" };
            (
                Predicate::Idiom(idiom),
                self.with_new(again, infinitive, idiom.remedy, mood)?,
            )
        } else {
            let adjective = self.adjective(|it| matches!(it.en, "tired" | "sad" | "sick"))?;
            let infinitive = *["stay", "sleep", "listen", "drink"].choose(self.rng)?;
            let main = if infinitive == "drink" {
                self.with_new(again, "drink", WARM & DRINK, mood)
                    .or(self.with_new(again, "drink", DRINK, mood))?
            } else {
                self.act(again, infinitive, mood)?
            };
            (Predicate::Be(adjective), main)
        };
        Some(Sentence::Condition(
            kind,
            simple(subject, predicate, Mood::Present),
            main,
        ))
    }

    /// `i think that the museum is closed`
    pub(super) fn reported(&mut self) -> Option<Sentence> {
        let subject = self.person()?;
        let report = [Report::Think, Report::Know, Report::Say][self.weighted(&[4, 3, 3])];
        let mut content = match self.weighted(&[4, 3, 2, 1, 1]) {
            0 => self.state()?,
            1 => self.activity()?,
            2 => self.whereabouts()?,
            3 => self.cost()?,
            _ => self.weather(Mood::Future)?,
        };
        content.fronted = false;
        // A pronoun there could mean the speaker or somebody else.
        if matches!(content.subject, Np::Pronoun(it) if it != Pronoun::It)
            || content.mood == Mood::Progressive
        {
            return None;
        }
        Some(Sentence::Reported(subject, report, content))
    }

    /// `my mother is going to the market to buy eggs`
    pub(super) fn purpose(&mut self) -> Option<Sentence> {
        let (place, infinitive, classes): (_, &str, Classes) = match self.weighted(&[4, 2, 2, 2, 1, 1]) {
            0 => (self.noun(|noun| noun.is(GROCER))?, "buy", FOOD | PRODUCE),
            1 => (self.noun(|noun| noun.is(TERMINAL))?, "wait", FAMILY),
            2 => (self.noun(|noun| noun.is(EATERY))?, "eat", DISH),
            3 => (
                self.noun(|noun| noun.is(STUDY))?,
                if self.chance(0.5) { "study" } else { "learn" },
                0,
            ),
            4 => (self.noun(|noun| noun.en[0] == "beach")?, "swim", 0),
            _ => (self.noun(|noun| noun.en[0] == "park")?, "play", 0),
        };
        let (subject, goal) = (self.person()?, verb(infinitive)?);
        let complement = if classes == 0 {
            Complement::None
        } else {
            let noun = self.noun(|noun| noun.is(classes))?;
            let (determiner, plural) = match (noun.is(FAMILY), noun.is(MASS), noun.is(PRODUCE)) {
                (true, ..) => return self.meeting(subject, place, goal),
                (_, true, _) => (Determiner::Bare, false),
                (.., true) if self.chance(0.4) => (Determiner::Number(self.number(2, 20)?), true),
                (.., true) => (Determiner::Bare, true),
                _ => (Determiner::A, false),
            };
            Complement::Object(Np::Noun(NounPhrase {
                noun,
                determiner,
                adjective: None,
                plural,
            }))
        };
        Some(Sentence::Purpose(self.going(subject, place)?, goal, complement))
    }

    fn meeting(&mut self, subject: Np, place: &'static Noun, goal: &'static Verb) -> Option<Sentence> {
        let complement = self.complement(goal, &subject)?;
        Some(Sentence::Purpose(self.going(subject, place)?, goal, complement))
    }

    fn going(&mut self, subject: Np, place: &'static Noun) -> Option<Clause> {
        let mood = [Mood::Present, Mood::Progressive, Mood::Past, Mood::Want][self.weighted(&[1, 3, 3, 2])];
        Some(simple(
            subject,
            Predicate::Verb(verb("go")?, Complement::Place(place)),
            mood,
        ))
    }

    /// `we know the woman who lives in rome`
    pub(super) fn who(&mut self) -> Option<Sentence> {
        let noun = self.noun(|noun| noun.is(PERSON) && !noun.is(MINE))?;
        let subject = self.person()?;
        let adjective = self.quality(noun, 0.25);
        let person = NounPhrase {
            noun,
            determiner: Determiner::The,
            adjective,
            plural: false,
        };
        let predicate = match self.weighted(&[4, 3, 2, 2]) {
            0 => Predicate::Verb(verb("live")?, Complement::City(self.city()?)),
            1 => Predicate::Play(self.noun(|noun| noun.is(INSTRUMENT))?),
            2 => Predicate::Verb(verb("learn")?, Complement::None),
            _ => {
                let goods = self.noun(|noun| noun.is(DEVICE | VEHICLE))?;
                let many = NounPhrase {
                    noun: goods,
                    determiner: Determiner::Bare,
                    adjective: None,
                    plural: true,
                };
                let infinitive = if self.chance(0.5) { "sell" } else { "repair" };
                Predicate::Verb(verb(infinitive)?, Complement::Object(Np::Noun(many)))
            }
        };
        Some(Sentence::Who(subject, person, predicate))
    }

    /// `there are three cups on the table`
    pub(super) fn there(&mut self) -> Option<Sentence> {
        let noun = self.noun(|noun| noun.is(THING | TABLEWARE | ANIMAL | PRODUCE) && !noun.is(MASS))?;
        let relation = RELATIONS.choose(self.rng)?;
        let place = self.noun(|noun| noun.is(relation.classes) && !noun.is(LUGGAGE | TABLEWARE))?;
        let plural = self.chance(0.5);
        let determiner = if plural {
            Determiner::Number(self.number(2, 10)?)
        } else {
            Determiner::A
        };
        let adjective = self.quality(noun, 0.3);
        Some(Sentence::There(
            NounPhrase {
                noun,
                determiner,
                adjective,
                plural,
            },
            relation,
            the(place),
        ))
    }

    /// `does your sister ...` without the `your`: a yes-or-no question about somebody or something.
    pub(super) fn question(&mut self) -> Option<Sentence> {
        let clause = match self.weighted(&[3, 2, 2]) {
            0 => self.activity()?,
            1 => self.state()?,
            _ => self.whereabouts()?,
        };
        let fits = match &clause.predicate {
            Predicate::Verb(verb, complement) => {
                !verb.es_reflexive
                    && !matches!(complement, Complement::Recipient(..))
                    && matches!(clause.mood, Mood::Present | Mood::Progressive | Mood::Can)
            }
            _ => clause.mood == Mood::Present,
        };
        let subject = !matches!(clause.subject, Np::Pronoun(_));
        (fits && subject && !clause.negated).then_some(Sentence::Asked(Clause {
            fronted: false,
            negated: false,
            ..clause
        }))
    }
}
