//! Sentences whose four forms were written by hand: word order, case, gender, agreement, contraction, elision.

use super::lexicon::adjectives::{ADJECTIVES, Adjective};
use super::lexicon::nouns::{NOUNS, Noun};
use super::lexicon::phrases::{CITIES, IDIOMS, NAMES, RELATIONS, TIMES};
use super::lexicon::verbs::{RAIN, VERBS, Verb};
use super::sample::simple;
use super::syntax::*;
use super::{english, french, german, spanish};

fn noun(text: &str) -> &'static Noun {
    NOUNS.iter().find(|noun| noun.en[0] == text).unwrap()
}

fn verb(text: &str) -> &'static Verb {
    VERBS.iter().find(|verb| verb.en[0] == text).unwrap()
}

fn adjective(text: &str) -> &'static Adjective {
    ADJECTIVES.iter().find(|adjective| adjective.en == text).unwrap()
}

fn name(text: &str) -> Np {
    Np::Name(NAMES.iter().find(|name| name.text == text).unwrap())
}

fn np(determiner: Determiner, described: &str, text: &str) -> Np {
    let described = (!described.is_empty()).then(|| adjective(described));
    Np::Noun(NounPhrase {
        noun: noun(text),
        determiner,
        adjective: described,
        plural: false,
    })
}

fn many(determiner: Determiner, described: &str, text: &str) -> Np {
    let Np::Noun(phrase) = np(determiner, described, text) else {
        unreachable!()
    };
    Np::Noun(NounPhrase {
        plural: true,
        ..phrase
    })
}

fn does(subject: Np, infinitive: &str, object: Np, mood: Mood) -> Clause {
    simple(
        subject,
        Predicate::Verb(verb(infinitive), Complement::Object(object)),
        mood,
    )
}

fn at(clause: Clause, time: &str, fronted: bool) -> Clause {
    let time = TIMES.iter().find(|phrase| phrase.text.en == time).unwrap();
    Clause {
        time: Some(Time::Phrase(time)),
        fronted,
        ..clause
    }
}

#[track_caller]
fn says(sentence: Sentence, expected: [&str; 4]) {
    let got = [
        english::sentence(&sentence),
        german::sentence(&sentence),
        spanish::sentence(&sentence),
        french::sentence(&sentence),
    ];
    assert_eq!(got, expected);
}

const I: Np = Np::Pronoun(Pronoun::I);

#[test]
fn german_verb_stands_second_after_a_time() {
    let clause = does(
        name("Anna"),
        "call",
        np(Determiner::Of(Owner::She), "", "brother"),
        Mood::Present,
    );
    says(
        Sentence::Statement(at(clause, "every evening", true)),
        [
            "Every evening Anna calls her brother.",
            "Jeden Abend ruft Anna ihren Bruder an.",
            "Todas las noches Anna llama a su hermano.",
            "Tous les soirs, Anna appelle son frère.",
        ],
    );
}

#[test]
fn german_verb_stands_last_after_a_conjunction() {
    let reason = does(
        Np::Pronoun(Pronoun::He),
        "lose",
        np(Determiner::A, "new", "hat"),
        Mood::Past,
    );
    let main = simple(name("Peter"), Predicate::Be(adjective("sad")), Mood::Present);
    says(
        Sentence::Because(main, reason),
        [
            "Peter is sad because he lost a new hat.",
            "Peter ist traurig, weil er einen neuen Hut verloren hat.",
            "Peter está triste porque perdió un sombrero nuevo.",
            "Peter est triste parce qu'il a perdu un nouveau chapeau.",
        ],
    );
    let content = does(
        name("Emma"),
        "invite",
        np(Determiner::The, "", "neighbor"),
        Mood::Present,
    );
    says(
        Sentence::Reported(I, Report::Think, content),
        [
            "I think that Emma invites the neighbor.",
            "Ich glaube, dass Emma den Nachbarn einlädt.",
            "Creo que Emma invita al vecino.",
            "Je pense qu'Emma invite le voisin.",
        ],
    );
}

#[test]
fn main_clause_is_inverted_after_a_condition() {
    let rain = simple(
        Np::Pronoun(Pronoun::It),
        Predicate::Verb(&RAIN[0], Complement::None),
        Mood::Present,
    );
    let stay = simple(
        np(Determiner::Of(Owner::I), "", "sister"),
        Predicate::Verb(verb("stay"), Complement::None),
        Mood::Future,
    );
    says(
        Sentence::Condition(Condition::If, rain, stay),
        [
            "If it rains, my sister will stay at home.",
            "Wenn es regnet, wird meine Schwester zu Hause bleiben.",
            "Si llueve, mi hermana va a quedarse en casa.",
            "S'il pleut, ma sœur va rester à la maison.",
        ],
    );
}

