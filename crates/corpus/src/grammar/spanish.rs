//! Spanish: gender agreement, clitics, contracted articles, the personal *a*, two verbs *to be*.

use super::lexicon::adjectives::Adjective;
use super::lexicon::classes::{FAMILY, PERSON};
use super::lexicon::nouns::Noun;
use super::lexicon::phrases::number;
use super::lexicon::verbs::{Frame, PLAY, Verb};
use super::syntax::*;

fn agreement(np: &Np) -> Agreement {
    np.agreement(|noun| noun.es.0)
}

fn adjective(adjective: &Adjective, gender: Gender, plural: bool) -> String {
    let [masculine, feminine, masculine_plural] = adjective.es;
    match (gender, plural) {
        (Gender::F, false) => feminine.to_string(),
        // `rojas` from `roja`, but `jóvenes` and `grandes` as in the masculine.
        (Gender::F, true) if feminine != masculine => format!("{feminine}s"),
        (_, true) => masculine_plural.to_string(),
        (_, false) => masculine.to_string(),
    }
}

fn article(noun: &Noun, plural: bool) -> &'static str {
    match (noun.es.0, plural) {
        // A stressed first `a` takes the masculine article.
        (Gender::F, false) if noun.es.1[0] == "agua" => "el",
        (Gender::F, false) => "la",
        (Gender::F, true) => "las",
        (_, false) => "el",
        (_, true) => "los",
    }
}

fn noun_phrase(np: &Np) -> String {
    let phrase = match np {
        Np::Name(name) => return name.text.to_string(),
        Np::Pronoun(pronoun) => {
            // The verb's ending says `yo` and `nosotros`.
            return match pronoun {
                Pronoun::He => "él",
                Pronoun::She => "ella",
                Pronoun::They => "ellos",
                Pronoun::I | Pronoun::We | Pronoun::It => "",
            }
            .to_string();
        }
        Np::Genitive(name, noun) => return join(&[article(noun, false), noun.es.1[0], "de", name.text]),
        Np::Noun(phrase) => phrase,
    };
    let (feminine, plural) = (phrase.noun.es.0 == Gender::F, phrase.plural);
    let by_gender = |masculine, other| if feminine { other } else { masculine };
    let determiner = match phrase.determiner {
        Determiner::The => article(phrase.noun, plural),
        Determiner::A => by_gender("un", "una"),
        Determiner::This => by_gender(
            if plural { "estos" } else { "este" },
            if plural { "estas" } else { "esta" },
        ),
        Determiner::Bare => "",
        Determiner::Of(Owner::I) if plural => "mis",
        Determiner::Of(Owner::I) => "mi",
        Determiner::Of(Owner::We) if plural => by_gender("nuestros", "nuestras"),
        Determiner::Of(Owner::We) => by_gender("nuestro", "nuestra"),
        Determiner::Of(_) if plural => "sus",
        Determiner::Of(_) => "su",
        Determiner::Number(value) => number(value).es,
    };
    let noun = phrase.noun.es.1[usize::from(plural)];
    let Some(described) = phrase.adjective else {
        return join(&[determiner, noun]);
    };
    let form = adjective(described, phrase.noun.es.0, plural);
    match (described.en, form.as_str()) {
        // `bueno` goes before its noun and is shortened there.
        ("good", "bueno") => join(&[determiner, "buen", noun]),
        ("good", _) => join(&[determiner, &form, noun]),
        _ => join(&[determiner, noun, &form]),
    }
}

/// `a el` is `al`, `de el` is `del`.
fn contract(text: &str) -> String {
    let text = text.replace(" a el ", " al ").replace(" de el ", " del ");
    match text.strip_prefix("a el ") {
        Some(rest) => format!("al {rest}"),
        None => text,
    }
}

fn is_person(np: &Np) -> bool {
    match np {
        Np::Name(_) | Np::Pronoun(_) => true,
        Np::Noun(phrase) => phrase.noun.is(PERSON | FAMILY),
        Np::Genitive(_, noun) => noun.is(PERSON | FAMILY),
    }
}

fn complete(verb: &Verb, complement: &Complement) -> String {
    match (complement, &verb.frame) {
        (Complement::Object(np), _) => join(&[if is_person(np) { "a" } else { "" }, &noun_phrase(np)]),
        (Complement::Recipient(whom, what), _) => join(&[&noun_phrase(what), "a", &noun_phrase(whom)]),
        (Complement::Place(noun), Frame::Place(_, text)) => {
            join(&[text.es, article(noun, false), noun.es.1[0]])
        }
        (Complement::City(city), Frame::City(text)) => join(&[text.es, city.text.es]),
        (_, Frame::Fixed(text)) => text.es.to_string(),
        _ => String::new(),
    }
}

