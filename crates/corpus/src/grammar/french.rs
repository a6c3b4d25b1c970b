//! French: gender agreement, elision, contracted and partitive articles, the perfect with `avoir` or `être`.

use super::lexicon::adjectives::Adjective;
use super::lexicon::nouns::Noun;
use super::lexicon::phrases::number;
use super::lexicon::verbs::{Frame, PLAY, Verb};
use super::syntax::*;

fn agreement(np: &Np) -> Agreement {
    np.agreement(|noun| noun.fr.0)
}

/// Whether a word begins with a vowel sound; no noun of the lexicon begins with an aspirated h.
fn begins_with_vowel(word: &str) -> bool {
    let first = word
        .chars()
        .next()
        .and_then(|character| character.to_lowercase().next());
    // `huit` and `onze` do not elide.
    !matches!(word, "huit" | "onze") && first.is_some_and(|first| "aàâeéèêiîoôuûhœ".contains(first))
}

fn adjective(adjective: &Adjective, gender: Gender, plural: bool) -> String {
    let [masculine, feminine, masculine_plural, _] = adjective.fr;
    match (gender, plural) {
        (Gender::F, false) => feminine.to_string(),
        (Gender::F, true) if adjective.en == "cheap" => feminine.to_string(),
        (Gender::F, true) => format!("{feminine}s"),
        (_, true) => masculine_plural.to_string(),
        (_, false) => masculine.to_string(),
    }
}

/// The definite article before elision and contraction.
fn article(noun: &Noun, plural: bool) -> &'static str {
    match (plural, noun.fr.0) {
        (true, _) => "les",
        (false, Gender::F) => "la",
        (false, _) => "le",
    }
}

fn noun_phrase(np: &Np) -> String {
    let phrase = match np {
        Np::Name(name) => return name.text.to_string(),
        Np::Pronoun(pronoun) => {
            return match pronoun {
                Pronoun::I => "je",
                Pronoun::We => "nous",
                Pronoun::He | Pronoun::It => "il",
                Pronoun::She => "elle",
                Pronoun::They => "ils",
            }
            .to_string();
        }
        Np::Genitive(name, noun) => return join(&[article(noun, false), noun.fr.1[0], "de", name.text]),
        Np::Noun(phrase) => phrase,
    };
    let (gender, plural) = (phrase.noun.fr.0, phrase.plural);
    let noun = phrase.noun.fr.1[usize::from(plural)];
    let described = match phrase.adjective {
        None => noun.to_string(),
        Some(described) if described.before => {
            let vowel = gender == Gender::M && !plural && begins_with_vowel(noun);
            let form = if vowel {
                described.fr[3].to_string()
            } else {
                adjective(described, gender, plural)
            };
            join(&[&form, noun])
        }
        Some(described) => join(&[noun, &adjective(described, gender, plural)]),
    };
    let feminine = gender == Gender::F;
    // `mon amie`: the masculine form before a vowel.
    let own = |masculine, other| {
        if feminine && !begins_with_vowel(&described) {
            other
        } else {
            masculine
        }
    };
    let determiner = match phrase.determiner {
        Determiner::The => article(phrase.noun, plural).to_string(),
        Determiner::A => if feminine { "une" } else { "un" }.to_string(),
        Determiner::This if plural => "ces".to_string(),
        Determiner::This if feminine => "cette".to_string(),
        Determiner::This if begins_with_vowel(&described) => "cet".to_string(),
        Determiner::This => "ce".to_string(),
        Determiner::Bare => format!("de {}", article(phrase.noun, plural)),
        Determiner::Of(Owner::I) if plural => "mes".to_string(),
        Determiner::Of(Owner::I) => own("mon", "ma").to_string(),
        Determiner::Of(Owner::We) if plural => "nos".to_string(),
        Determiner::Of(Owner::We) => "notre".to_string(),
        Determiner::Of(_) if plural => "ses".to_string(),
        Determiner::Of(_) => own("son", "sa").to_string(),
        Determiner::Number(value) => number(value).fr.to_string(),
    };
    join(&[&determiner, &described])
}

/// Elision first, then contraction: `de le hôtel` is `de l'hôtel`, `de le parc` is `du parc`.
fn polish(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let elides = words.last().is_some_and(|last| {
            let last = last.rsplit('\'').next().unwrap_or(last);
            matches!(last, "je" | "ne" | "se" | "me" | "que" | "de" | "le" | "la") && begins_with_vowel(word)
                || last == "si" && matches!(word, "il" | "ils")
        });
        match words.last_mut() {
            Some(last) if elides => {
                last.pop();
                last.push('\'');
                last.push_str(word);
            }
            _ => words.push(word.to_string()),
        }
    }
    let mut text = format!(" {} ", words.join(" "));
    for (long, short) in [
        (" à le ", " au "),
        (" à les ", " aux "),
        (" de le ", " du "),
        (" de les ", " des "),
    ] {
        text = text.replace(long, short);
    }
    text.trim().to_string()
}