#[test]
fn case_follows_the_verb_and_its_objects() {
    let give = Complement::Recipient(
        np(Determiner::The, "", "student"),
        np(Determiner::A, "red", "apple"),
    );
    says(
        Sentence::Statement(simple(
            name("Maria"),
            Predicate::Verb(verb("give"), give),
            Mood::Past,
        )),
        [
            "Maria gave the student a red apple.",
            "Maria hat dem Studenten einen roten Apfel gegeben.",
            "Maria le dio una manzana roja al estudiante.",
            "Maria a donné une pomme rouge à l'étudiant.",
        ],
    );
    says(
        Sentence::Statement(does(
            name("Tom"),
            "help",
            many(Determiner::The, "", "child"),
            Mood::Must,
        )),
        [
            "Tom must help the children.",
            "Tom muss den Kindern helfen.",
            "Tom tiene que ayudar a los niños.",
            "Tom doit aider les enfants.",
        ],
    );
    says(
        Sentence::Statement(does(
            name("Tom"),
            "wait",
            np(Determiner::The, "", "bus"),
            Mood::Progressive,
        )),
        [
            "Tom is waiting for the bus.",
            "Tom wartet gerade auf den Bus.",
            "Tom está esperando el autobús.",
            "Tom attend le bus.",
        ],
    );
}

#[test]
fn adjectives_agree_in_gender_number_and_case() {
    let objects = [
        (
            np(Determiner::A, "old", "dress"),
            "an old dress",
            "ein altes Kleid",
            "un vestido viejo",
            "une vieille robe",
        ),
        (
            np(Determiner::A, "old", "coat"),
            "an old coat",
            "einen alten Mantel",
            "un abrigo viejo",
            "un vieux manteau",
        ),
        (
            np(Determiner::The, "new", "jacket"),
            "the new jacket",
            "die neue Jacke",
            "la chaqueta nueva",
            "la nouvelle veste",
        ),
        (
            many(Determiner::Number(3), "white", "shirt"),
            "three white shirts",
            "drei weiße Hemden",
            "tres camisas blancas",
            "trois chemises blanches",
        ),
    ];
    for (object, en, de, es, fr) in objects {
        says(
            Sentence::Statement(does(I, "wash", object, Mood::Present)),
            [
                &format!("I wash {en}."),
                &format!("Ich wasche {de}."),
                &format!("Lavo {es}."),
                &format!("Je lave {fr}."),
            ],
        );
    }
    let computer = np(Determiner::Of(Owner::I), "new", "computer");
    says(
        Sentence::Statement(does(name("Paul"), "repair", computer, Mood::Past)),
        [
            "Paul repaired my new computer.",
            "Paul hat meinen neuen Computer repariert.",
            "Paul reparó mi ordenador nuevo.",
            "Paul a réparé mon nouvel ordinateur.",
        ],
    );
}

#[test]
fn articles_contract_and_elide() {
    let go = Complement::Place(noun("hospital"));
    says(
        Sentence::Statement(simple(
            np(Determiner::The, "", "woman"),
            Predicate::Verb(verb("go"), go),
            Mood::Past,
        )),
        [
            "The woman went to the hospital.",
            "Die Frau ist zum Krankenhaus gegangen.",
            "La mujer fue al hospital.",
            "La femme est allée à l'hôpital.",
        ],
    );
    let next_to = RELATIONS
        .iter()
        .find(|relation| relation.text.en == "next to")
        .unwrap();
    let orange = NounPhrase {
        noun: noun("orange"),
        determiner: Determiner::A,
        adjective: None,
        plural: false,
    };
    says(
        Sentence::There(orange, next_to, np(Determiner::The, "", "sofa")),
        [
            "There is an orange next to the sofa.",
            "Neben dem Sofa ist eine Orange.",
            "Hay una naranja al lado del sofá.",
            "Il y a une orange à côté du canapé.",
        ],
    );
    says(
        Sentence::Statement(does(
            I,
            "drink",
            np(Determiner::The, "cold", "water"),
            Mood::Progressive,
        )),
        [
            "I am drinking the cold water.",
            "Ich trinke gerade das kalte Wasser.",
            "Estoy bebiendo el agua fría.",
            "Je bois l'eau froide.",
        ],
    );
}

#[test]
fn reflexive_verbs_take_the_pronoun_of_their_subject() {
    let up = |subject, mood| simple(subject, Predicate::Verb(verb("get"), Complement::None), mood);
    let clock = |clause| Clause {
        time: Some(Time::Clock(7)),
        ..clause
    };
    says(
        Sentence::Statement(clock(up(Np::Pronoun(Pronoun::We), Mood::Must))),
        [
            "We must get up at seven o'clock.",
            "Wir müssen um sieben Uhr aufstehen.",
            "Tenemos que levantarnos a las siete.",
            "Nous devons nous lever à sept heures.",
        ],
    );
    says(
        Sentence::Statement(clock(up(
            np(Determiner::Of(Owner::We), "", "daughter"),
            Mood::Past,
        ))),
        [
            "Our daughter got up at seven o'clock.",
            "Unsere Tochter ist um sieben Uhr aufgestanden.",
            "Nuestra hija se levantó a las siete.",
            "Notre fille s'est levée à sept heures.",
        ],
    );
}

