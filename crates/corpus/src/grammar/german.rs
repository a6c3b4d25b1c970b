//! German: case and gender, adjective endings, the verb second or last.

use super::lexicon::nouns::Noun;
use super::lexicon::phrases::number;
use super::lexicon::verbs::{Frame, Governs, PLAY, Verb};
use super::syntax::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Nominative,
    Accusative,
    Dative,
}

use Case::{Accusative, Dative, Nominative};

/// Column of the declension tables.
fn column(gender: Gender, plural: bool) -> usize {
    match (plural, gender) {
        (true, _) => 3,
        (false, Gender::M) => 0,
        (false, Gender::F) => 1,
        (false, Gender::N) => 2,
    }
}

/// The definite article by case, then masculine, feminine, neuter, plural.
const THE: [[&str; 4]; 3] = [
    ["der", "die", "das", "die"],
    ["den", "die", "das", "die"],
    ["dem", "der", "dem", "den"],
];
/// The ending of `ein`, `mein`, `unser`.
const EIN: [[&str; 4]; 3] = [["", "e", "", "e"], ["en", "e", "", "e"], ["em", "er", "em", "en"]];
/// The ending of `dieser`; also that of an adjective without an article.
const STRONG: [[&str; 4]; 3] = [
    ["er", "e", "es", "e"],
    ["en", "e", "es", "e"],
    ["em", "er", "em", "en"],
];
/// The ending of an adjective after `der` and `dieser`.
const WEAK: [[&str; 4]; 3] = [
    ["e", "e", "e", "en"],
    ["en", "e", "e", "en"],
    ["en", "en", "en", "en"],
];
/// The ending of an adjective after `ein` and `mein`.
const MIXED: [[&str; 4]; 3] = [
    ["er", "e", "es", "en"],
    ["en", "e", "es", "en"],
    ["en", "en", "en", "en"],
];

fn noun_form(noun: &Noun, plural: bool, case: Case) -> String {
    let form = noun.de.1[usize::from(plural || (noun.weak && case != Nominative))];
    if plural && case == Dative && !form.ends_with(['n', 's']) {
        format!("{form}n")
    } else {
        form.to_string()
    }
}

fn noun_phrase(np: &Np, case: Case) -> String {
    let phrase = match np {
        Np::Name(name) => return name.text.to_string(),
        Np::Pronoun(pronoun) => return nominative(*pronoun).to_string(),
        Np::Genitive(name, noun) => return format!("{}s {}", name.text, noun_form(noun, false, case)),
        Np::Noun(phrase) => phrase,
    };
    let (row, col) = (case as usize, column(phrase.noun.de.0, phrase.plural));
    let (determiner, endings) = match phrase.determiner {
        Determiner::The => (THE[row][col].to_string(), WEAK),
        Determiner::This => (format!("dies{}", STRONG[row][col]), WEAK),
        Determiner::A => (format!("ein{}", EIN[row][col]), MIXED),
        Determiner::Of(owner) => {
            let stem = match owner {
                Owner::I => "mein",
                Owner::We => "unser",
                Owner::He => "sein",
                Owner::She => "ihr",
            };
            (format!("{stem}{}", EIN[row][col]), MIXED)
        }
        Determiner::Bare => (String::new(), STRONG),
        Determiner::Number(value) => (number(value).de.to_string(), STRONG),
    };
    let adjective = phrase.adjective.map_or(String::new(), |adjective| {
        format!("{}{}", adjective.de[1], endings[row][col])
    });
    join(&[
        &determiner,
        &adjective,
        &noun_form(phrase.noun, phrase.plural, case),
    ])
}

fn nominative(pronoun: Pronoun) -> &'static str {
    match pronoun {
        Pronoun::I => "ich",
        Pronoun::We => "wir",
        Pronoun::He => "er",
        Pronoun::She | Pronoun::They => "sie",
        Pronoun::It => "es",
    }
}

/// A clause in pieces, to be put in the order its place asks for.
#[derive(Default)]
struct Pieces {
    subject: String,
    finite: String,
    /// Time, objects, place, in that order.
    middle: String,
    /// Prefix, participle or infinitive.
    last: String,
    /// Whether `last` is a separable prefix.
    prefix: bool,
    time: String,
}

impl Pieces {
    /// Verb second, the subject first.
    fn main(&self) -> String {
        join(&[&self.subject, &self.finite, &self.time, &self.middle, &self.last])
    }