fn complete(verb: &Verb, complement: &Complement) -> String {
    match (complement, &verb.frame) {
        (Complement::Object(np), Frame::Object { fr, .. }) => join(&[fr, &noun_phrase(np)]),
        (Complement::Recipient(whom, what), _) => join(&[&noun_phrase(what), "à", &noun_phrase(whom)]),
        (Complement::Place(noun), Frame::Place(_, text)) => {
            join(&[text.fr, article(noun, false), noun.fr.1[0]])
        }
        (Complement::City(city), Frame::City(text)) => join(&[text.fr, city.text.fr]),
        (_, Frame::Fixed(text)) => text.fr.to_string(),
        _ => String::new(),
    }
}

const ALLER: [&str; 4] = ["vais", "va", "allons", "vont"];
const CAN: [&str; 4] = ["peux", "peut", "pouvons", "peuvent"];
const MUST: [&str; 4] = ["dois", "doit", "devons", "doivent"];
const WANT: [&str; 4] = ["veux", "veut", "voulons", "veulent"];
const ETRE: [&str; 4] = ["suis", "est", "sommes", "sont"];
const ETAIT: [&str; 4] = ["étais", "était", "étions", "étaient"];
const AVOIR: [&str; 4] = ["ai", "a", "avons", "ont"];
const AVAIT: [&str; 4] = ["avais", "avait", "avions", "avaient"];
const AIMER: [&str; 4] = ["aime", "aime", "aimons", "aiment"];
const REFLEXIVE: [&str; 4] = ["me", "se", "nous", "se"];

/// The participle, agreeing with the subject of `être`.
fn participle(verb: &Verb, agrees: Agreement) -> String {
    let form = verb.fr[1];
    if !verb.fr_etre {
        return form.to_string();
    }
    let feminine = if agrees.gender == Gender::F { "e" } else { "" };
    format!("{form}{feminine}{}", if agrees.plural { "s" } else { "" })
}

/// The finite part, which `ne ... pas` encloses, and the rest.
fn verb_forms(verb: &Verb, it: &Clause) -> (String, String) {
    let agrees = agreement(&it.subject);
    let index = agrees.index();
    let clitic = if verb.fr_reflexive { REFLEXIVE[index] } else { "" };
    let modal = |forms: [&str; 4]| (forms[index].to_string(), join(&[clitic, verb.fr[0]]));
    match it.mood {
        Mood::Present | Mood::Progressive => {
            // `avoir besoin`: only the first word is the verb.
            let (first, rest) = verb.fr_now[index]
                .split_once(' ')
                .unwrap_or((verb.fr_now[index], ""));
            (join(&[clitic, first]), rest.to_string())
        }
        Mood::Past => {
            let auxiliary = if verb.fr_etre { ETRE } else { AVOIR }[index];
            (join(&[clitic, auxiliary]), participle(verb, agrees))
        }
        Mood::Future => modal(ALLER),
        Mood::Can => modal(CAN),
        Mood::Must => modal(MUST),
        Mood::Want => modal(WANT),
    }
}

fn time(time: &Option<Time>) -> String {
    match time {
        None => String::new(),
        Some(Time::Phrase(phrase)) => phrase.text.fr.to_string(),
        Some(Time::Clock(hour)) => format!("à {} heures", number(*hour).fr),
    }
}

fn place(place: &Option<Place>) -> String {
    match place {
        None => String::new(),
        Some(Place::City(city)) => format!("à {}", city.text.fr),
        Some(Place::In(noun)) => join(&[noun.at.map_or("", |at| at.fr), article(noun, false), noun.fr.1[0]]),
    }
}

