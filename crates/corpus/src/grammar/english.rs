//! English.

use super::lexicon::phrases::number;
use super::lexicon::verbs::{Frame, Verb};
use super::syntax::*;

/// A sentence, cased and punctuated.
pub(super) fn sentence(sentence: &Sentence) -> String {
    let (text, mark) = match sentence {
        Sentence::Statement(it) => (clause(it), "."),
        Sentence::Because(main, reason) => (join(&[&clause(main), "because", &clause(reason)]), "."),
        Sentence::Condition(kind, condition, main) => {
            let word = if *kind == Condition::If { "if" } else { "when" };
            (join(&[word, &clause(condition), ",", &clause(main)]), ".")
        }
        Sentence::Reported(subject, report, content) => {
            let verb = match (report, third(subject)) {
                (Report::Think, true) => "thinks",
                (Report::Think, false) => "think",
                (Report::Know, true) => "knows",
                (Report::Know, false) => "know",
                (Report::Say, true) => "says",
                (Report::Say, false) => "say",
            };
            (
                join(&[&noun_phrase(subject), verb, "that", &clause(content)]),
                ".",
            )
        }
        Sentence::Purpose(main, verb, complement) => {
            let (object, tail) = complete(verb, complement);
            (join(&[&clause(main), "to", verb.en[0], &object, &tail]), ".")
        }
        Sentence::Who(subject, person, predicate) => {
            let who = Clause {
                subject: Np::Noun(*person),
                predicate: *predicate,
                mood: Mood::Present,
                negated: false,
                time: None,
                place: None,
                fronted: false,
            };
            let know = if third(subject) { "knows" } else { "know" };
            let person = noun_phrase(&Np::Noun(*person));
            (
                join(&[&noun_phrase(subject), know, &person, "who", &predication(&who)]),
                ".",
            )
        }
        Sentence::There(thing, relation, place) => {
            let be = if thing.plural { "are" } else { "is" };
            let thing = noun_phrase(&Np::Noun(*thing));
            (
                join(&["there", be, &thing, relation.text.en, &noun_phrase(place)]),
                ".",
            )
        }
        Sentence::Hurts(whose, part, plural) => {
            let verb = if *plural { "hurt" } else { "hurts" };
            let owner = match whose {
                Np::Pronoun(_) => "my".to_string(),
                other => format!("{}'s", noun_phrase(other)),
            };
            (join(&[&owner, part.en[usize::from(*plural)], verb]), ".")
        }
        Sentence::WhereIs(thing) => (join(&["where", be(thing), &noun_phrase(thing)]), "?"),
        Sentence::HowMuch(thing) => {
            let verb = if third(thing) { "does" } else { "do" };
            (join(&["how much", verb, &noun_phrase(thing), "cost"]), "?")
        }
        Sentence::WhatTime(subject, verb) => {
            let does = if third(subject) { "does" } else { "do" };
            (join(&["what time", does, &noun_phrase(subject), verb.en[0]]), "?")
        }
        Sentence::Asked(it) => (question(it), "?"),
    };
    finish(&articles(&text), mark)
}

/// `a` becomes `an` before a vowel.
fn articles(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut out: Vec<&str> = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        let vowel = words
            .get(index + 1)
            .is_some_and(|next| next.starts_with(['a', 'e', 'i', 'o', 'u']));
        out.push(if *word == "a" && vowel { "an" } else { word });
    }
    out.join(" ")
}

fn third(np: &Np) -> bool {
    let agreement = np.agreement(|_| Gender::N);
    !agreement.first && !agreement.plural
}

fn be(np: &Np) -> &'static str {
    match np {
        Np::Pronoun(Pronoun::I) => "am",
        _ if third(np) => "is",
        _ => "are",
    }
}

fn was(np: &Np) -> &'static str {
    if third(np) || matches!(np, Np::Pronoun(Pronoun::I)) {
        "was"
    } else {
        "were"
    }
}

fn noun_phrase(np: &Np) -> String {
    match np {
        Np::Name(name) => name.text.to_string(),
        Np::Pronoun(pronoun) => match pronoun {
            Pronoun::I => "I",
            Pronoun::We => "we",
            Pronoun::He => "he",
            Pronoun::She => "she",
            Pronoun::They => "they",
            Pronoun::It => "it",
        }
        .to_string(),
        Np::Genitive(name, noun) => format!("{}'s {}", name.text, noun.en[0]),
        Np::Noun(phrase) => {
            let determiner = match phrase.determiner {
                Determiner::The => "the",
                Determiner::A => "a",
                Determiner::This if phrase.plural => "these",
                Determiner::This => "this",
                Determiner::Bare => "",
                Determiner::Of(Owner::I) => "my",
                Determiner::Of(Owner::We) => "our",
                Determiner::Of(Owner::He) => "his",
                Determiner::Of(Owner::She) => "her",
                Determiner::Number(value) => number(value).en,
            };
            let adjective = phrase.adjective.map_or("", |adjective| adjective.en);
            join(&[determiner, adjective, phrase.noun.en[usize::from(phrase.plural)]])
        }
    }
}

/// What stands right after the verb, and what stands after that.
fn complete(verb: &Verb, complement: &Complement) -> (String, String) {
    let (preposition, fixed) = match verb.frame {
        Frame::Object { en, .. } => (en, ""),
        Frame::Fixed(text) => ("", text.en),
        Frame::City(text) | Frame::Place(_, text) => (text.en, ""),
        _ => ("", ""),
    };
    let object = match complement {
        Complement::None => String::new(),
        Complement::Object(np) => noun_phrase(np),
        Complement::Place(noun) => format!("the {}", noun.en[0]),
        Complement::City(city) => city.text.en.to_string(),
        Complement::Recipient(whom, what) => join(&[&noun_phrase(whom), &noun_phrase(what)]),
    };
    (join(&[preposition, &object]), fixed.to_string())
}