    /// Verb second after something that is already there.
    fn inverted(&self) -> String {
        join(&[&self.finite, &self.subject, &self.time, &self.middle, &self.last])
    }

    /// Verb second, the time first.
    fn fronted(&self) -> String {
        join(&[&self.time, &self.finite, &self.subject, &self.middle, &self.last])
    }

    /// Verb last.
    fn subordinate(&self) -> String {
        if self.prefix {
            join(&[
                &self.subject,
                &self.time,
                &self.middle,
                &format!("{}{}", self.last, self.finite),
            ])
        } else {
            join(&[&self.subject, &self.time, &self.middle, &self.last, &self.finite])
        }
    }
}

fn agreement(np: &Np) -> Agreement {
    np.agreement(|noun| noun.de.0)
}

const SEIN: [&str; 4] = ["bin", "ist", "sind", "sind"];
const WAR: [&str; 4] = ["war", "war", "waren", "waren"];
const HABEN: [&str; 4] = ["habe", "hat", "haben", "haben"];
const HATTE: [&str; 4] = ["hatte", "hatte", "hatten", "hatten"];
const WERDEN: [&str; 4] = ["werde", "wird", "werden", "werden"];
const CAN: [&str; 4] = ["kann", "kann", "können", "können"];
const MUST: [&str; 4] = ["muss", "muss", "müssen", "müssen"];
const WANT: [&str; 4] = ["möchte", "möchte", "möchten", "möchten"];
const LIKE: [&str; 4] = ["mag", "mag", "mögen", "mögen"];

/// The present of a verb without its prefix; the plural is the infinitive.
fn present(verb: &Verb, index: usize) -> &'static str {
    [verb.de[1], verb.de[2], verb.de[0], verb.de[0]][index]
}

/// The finite verb, and what goes to the end.
fn verb_forms(verb: &Verb, mood: Mood, index: usize) -> (&'static str, String) {
    let infinitive = format!("{}{}", verb.prefix, verb.de[0]);
    match mood {
        Mood::Present | Mood::Progressive => (present(verb, index), verb.prefix.to_string()),
        Mood::Past => (
            if verb.sein { SEIN } else { HABEN }[index],
            verb.de[3].to_string(),
        ),
        Mood::Future => (WERDEN[index], infinitive),
        Mood::Can => (CAN[index], infinitive),
        Mood::Must => (MUST[index], infinitive),
        Mood::Want => (WANT[index], infinitive),
    }
}

fn city_or_place(preposition: &str, noun: Option<&Noun>, city: &str) -> String {
    match noun {
        Some(noun) => contract(&join(&[
            preposition,
            THE[2][column(noun.de.0, false)],
            &noun_form(noun, false, Dative),
        ])),
        None => join(&[preposition, city]),
    }
}

/// `in dem` is `im`, and so on.
fn contract(text: &str) -> String {
    for (long, short) in [
        ("in dem ", "im "),
        ("an dem ", "am "),
        ("zu dem ", "zum "),
        ("zu der ", "zur "),
    ] {
        if let Some(rest) = text.strip_prefix(long) {
            return format!("{short}{rest}");
        }
    }
    text.to_string()
}

/// The complement, split where `nicht` and the place go.
struct Completed {
    /// Known objects, before place and `nicht`.
    definite: String,
    /// New objects, after the place.
    indefinite: String,
    /// What belongs to the verb: prepositional objects, directions, fixed words.
    close: String,
}

fn complete(verb: &Verb, complement: &Complement) -> Completed {
    let mut done = Completed {
        definite: String::new(),
        indefinite: String::new(),
        close: String::new(),
    };
    match (complement, &verb.frame) {
        (
            Complement::Object(np),
            Frame::Object {
                de: Governs::With(preposition),
                ..
            },
        ) => {
            done.close = join(&[preposition, &noun_phrase(np, Accusative)]);
        }
        (Complement::Object(np), frame) => {
            let dative = matches!(
                frame,
                Frame::Object {
                    de: Governs::Dative,
                    ..
                }
            );
            let text = noun_phrase(np, if dative { Dative } else { Accusative });
            *(if np.is_definite() {
                &mut done.definite
            } else {
                &mut done.indefinite
            }) = text;
        }
        (Complement::Recipient(whom, what), _) => {
            done.definite = noun_phrase(whom, Dative);
            done.indefinite = noun_phrase(what, Accusative);
        }
        (Complement::Place(noun), Frame::Place(_, text)) => {
            done.close = city_or_place(text.de, Some(noun), "")
        }
        (Complement::City(city), Frame::City(text)) => {
            done.close = city_or_place(text.de, None, city.text.de)
        }
        (_, Frame::Fixed(text)) => done.close = text.de.to_string(),
        _ => {}
    }
    done
}