/// The predicate without its time.
fn predication(it: &Clause) -> String {
    let agrees = agreement(&it.subject);
    let index = agrees.index();
    let past = it.mood == Mood::Past;
    let be = if past { ETAIT[index] } else { ETRE[index] };
    let have = if past { AVAIT[index] } else { AVOIR[index] };
    let negate = |finite: &str, rest: &str| {
        if it.negated {
            join(&["ne", finite, "pas", rest])
        } else {
            join(&[finite, rest])
        }
    };
    let text = match &it.predicate {
        Predicate::Verb(verb, complement) => {
            let (finite, rest) = verb_forms(verb, it);
            negate(&finite, &join(&[&rest, &complete(verb, complement)]))
        }
        Predicate::Play(instrument) => {
            let (finite, rest) = verb_forms(&PLAY[0], it);
            negate(
                &finite,
                &join(&[&rest, "de", article(instrument, false), instrument.fr.1[0]]),
            )
        }
        Predicate::Be(described) => negate(be, &adjective(described, agrees.gender, agrees.plural)),
        Predicate::BeMore(described, than) => {
            let column = usize::from(agrees.gender == Gender::F) + 2 * usize::from(agrees.plural);
            // `meilleur`, not `plus bon`; what is cheaper is less dear.
            let more = match described.en {
                "good" => ["meilleur", "meilleure", "meilleurs", "meilleures"][column].to_string(),
                "cheap" => ["moins cher", "moins chère", "moins chers", "moins chères"][column].to_string(),
                _ => join(&["plus", &adjective(described, agrees.gender, agrees.plural)]),
            };
            negate(be, &join(&[&more, "que", &noun_phrase(than)]))
        }
        Predicate::BeAt(relation, thing) => negate(be, &join(&[relation.text.fr, &noun_phrase(thing)])),
        Predicate::BeIn(noun) => negate(be, &place(&Some(Place::In(noun)))),
        Predicate::BeA(noun) => negate(be, noun.fr.1[0]),
        Predicate::BeYearsOld(age) => negate(have, &join(&[number(*age).fr, "ans"])),
        Predicate::Idiom(idiom) => negate(have, idiom.text.fr),
        Predicate::Like(thing) => {
            // A liking is general: the definite article, not the partitive one.
            let thing = match thing {
                Np::Noun(phrase) if phrase.determiner == Determiner::Bare => Np::Noun(NounPhrase {
                    determiner: Determiner::The,
                    ..*phrase
                }),
                other => *other,
            };
            negate(AIMER[index], &noun_phrase(&thing))
        }
        Predicate::LikeTo(verb, complement) => {
            let clitic = if verb.fr_reflexive { REFLEXIVE[index] } else { "" };
            negate(
                AIMER[index],
                &join(&[clitic, verb.fr[0], &complete(verb, complement)]),
            )
        }
        Predicate::Weather(weather) => weather.fr[usize::from(past)].to_string(),
        Predicate::Cost(euros) => negate(
            if agrees.plural { "coûtent" } else { "coûte" },
            &join(&[number(*euros).fr, "euros"]),
        ),
    };
    join(&[&text, &place(&it.place)])
}

fn clause(it: &Clause) -> String {
    let (subject, predicate) = (noun_phrase(&it.subject), predication(it));
    if it.fronted {
        join(&[&time(&it.time), ",", &subject, &predicate])
    } else {
        join(&[&subject, &predicate, &time(&it.time)])
    }
}

/// A sentence, cased and punctuated.
pub(super) fn sentence(sentence: &Sentence) -> String {
    let (text, mark) = match sentence {
        Sentence::Statement(it) => (clause(it), "."),
        Sentence::Because(main, reason) => (join(&[&clause(main), "parce que", &clause(reason)]), "."),
        Sentence::Condition(kind, condition, main) => {
            let word = if *kind == Condition::If { "si" } else { "quand" };
            (join(&[word, &clause(condition), ",", &clause(main)]), ".")
        }
        Sentence::Reported(subject, report, content) => {
            let forms = match report {
                Report::Think => ["pense", "pense", "pensons", "pensent"],
                Report::Know => ["sais", "sait", "savons", "savent"],
                Report::Say => ["dis", "dit", "disons", "disent"],
            };
            let verb = forms[agreement(subject).index()];
            (join(&[&noun_phrase(subject), verb, "que", &clause(content)]), ".")
        }
        Sentence::Purpose(main, verb, complement) => (
            join(&[&clause(main), "pour", verb.fr[0], &complete(verb, complement)]),
            ".",
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
            let know = ["connais", "connaît", "connaissons", "connaissent"][agreement(subject).index()];
            let person = noun_phrase(&Np::Noun(*person));
            (
                join(&[&noun_phrase(subject), know, &person, "qui", &predication(&who)]),
                ".",
            )
        }
        Sentence::There(thing, relation, place) => {
            let thing = noun_phrase(&Np::Noun(*thing));
            (
                join(&["il y a", &thing, relation.text.fr, &noun_phrase(place)]),
                ".",
            )
        }
        Sentence::Hurts(whose, part, plural) => {
            let part = join(&[article(part, *plural), part.fr.1[usize::from(*plural)]]);
            let have = AVOIR[agreement(whose).index()];
            (join(&[&noun_phrase(whose), have, "mal à", &part]), ".")
        }
        Sentence::WhereIs(thing) => (
            join(&["où", ETRE[agreement(thing).index()], &noun_phrase(thing)]),
            " ?",
        ),
        Sentence::HowMuch(thing) => {
            let cost = if agreement(thing).plural {
                "coûtent"
            } else {
                "coûte"
            };
            (join(&["combien", cost, &noun_phrase(thing)]), " ?")
        }
        Sentence::WhatTime(subject, verb) => {
            let finite = verb.fr_now[agreement(subject).index()];
            (join(&["à quelle heure", finite, &noun_phrase(subject)]), " ?")
        }
        Sentence::Asked(it) => (join(&["est-ce que", &clause(it)]), " ?"),
    };
    finish(&polish(&text), mark)
}