#[test]
fn relative_pronouns_agree_with_their_noun() {
    for (person, de, es, fr) in [
        ("woman", "die Frau, die", "a la mujer", "la femme"),
        ("girl", "das Mädchen, das", "a la chica", "la fille"),
        ("doctor", "den Arzt, der", "al médico", "le médecin"),
    ] {
        let Np::Noun(phrase) = np(Determiner::The, "", person) else {
            unreachable!()
        };
        let city = CITIES.iter().find(|city| city.text.en == "Vienna").unwrap();
        says(
            Sentence::Who(I, phrase, Predicate::Verb(verb("live"), Complement::City(city))),
            [
                &format!("I know the {person} who lives in Vienna."),
                &format!("Ich kenne {de} in Wien wohnt."),
                &format!("Conozco {es} que vive en Viena."),
                &format!("Je connais {fr} qui habite à Vienne."),
            ],
        );
    }
}

#[test]
fn what_one_language_says_otherwise_is_said_otherwise() {
    let apples = many(Determiner::Bare, "", "apple");
    says(
        Sentence::Statement(simple(name("Laura"), Predicate::Like(apples), Mood::Present)),
        [
            "Laura likes apples.",
            "Laura mag Äpfel.",
            "A Laura le gustan las manzanas.",
            "Laura aime les pommes.",
        ],
    );
    says(
        Sentence::Statement(simple(I, Predicate::Idiom(&IDIOMS[0]), Mood::Present)),
        ["I am hungry.", "Ich habe Hunger.", "Tengo hambre.", "J'ai faim."],
    );
    says(
        Sentence::Hurts(np(Determiner::Of(Owner::He), "", "sister"), noun("foot"), true),
        [
            "His sister's feet hurt.",
            "Seiner Schwester tun die Füße weh.",
            "A su hermana le duelen los pies.",
            "Sa sœur a mal aux pieds.",
        ],
    );
    says(
        Sentence::Statement(simple(name("Julia"), Predicate::BeYearsOld(12), Mood::Present)),
        [
            "Julia is twelve years old.",
            "Julia ist zwölf Jahre alt.",
            "Julia tiene doce años.",
            "Julia a douze ans.",
        ],
    );
}

#[test]
fn purpose_has_its_infinitive_where_the_language_puts_it() {
    let go = simple(
        name("David"),
        Predicate::Verb(verb("go"), Complement::Place(noun("market"))),
        Mood::Want,
    );
    let eggs = many(Determiner::Number(6), "", "egg");
    says(
        Sentence::Purpose(go, verb("buy"), Complement::Object(eggs)),
        [
            "David wants to go to the market to buy six eggs.",
            "David möchte zum Markt gehen, um sechs Eier zu kaufen.",
            "David quiere ir al mercado para comprar seis huevos.",
            "David veut aller au marché pour acheter six œufs.",
        ],
    );
}

#[test]
fn negation_and_questions_keep_their_order() {
    let clause = Clause {
        negated: true,
        ..does(
            name("Sara"),
            "need",
            np(Determiner::The, "", "umbrella"),
            Mood::Present,
        )
    };
    says(
        Sentence::Statement(clause),
        [
            "Sara doesn't need the umbrella.",
            "Sara braucht den Regenschirm nicht.",
            "Sara no necesita el paraguas.",
            "Sara n'a pas besoin du parapluie.",
        ],
    );
    let open = does(
        np(Determiner::The, "", "waiter"),
        "open",
        np(Determiner::The, "", "window"),
        Mood::Can,
    );
    says(
        Sentence::Asked(open),
        [
            "Can the waiter open the window?",
            "Kann der Kellner das Fenster öffnen?",
            "¿El camarero puede abrir la ventana?",
            "Est-ce que le serveur peut ouvrir la fenêtre ?",
        ],
    );
    says(
        Sentence::WhatTime(np(Determiner::The, "", "train"), verb("arrive")),
        [
            "What time does the train arrive?",
            "Um wie viel Uhr kommt der Zug an?",
            "¿A qué hora llega el tren?",
            "À quelle heure arrive le train ?",
        ],
    );
    says(
        Sentence::HowMuch(many(Determiner::This, "", "potato")),
        [
            "How much do these potatoes cost?",
            "Wie viel kosten diese Kartoffeln?",
            "¿Cuánto cuestan estas patatas?",
            "Combien coûtent ces pommes de terre ?",
        ],
    );
}