fn time(time: &Option<Time>) -> String {
    match time {
        None => String::new(),
        Some(Time::Phrase(phrase)) => phrase.text.de.to_string(),
        Some(Time::Clock(hour)) => format!("um {} Uhr", number(*hour).de),
    }
}

fn place(place: &Option<Place>) -> String {
    match place {
        None => String::new(),
        Some(Place::City(city)) => city_or_place("in", None, city.text.de),
        Some(Place::In(noun)) => city_or_place(noun.at.map_or("", |at| at.de), Some(noun), ""),
    }
}

/// The progressive has no form of its own: `gerade` says it where no time does and somebody is at it.
fn now(it: &Clause) -> &'static str {
    let impersonal = matches!(it.subject, Np::Pronoun(Pronoun::It));
    if it.mood == Mood::Progressive && it.time.is_none() && !impersonal {
        "gerade"
    } else {
        ""
    }
}

fn pieces(it: &Clause) -> Pieces {
    let index = agreement(&it.subject).index();
    let subject = noun_phrase(&it.subject, Nominative);
    let not = if it.negated { "nicht" } else { "" };
    let past = it.mood == Mood::Past;
    let (place, time) = (place(&it.place), time(&it.time));
    let be = if past { WAR[index] } else { SEIN[index] }.to_string();
    let stative = |finite: String, middle: String| Pieces {
        subject: subject.clone(),
        finite,
        middle,
        time: time.clone(),
        ..Pieces::default()
    };
    match &it.predicate {
        Predicate::Verb(verb, complement) => {
            let (finite, last) = verb_forms(verb, it.mood, index);
            let done = complete(verb, complement);
            let now = now(it);
            // `gibt dem Kind gerade ein Bild`, but `ruft gerade den Arzt an`.
            let (before, after) = if matches!(complement, Complement::Recipient(..)) {
                ("", now)
            } else {
                (now, "")
            };
            let middle = join(&[
                before,
                &done.definite,
                after,
                &place,
                &done.indefinite,
                not,
                &done.close,
            ]);
            let prefix = matches!(it.mood, Mood::Present | Mood::Progressive) && !last.is_empty();
            Pieces {
                subject,
                finite: finite.to_string(),
                middle,
                last,
                prefix,
                time,
            }
        }
        Predicate::Play(instrument) => {
            let (finite, last) = verb_forms(&PLAY[0], it.mood, index);
            let middle = join(&[now(it), &place, instrument.de.1[0]]);
            Pieces {
                subject,
                finite: finite.to_string(),
                middle,
                last,
                prefix: false,
                time,
            }
        }
        Predicate::Be(adjective) => stative(be, join(&[&place, not, adjective.de[0]])),
        Predicate::BeMore(adjective, than) => stative(
            be,
            join(&[not, adjective.de[2], "als", &noun_phrase(than, Nominative)]),
        ),
        Predicate::BeAt(relation, thing) => stative(
            be,
            join(&[
                not,
                &contract(&join(&[relation.text.de, &noun_phrase(thing, Dative)])),
            ]),
        ),
        Predicate::BeIn(noun) => stative(
            be,
            join(&[
                not,
                &city_or_place(noun.at.map_or("", |at| at.de), Some(noun), ""),
            ]),
        ),
        Predicate::BeA(noun) => stative(be, noun.de.1[0].to_string()),
        Predicate::BeYearsOld(age) => stative(be, join(&[number(*age).de, "Jahre alt"])),
        Predicate::Idiom(idiom) => stative(
            if past { HATTE } else { HABEN }[index].to_string(),
            idiom.text.de.to_string(),
        ),
        Predicate::Like(thing) => stative(
            LIKE[index].to_string(),
            join(&[&noun_phrase(thing, Accusative), not]),
        ),
        Predicate::LikeTo(verb, complement) => {
            let done = complete(verb, complement);
            let middle = join(&[&done.definite, "gern", &done.indefinite, &done.close]);
            let finite = present(verb, index).to_string();
            let prefix = !verb.prefix.is_empty();
            Pieces {
                subject,
                finite,
                middle,
                last: verb.prefix.to_string(),
                prefix,
                time,
            }
        }
        Predicate::Weather(weather) => stative(be, join(&[&place, weather.de])),
        Predicate::Cost(euros) => {
            let cost = if agreement(&it.subject).plural {
                "kosten"
            } else {
                "kostet"
            };
            stative(cost.to_string(), format!("{} Euro", number(*euros).de))
        }
    }
}

