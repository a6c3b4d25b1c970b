//! Choosing what to say: which subjects do what, with what, when and where, so that it makes sense.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::Words;
use super::lexicon::adjectives::{ADJECTIVES, Adjective};
use super::lexicon::classes::*;
use super::lexicon::nouns::{NOUNS, Noun};
use super::lexicon::phrases::*;
use super::lexicon::rare::{RARE_CITIES, RARE_NAMES, RARE_NOUNS};
use super::lexicon::verbs::{Frame, RAIN, VERBS, Verb};
use super::syntax::*;

/// How often a word of the rare list is drawn where one fits and rare words are allowed.
const RARE: f64 = 0.3;

/// Draws sentences. Every method returns `None` where the words drawn do not go together; the caller draws again.
pub(super) struct Sampler<'a, R> {
    pub(super) rng: &'a mut R,
    pub(super) words: Words,
}

pub(super) const IT: Np = Np::Pronoun(Pronoun::It);

impl<R: Rng> Sampler<'_, R> {
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    /// An index, drawn by weight.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut at = self.rng.random_range(0..weights.iter().sum::<u32>());
        for (index, &weight) in weights.iter().enumerate() {
            if at < weight {
                return index;
            }
            at -= weight;
        }
        0
    }

    /// One of a list, or of its rare supplement.
    fn either<T>(&mut self, common: &[&'static T], rare: &[&'static T]) -> Option<&'static T> {
        let use_rare =
            !rare.is_empty() && self.words == Words::All && (common.is_empty() || self.chance(RARE));
        (if use_rare { rare } else { common }).choose(self.rng).copied()
    }

    pub(super) fn noun(&mut self, fits: impl Fn(&Noun) -> bool) -> Option<&'static Noun> {
        let common: Vec<&Noun> = NOUNS.iter().filter(|noun| fits(noun)).collect();
        let rare: Vec<&Noun> = RARE_NOUNS.iter().filter(|noun| fits(noun)).collect();
        self.either(&common, &rare)
    }

    pub(super) fn name(&mut self, fits: impl Fn(&Name) -> bool) -> Option<&'static Name> {
        let common: Vec<&Name> = NAMES.iter().filter(|name| fits(name)).collect();
        let rare: Vec<&Name> = RARE_NAMES.iter().filter(|name| fits(name)).collect();
        self.either(&common, &rare)
    }

    pub(super) fn city(&mut self) -> Option<&'static City> {
        self.either(
            &CITIES.iter().collect::<Vec<_>>(),
            &RARE_CITIES.iter().collect::<Vec<_>>(),
        )
    }

    pub(super) fn adjective(&mut self, fits: impl Fn(&Adjective) -> bool) -> Option<&'static Adjective> {
        let fitting: Vec<&Adjective> = ADJECTIVES.iter().filter(|adjective| fits(adjective)).collect();
        fitting.choose(self.rng).copied()
    }

    pub(super) fn number(&mut self, from: u8, to: u8) -> Option<u8> {
        let fitting: Vec<u8> = NUMBERS
            .iter()
            .map(|(value, _)| *value)
            .filter(|value| (from..=to).contains(value))
            .collect();
        fitting.choose(self.rng).copied()
    }

    /// A person as a subject.
    pub(super) fn person(&mut self) -> Option<Np> {
        Some(match self.weighted(&[30, 20, 27, 23]) {
            0 => Np::Name(self.name(|_| true)?),
            1 => Np::Pronoun(
                [
                    Pronoun::I,
                    Pronoun::I,
                    Pronoun::We,
                    Pronoun::He,
                    Pronoun::She,
                    Pronoun::They,
                ][self.rng.random_range(0..6)],
            ),
            2 => self.relative()?,
            _ => self.somebody()?,
        })
    }

    /// `my sister`, `her father`
    pub(super) fn relative(&mut self) -> Option<Np> {
        let noun = self.noun(|noun| noun.is(FAMILY))?;
        let owner =
            [Owner::I, Owner::I, Owner::I, Owner::We, Owner::He, Owner::She][self.rng.random_range(0..6)];
        Some(Np::Noun(NounPhrase {
            noun,
            determiner: Determiner::Of(owner),
            adjective: None,
            plural: false,
        }))
    }

    /// `the young doctor`, `the children`, `our neighbor`
    fn somebody(&mut self) -> Option<Np> {
        let noun = self.noun(|noun| noun.is(PERSON))?;
        let determiner = if noun.is(MINE) && self.chance(0.5) {
            Determiner::Of(if self.chance(0.5) { Owner::I } else { Owner::We })
        } else {
            Determiner::The
        };
        let adjective = if self.chance(0.2) {
            self.adjective(|adjective| describes(adjective, noun))
        } else {
            None
        };
        Some(Np::Noun(NounPhrase {
            noun,
            determiner,
            adjective,
            plural: self.chance(0.15),
        }))
    }

    /// A known thing: `the red car`, `my key`, `this book`.
    pub(super) fn known(&mut self, noun: &'static Noun, plural: bool) -> Np {
        let determiner = match self.weighted(&[60, 15, 15, 10]) {
            1 if !noun.is(MASS | FOOD | PLACE | SIGHT) => Determiner::Of(Owner::I),
            2 if !noun.is(MASS | FOOD | PLACE | SIGHT) => Determiner::Of(Owner::We),
            3 => Determiner::This,
            _ => Determiner::The,
        };
        Np::Noun(NounPhrase {
            noun,
            determiner,
            adjective: None,
            plural: plural && !noun.is(MASS),
        })
    }

    /// Something done to, for a verb of these classes.
    fn object(&mut self, verb: &Verb, classes: Classes, subject: &Np) -> Option<Np> {
        let noun = self.noun(|noun| noun.is(classes))?;
        let owner = owner(subject);
        let phrase = |determiner, plural| NounPhrase {
            noun,
            determiner,
            adjective: None,
            plural,
        };
        if noun.is(FAMILY | PERSON) {
            if noun.is(FAMILY) && self.chance(0.3) {
                return Some(Np::Name(self.name(|_| true)?));
            }
            let determiner = if noun.is(FAMILY) {
                Determiner::Of(owner.unwrap_or(Owner::I))
            } else {
                Determiner::The
            };
            return Some(Np::Noun(phrase(determiner, false)));
        }
        let mut phrase = if noun.is(MASS) {
            let bare = verb.en[0] != "need" && (noun.is(MUSIC) || self.chance(0.7));
            phrase(if bare { Determiner::Bare } else { Determiner::The }, false)
        } else if noun.is(LINE) {
            return Some(Np::Noun(phrase(Determiner::The, false)));
        } else if verb.en[0] == "have" {
            phrase(Determiner::A, false)
        } else if noun.is(DOOR | CLEANED | SIGHT) && classes & (DOOR | CLEANED | SIGHT) != 0 {
            let determiner = if self.chance(0.8) {
                Determiner::The
            } else {
                Determiner::This
            };
            phrase(determiner, !noun.is(CLEANED & !DOOR) && self.chance(0.15))
        } else {
            let many = PRODUCE | TEXT | GIFT | TABLEWARE | CLOTHES | ANIMAL;
            match self.weighted(&[35, 22, 20, 13, 10]) {
                0 => phrase(Determiner::A, false),
                2 if !noun.is(FOOD | ANIMAL) && !matches!(verb.en[0], "buy" | "order" | "take") => {
                    match owner {
                        Some(_) if verb.subjects & FAMILY != 0 && self.chance(0.2) => {
                            return Some(Np::Genitive(self.name(|_| true)?, noun));
                        }
                        Some(owner) => phrase(Determiner::Of(owner), false),
                        None => phrase(Determiner::The, false),
                    }
                }
                3 if noun.is(many) && verb.en[0] != "need" => phrase(Determiner::Bare, true),
                4 if noun.is(many) => phrase(Determiner::Number(self.number(2, 12)?), true),
                _ => phrase(Determiner::The, false),
            }
        };
        let bare_plural = phrase.determiner == Determiner::Bare && phrase.plural;
        if !bare_plural && self.chance(0.35) {
            phrase.adjective = self.adjective(|adjective| describes(adjective, noun));
        }
        Some(Np::Noun(phrase))
    }

    /// What completes a verb, for a subject.
    pub(super) fn complement(&mut self, verb: &'static Verb, subject: &Np) -> Option<Complement> {
        Some(match verb.frame {
            Frame::Alone | Frame::Fixed(_) => Complement::None,
            Frame::Object { classes, .. } => Complement::Object(self.object(verb, classes, subject)?),
            Frame::Give(classes) => {
                let whom = self.object(verb, FAMILY | PERSON, subject)?;
                let mut what = self.object(verb, classes, subject)?;
                // What is given is new or the giver's own: two definite noun phrases in a row are hard to follow.
                if let Np::Noun(phrase) = &mut what
                    && phrase.determiner == Determiner::The
                    && !phrase.noun.is(MASS)
                {
                    phrase.determiner = Determiner::A;
                }
                Complement::Recipient(whom, what)
            }
            Frame::City(_) => Complement::City(self.city()?),
            Frame::Place(classes, _) => Complement::Place(self.noun(|noun| noun.is(classes))?),
        })
    }

    pub(super) fn time(&mut self, mood: Mood) -> Option<Time> {
        let fitting: Vec<&Phrase> = TIMES
            .iter()
            .filter(|phrase| phrase.moods.contains(&mood))
            .collect();
        fitting.choose(self.rng).copied().map(Time::Phrase)
    }

    /// A place that goes with a verb.
    fn place(&mut self, verb: &Verb) -> Option<Place> {
        let classes = match verb.en[0] {
            "work" if self.chance(0.3) => return Some(Place::City(self.city()?)),
            "work" => WORKPLACE,
            "sleep" => SLEEPING,
            "study" => STUDY,
            "cook" => return Some(Place::In(self.noun(|noun| noun.en[0] == "kitchen")?)),
            "eat" | "drink" | "have" => ROOM | EATERY,
            _ => ROOM,
        };
        Some(Place::In(
            self.noun(|noun| noun.at.is_some() && noun.is(classes))?,
        ))
    }

    fn mood(&mut self, verb: &Verb) -> Mood {
        use Mood::*;
        let moods = [Present, Progressive, Past, Future, Can, Must, Want];
        let weights = match verb.en[0] {
            "know" | "live" | "need" => [1, 0, 0, 0, 0, 0, 0],
            "have" if verb.state => [7, 0, 3, 0, 0, 0, 0],
            "lose" | "find" => [0, 0, 1, 0, 0, 0, 0],
            "leave" => [5, 2, 4, 3, 0, 0, 0],
            _ => [26, 18, 24, 12, 5, 8, 7],
        };
        moods[self.weighted(&weights)]
    }

    /// Somebody or something does something.
    pub(super) fn activity(&mut self) -> Option<Clause> {
        let verb = VERBS.choose(self.rng)?;
        let subject = if verb.subjects & FAMILY == 0 || (verb.subjects & LINE != 0 && self.chance(0.5)) {
            let noun = self.noun(|noun| noun.is(verb.subjects & LINE))?;
            Np::Noun(NounPhrase {
                noun,
                determiner: Determiner::The,
                adjective: None,
                plural: false,
            })
        } else if verb.subjects & ANIMAL != 0 && self.chance(0.3) {
            let noun = self.noun(|noun| noun.is(ANIMAL))?;
            self.known(noun, false)
        } else {
            self.person()?
        };
        self.doing(subject, verb)
    }

    /// A clause about this subject and this verb.
    pub(super) fn doing(&mut self, subject: Np, verb: &'static Verb) -> Option<Clause> {
        let line = matches!(subject, Np::Noun(phrase) if phrase.noun.is(LINE));
        let mut mood = self.mood(verb);
        if line && matches!(mood, Mood::Can | Mood::Must | Mood::Want) {
            mood = Mood::Future;
        }
        let complement = self.complement(verb, &subject)?;
        let mut clause = simple(subject, Predicate::Verb(verb, complement), mood);
        let definite = match &complement {
            Complement::Object(np) => np.is_definite(),
            Complement::Recipient(..) => false,
            _ => !matches!(verb.frame, Frame::Fixed(_)),
        };
        if definite && !line && matches!(mood, Mood::Present | Mood::Past | Mood::Can) && self.chance(0.15) {
            clause.negated = true;
            return Some(clause);
        }
        if verb.placed && self.chance(0.4) {
            clause.place = Some(self.place(verb)?);
        }
        let timeless = matches!(verb.en[0], "know" | "live" | "need") || (verb.en[0] == "have" && verb.state);
        if timeless {
            return Some(clause);
        }
        let likely = match mood {
            Mood::Present => 0.85,
            Mood::Progressive => 0.35,
            Mood::Past => 0.65,
            _ => 0.55,
        };
        if verb.clock && mood != Mood::Progressive && (verb.en[0] == "leave" || self.chance(0.6)) {
            let (from, to) = if matches!(verb.en[0], "get" | "have") {
                (5, 9)
            } else {
                (2, 11)
            };
            clause.time = Some(Time::Clock(self.number(from, to)?));
        } else if self.chance(likely) {
            clause.time = self.time(mood);
            clause.fronted =
                matches!(clause.time, Some(Time::Phrase(phrase)) if phrase.fronts) && self.chance(0.35);
        }
        Some(clause)
    }

    /// Rain, snow, cold, heat.
    pub(super) fn weather(&mut self, mood: Mood) -> Option<Clause> {
        if matches!(mood, Mood::Progressive | Mood::Future) || self.chance(0.4) {
            let verb = RAIN.choose(self.rng)?;
            return Some(simple(IT, Predicate::Verb(verb, Complement::None), mood));
        }
        Some(simple(IT, Predicate::Weather(WEATHER.choose(self.rng)?), mood))
    }
}