const IR: [&str; 4] = ["voy a", "va a", "vamos a", "van a"];
const CAN: [&str; 4] = ["puedo", "puede", "podemos", "pueden"];
const MUST: [&str; 4] = ["tengo que", "tiene que", "tenemos que", "tienen que"];
const WANT: [&str; 4] = ["quiero", "quiere", "queremos", "quieren"];
const ESTAR: [&str; 4] = ["estoy", "está", "estamos", "están"];
const ESTABA: [&str; 4] = ["estaba", "estaba", "estábamos", "estaban"];
const SER: [&str; 4] = ["soy", "es", "somos", "son"];
const ERA: [&str; 4] = ["era", "era", "éramos", "eran"];
const TENER: [&str; 4] = ["tengo", "tiene", "tenemos", "tienen"];
const TENIA: [&str; 4] = ["tenía", "tenía", "teníamos", "tenían"];
const REFLEXIVE: [&str; 4] = ["me", "se", "nos", "se"];

/// The verb in its mood, with the clitic before it or at the end of the infinitive.
fn verb_form(verb: &Verb, it: &Clause, clitic: &str) -> String {
    let index = agreement(&it.subject).index();
    let infinitive = format!("{}{clitic}", verb.es);
    match it.mood {
        Mood::Present => join(&[clitic, verb.es_now[index]]),
        Mood::Progressive if verb.es_gerund.is_empty() => join(&[clitic, verb.es_now[index]]),
        Mood::Past => join(&[clitic, verb.es_past[index]]),
        Mood::Progressive => join(&[clitic, ESTAR[index], verb.es_gerund]),
        Mood::Future => join(&[IR[index], &infinitive]),
        Mood::Can => join(&[CAN[index], &infinitive]),
        Mood::Must => join(&[MUST[index], &infinitive]),
        Mood::Want => join(&[WANT[index], &infinitive]),
    }
}

/// The clitic a verb asks for: itself, or whom it is done for.
fn clitic(verb: &Verb, complement: &Complement, index: usize) -> &'static str {
    match complement {
        Complement::Recipient(whom, _) if agreement(whom).plural => "les",
        Complement::Recipient(..) => "le",
        _ if verb.es_reflexive => REFLEXIVE[index],
        _ => "",
    }
}

fn time(time: &Option<Time>) -> String {
    match time {
        None => String::new(),
        Some(Time::Phrase(phrase)) => phrase.text.es.to_string(),
        Some(Time::Clock(hour)) => format!("a las {}", number(*hour).es),
    }
}

fn place(place: &Option<Place>) -> String {
    match place {
        None => String::new(),
        Some(Place::City(city)) => format!("en {}", city.text.es),
        Some(Place::In(noun)) => join(&[noun.at.map_or("", |at| at.es), article(noun, false), noun.es.1[0]]),
    }
}

/// Who likes: `a Anna le`, `me`.
fn liker(subject: &Np) -> (String, &'static str) {
    match subject {
        Np::Pronoun(Pronoun::I) => (String::new(), "me"),
        Np::Pronoun(Pronoun::We) => (String::new(), "nos"),
        _ => (
            join(&["a", &noun_phrase(subject)]),
            if agreement(subject).plural { "les" } else { "le" },
        ),
    }
}

/// Subject and predicate, without the time.
fn core(it: &Clause) -> (String, String) {
    let agrees = agreement(&it.subject);
    let index = agrees.index();
    let subject = noun_phrase(&it.subject);
    let no = if it.negated { "no" } else { "" };
    let past = it.mood == Mood::Past;
    let is = |state: bool| match (state, past) {
        (true, false) => ESTAR[index],
        (true, true) => ESTABA[index],
        (false, false) => SER[index],
        (false, true) => ERA[index],
    };
    let predicate = match &it.predicate {
        Predicate::Verb(verb, complement) => {
            let form = verb_form(verb, it, clitic(verb, complement, index));
            join(&[no, &form, &complete(verb, complement)])
        }
        Predicate::Play(instrument) => {
            let form = verb_form(&PLAY[0], it, "");
            join(&[no, &form, article(instrument, false), instrument.es.1[0]])
        }
        Predicate::Be(described) => join(&[
            no,
            is(described.state),
            &adjective(described, agrees.gender, agrees.plural),
        ]),
        Predicate::BeMore(described, than) => {
            let more = match described.en {
                "good" if agrees.plural => "mejores".to_string(),
                "good" => "mejor".to_string(),
                _ => join(&["más", &adjective(described, agrees.gender, agrees.plural)]),
            };
            join(&[no, is(described.state), &more, "que", &noun_phrase(than)])
        }
        Predicate::BeAt(relation, thing) => join(&[no, is(true), relation.text.es, &noun_phrase(thing)]),
        Predicate::BeIn(noun) => join(&[no, is(true), &place(&Some(Place::In(noun)))]),
        Predicate::BeA(noun) => join(&[no, is(false), noun.es.1[0]]),
        Predicate::BeYearsOld(age) => join(&[
            no,
            if past { TENIA } else { TENER }[index],
            number(*age).es,
            "años",
        ]),
        Predicate::Idiom(idiom) => join(&[no, if past { TENIA } else { TENER }[index], idiom.text.es]),
        Predicate::Like(thing) => {
            let (liker, clitic) = liker(&it.subject);
            let verb = if agreement(thing).plural {
                "gustan"
            } else {
                "gusta"
            };
            // What is liked is the Spanish subject, and a subject has its article.
            let thing = match thing {
                Np::Noun(phrase) if phrase.determiner == Determiner::Bare => Np::Noun(NounPhrase {
                    determiner: Determiner::The,
                    ..*phrase
                }),
                other => *other,
            };
            return (liker, join(&[no, clitic, verb, &noun_phrase(&thing)]));
        }
        Predicate::LikeTo(verb, complement) => {
            let (liker, clitic) = liker(&it.subject);
            let own = if verb.es_reflexive { REFLEXIVE[index] } else { "" };
            let infinitive = format!("{}{own}", verb.es);
            return (
                liker,
                join(&[no, clitic, "gusta", &infinitive, &complete(verb, complement)]),
            );
        }
        Predicate::Weather(weather) => weather.es[usize::from(past)].to_string(),
        Predicate::Cost(euros) => join(&[
            if agrees.plural { "cuestan" } else { "cuesta" },
            number(*euros).es,
            "euros",
        ]),
    };
    (subject, join(&[&predicate, &place(&it.place)]))
}