fn main_clause(it: &Clause) -> String {
    if it.fronted {
        pieces(it).fronted()
    } else {
        pieces(it).main()
    }
}

/// A sentence, cased and punctuated.
pub(super) fn sentence(sentence: &Sentence) -> String {
    let (text, mark) = match sentence {
        Sentence::Statement(it) => (main_clause(it), "."),
        Sentence::Because(main, reason) => (
            join(&[&main_clause(main), ", weil", &pieces(reason).subordinate()]),
            ".",
        ),
        Sentence::Condition(_, condition, main) => (
            join(&[
                "wenn",
                &pieces(condition).subordinate(),
                ",",
                &pieces(main).inverted(),
            ]),
            ".",
        ),
        Sentence::Reported(subject, report, content) => {
            let forms = match report {
                Report::Think => ["glaube", "glaubt", "glauben", "glauben"],
                Report::Know => ["weiß", "weiß", "wissen", "wissen"],
                Report::Say => ["sage", "sagt", "sagen", "sagen"],
            };
            let verb = forms[agreement(subject).index()];
            let subject = noun_phrase(subject, Nominative);
            (
                join(&[&subject, verb, ", dass", &pieces(content).subordinate()]),
                ".",
            )
        }
        Sentence::Purpose(main, verb, complement) => {
            let done = complete(verb, complement);
            let infinitive = if verb.prefix.is_empty() {
                format!("zu {}", verb.de[0])
            } else {
                format!("{}zu{}", verb.prefix, verb.de[0])
            };
            let purpose = join(&[&done.definite, &done.indefinite, &done.close, &infinitive]);
            (join(&[&main_clause(main), ", um", &purpose]), ".")
        }
        Sentence::Who(subject, person, predicate) => {
            let relative = THE[0][column(person.noun.de.0, person.plural)];
            let who = Clause {
                subject: Np::Noun(*person),
                predicate: *predicate,
                mood: Mood::Present,
                negated: false,
                time: None,
                place: None,
                fronted: false,
            };
            let who = Pieces {
                subject: relative.to_string(),
                ..pieces(&who)
            };
            let know = ["kenne", "kennt", "kennen", "kennen"][agreement(subject).index()];
            let (subject, person) = (
                noun_phrase(subject, Nominative),
                noun_phrase(&Np::Noun(*person), Accusative),
            );
            (join(&[&subject, know, &person, ",", &who.subordinate()]), ".")
        }
        Sentence::There(thing, relation, place) => {
            let place = contract(&join(&[relation.text.de, &noun_phrase(place, Dative)]));
            let be = if thing.plural { "sind" } else { "ist" };
            (
                join(&[&place, be, &noun_phrase(&Np::Noun(*thing), Nominative)]),
                ".",
            )
        }
        Sentence::Hurts(whose, part, plural) => {
            let part_form = noun_form(part, *plural, Nominative);
            let verb = if *plural { "tun" } else { "tut" };
            let col = column(part.de.0, *plural);
            let text = match whose {
                Np::Pronoun(_) => join(&[&format!("mein{}", EIN[0][col]), &part_form, verb, "weh"]),
                // Whom it hurts stands in the dative: `Meiner Schwester tut der Kopf weh.`
                other => join(&[&noun_phrase(other, Dative), verb, THE[0][col], &part_form, "weh"]),
            };
            (text, ".")
        }
        Sentence::WhereIs(thing) => {
            let be = SEIN[agreement(thing).index()];
            (join(&["wo", be, &noun_phrase(thing, Nominative)]), "?")
        }
        Sentence::HowMuch(thing) => {
            let cost = if agreement(thing).plural {
                "kosten"
            } else {
                "kostet"
            };
            (join(&["wie viel", cost, &noun_phrase(thing, Nominative)]), "?")
        }
        Sentence::WhatTime(subject, verb) => {
            let finite = present(verb, agreement(subject).index());
            (
                join(&[
                    "um wie viel Uhr",
                    finite,
                    &noun_phrase(subject, Nominative),
                    verb.prefix,
                ]),
                "?",
            )
        }
        Sentence::Asked(it) => (pieces(it).inverted(), "?"),
    };
    finish(&text, mark)
}