/// Whether the adjective goes beside the noun: of what is not counted only states are said, and children are young.
pub(super) fn describes(adjective: &Adjective, noun: &Noun) -> bool {
    adjective.attributive
        && noun.is(adjective.classes)
        && (!noun.is(MASS) || adjective.state)
        && !(noun.is(YOUTH) && adjective.en == "young")
}

/// A clause without circumstances.
pub(super) fn simple(subject: Np, predicate: Predicate, mood: Mood) -> Clause {
    Clause {
        subject,
        predicate,
        mood,
        negated: false,
        time: None,
        place: None,
        fronted: false,
    }
}

/// The verb with this English infinitive.
pub(super) fn verb(infinitive: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.en[0] == infinitive)
}

/// The pronoun for a subject named before; none where grammatical and natural gender disagree.
pub(super) fn pronoun(subject: &Np) -> Option<Pronoun> {
    match subject {
        Np::Pronoun(pronoun) => Some(*pronoun),
        Np::Name(name) => Some(if name.gender == Gender::F {
            Pronoun::She
        } else {
            Pronoun::He
        }),
        Np::Noun(phrase) if phrase.plural => Some(Pronoun::They),
        Np::Noun(phrase) if phrase.noun.is(FAMILY | PERSON) => match phrase.noun.de.0 {
            Gender::M => Some(Pronoun::He),
            Gender::F => Some(Pronoun::She),
            Gender::N => None,
        },
        _ => None,
    }
}

/// Whose things a subject's own things are.
fn owner(subject: &Np) -> Option<Owner> {
    match pronoun(subject)? {
        Pronoun::I => Some(Owner::I),
        Pronoun::We => Some(Owner::We),
        Pronoun::He => Some(Owner::He),
        Pronoun::She => Some(Owner::She),
        Pronoun::They | Pronoun::It => None,
    }
}