fn clause(it: &Clause) -> String {
    let (subject, predicate) = core(it);
    if it.fronted {
        join(&[&time(&it.time), &subject, &predicate])
    } else {
        join(&[&subject, &predicate, &time(&it.time)])
    }
}

/// A clause whose subject was named before: its pronoun is left out.
fn continuation(it: &Clause) -> String {
    if matches!(it.subject, Np::Pronoun(_)) {
        join(&[&core(it).1, &time(&it.time)])
    } else {
        clause(it)
    }
}

/// A sentence, cased and punctuated.
pub(super) fn sentence(sentence: &Sentence) -> String {
    let (text, question) = match sentence {
        Sentence::Statement(it) => (clause(it), false),
        Sentence::Because(main, reason) => (join(&[&clause(main), "porque", &continuation(reason)]), false),
        Sentence::Condition(kind, condition, main) => {
            let word = if *kind == Condition::If { "si" } else { "cuando" };
            (join(&[word, &clause(condition), ",", &continuation(main)]), false)
        }
        Sentence::Reported(subject, report, content) => {
            let forms = match report {
                Report::Think => ["creo", "cree", "creemos", "creen"],
                Report::Know => ["sé", "sabe", "sabemos", "saben"],
                Report::Say => ["digo", "dice", "decimos", "dicen"],
            };
            let verb = forms[agreement(subject).index()];
            (
                join(&[&noun_phrase(subject), verb, "que", &clause(content)]),
                false,
            )
        }
        Sentence::Purpose(main, verb, complement) => (
            join(&[&clause(main), "para", verb.es, &complete(verb, complement)]),
            false,
        ),
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
            let know = ["conozco", "conoce", "conocemos", "conocen"][agreement(subject).index()];
            let person = join(&["a", &noun_phrase(&Np::Noun(*person))]);
            (
                join(&[&noun_phrase(subject), know, &person, "que", &core(&who).1]),
                false,
            )
        }
        Sentence::There(thing, relation, place) => {
            let thing = noun_phrase(&Np::Noun(*thing));
            (
                join(&["hay", &thing, relation.text.es, &noun_phrase(place)]),
                false,
            )
        }
        Sentence::Hurts(whose, part, plural) => {
            let (whom, clitic) = liker(whose);
            let verb = if *plural { "duelen" } else { "duele" };
            (
                join(&[
                    &whom,
                    clitic,
                    verb,
                    article(part, *plural),
                    part.es.1[usize::from(*plural)],
                ]),
                false,
            )
        }
        Sentence::WhereIs(thing) => (
            join(&["dónde", ESTAR[agreement(thing).index()], &noun_phrase(thing)]),
            true,
        ),
        Sentence::HowMuch(thing) => {
            let cost = if agreement(thing).plural {
                "cuestan"
            } else {
                "cuesta"
            };
            (join(&["cuánto", cost, &noun_phrase(thing)]), true)
        }
        Sentence::WhatTime(subject, verb) => {
            let finite = verb.es_now[agreement(subject).index()];
            (join(&["a qué hora", finite, &noun_phrase(subject)]), true)
        }
        Sentence::Asked(it) => {
            // The subject goes behind the verb: `¿Está Anna en casa?`; a long verb stays whole.
            let (subject, predicate) = core(it);
            let (first, rest) = predicate.split_once(' ').unwrap_or((&predicate, ""));
            let simple = matches!(it.mood, Mood::Present | Mood::Past);
            let text = if simple {
                join(&[first, &subject, rest])
            } else {
                join(&[&subject, &predicate])
            };
            (join(&[&text, &time(&it.time)]), true)
        }
    };
    let text = contract(&text);
    if question {
        format!("¿{}", finish(&text, "?"))
    } else {
        finish(&text, ".")
    }
}