fn time(time: &Option<Time>) -> String {
    match time {
        None => String::new(),
        Some(Time::Phrase(phrase)) => capitalize_days(phrase.text.en),
        Some(Time::Clock(hour)) => format!("at {} o'clock", number(*hour).en),
    }
}

/// The days of the week are proper nouns in English alone.
fn capitalize_days(phrase: &str) -> String {
    match phrase.strip_prefix("on ").filter(|day| day.ends_with("day")) {
        Some(day) => format!("on {}", finish(day, "")),
        None => phrase.to_string(),
    }
}

fn place(place: &Option<Place>) -> String {
    match place {
        None => String::new(),
        Some(Place::City(city)) => format!("in {}", city.text.en),
        Some(Place::In(noun)) => join(&[noun.at.map_or("", |at| at.en), "the", noun.en[0]]),
    }
}

/// The finite verb in its mood.
fn finite(verb: &Verb, it: &Clause) -> String {
    let third = third(&it.subject);
    let text = match (it.mood, it.negated) {
        (Mood::Present, false) => return verb.en[usize::from(third)].to_string(),
        (Mood::Past, false) => return verb.en[2].to_string(),
        (Mood::Progressive, false) => return join(&[be(&it.subject), verb.en[3]]),
        (Mood::Progressive, true) => return join(&[be(&it.subject), "not", verb.en[3]]),
        (Mood::Present, true) => {
            if third {
                "doesn't"
            } else {
                "don't"
            }
        }
        (Mood::Past, true) => "didn't",
        (Mood::Future, false) => "will",
        (Mood::Future, true) => "won't",
        (Mood::Can, false) => "can",
        (Mood::Can, true) => "can't",
        (Mood::Must, _) => "must",
        (Mood::Want, false) => {
            if third {
                "wants to"
            } else {
                "want to"
            }
        }
        (Mood::Want, true) => {
            if third {
                "doesn't want to"
            } else {
                "don't want to"
            }
        }
    };
    join(&[text, verb.en[0]])
}

/// The predicate without its time.
fn predication(it: &Clause) -> String {
    let be = if it.mood == Mood::Past {
        was(&it.subject)
    } else {
        be(&it.subject)
    };
    let be = match (it.negated, be) {
        (true, "am") => "am not".to_string(),
        (true, be) => format!("{be}n't"),
        (false, be) => be.to_string(),
    };
    let third = third(&it.subject);
    let text = match &it.predicate {
        Predicate::Verb(verb, complement) => {
            let (object, tail) = complete(verb, complement);
            join(&[&finite(verb, it), &object, &tail])
        }
        Predicate::Be(adjective) => join(&[&be, adjective.en]),
        Predicate::BeMore(adjective, than) => join(&[&be, adjective.en_more, "than", &noun_phrase(than)]),
        Predicate::BeAt(relation, thing) => join(&[&be, relation.text.en, &noun_phrase(thing)]),
        Predicate::BeIn(noun) => join(&[&be, &place(&Some(Place::In(noun)))]),
        Predicate::BeA(noun) => join(&[&be, "a", noun.en[0]]),
        Predicate::BeYearsOld(age) => join(&[&be, number(*age).en, "years old"]),
        Predicate::Idiom(idiom) => join(&[&be, idiom.text.en]),
        Predicate::Like(thing) => {
            let verb = match (it.negated, third) {
                (false, true) => "likes",
                (false, false) => "like",
                (true, true) => "doesn't like",
                (true, false) => "don't like",
            };
            join(&[verb, &noun_phrase(thing)])
        }
        Predicate::LikeTo(verb, complement) => {
            let (object, tail) = complete(verb, complement);
            join(&[
                if third { "likes to" } else { "like to" },
                verb.en[0],
                &object,
                &tail,
            ])
        }
        Predicate::Play(instrument) => join(&[
            &finite(&super::lexicon::verbs::PLAY[0], it),
            "the",
            instrument.en[0],
        ]),
        Predicate::Weather(weather) => join(&[&be, weather.en]),
        Predicate::Cost(euros) => join(&[if third { "costs" } else { "cost" }, number(*euros).en, "euros"]),
    };
    join(&[&text, &place(&it.place)])
}

fn clause(it: &Clause) -> String {
    let (subject, predicate) = (noun_phrase(&it.subject), predication(it));
    if it.fronted {
        join(&[&time(&it.time), &subject, &predicate])
    } else {
        join(&[&subject, &predicate, &time(&it.time)])
    }
}

/// A yes-or-no question in the present, about a verb or a state.
fn question(it: &Clause) -> String {
    let subject = noun_phrase(&it.subject);
    let rest = match &it.predicate {
        Predicate::Verb(verb, complement) => {
            let (object, tail) = complete(verb, complement);
            let (first, second) = match it.mood {
                Mood::Can => ("can", verb.en[0]),
                Mood::Progressive => (be(&it.subject), verb.en[3]),
                Mood::Past => ("did", verb.en[0]),
                _ => (if third(&it.subject) { "does" } else { "do" }, verb.en[0]),
            };
            return join(&[
                first,
                &subject,
                second,
                &object,
                &tail,
                &place(&it.place),
                &time(&it.time),
            ]);
        }
        _ => predication(it),
    };
    let (first, rest) = rest.split_once(' ').unwrap_or((&rest, ""));
    join(&[first, &subject, rest, &time(&it.time)])
}
