//! Names, cities, times, relations in space, numbers, the weather, idioms.

use super::classes::*;
use crate::grammar::syntax::{Four, Gender, Gender::*, Mood};

/// A given name, the same in all four languages.
#[derive(Debug, PartialEq)]
pub(crate) struct Name {
    pub(crate) text: &'static str,
    pub(crate) gender: Gender,
    pub(crate) rare: bool,
}

/// A city.
#[derive(Debug, PartialEq)]
pub(crate) struct City {
    pub(crate) text: Four,
    pub(crate) rare: bool,
}

/// A phrase of time.
#[derive(Debug, PartialEq)]
pub(crate) struct Phrase {
    pub(crate) text: Four,
    /// The moods it goes with.
    pub(crate) moods: &'static [Mood],
    /// Whether it may stand before the subject.
    pub(crate) fronts: bool,
}

/// A relation in space; the German preposition governs the dative.
#[derive(Debug, PartialEq)]
pub(crate) struct Relation {
    pub(crate) text: Four,
    /// What the other thing must be.
    pub(crate) classes: Classes,
}

/// The weather without a verb of its own.
#[derive(Debug, PartialEq)]
pub(crate) struct Weather {
    pub(crate) en: &'static str,
    pub(crate) de: &'static str,
    /// Present and past.
    pub(crate) es: [&'static str; 2],
    /// Present and past.
    pub(crate) fr: [&'static str; 2],
}

/// `be hungry`, where the others have something.
#[derive(Debug, PartialEq)]
pub(crate) struct Idiom {
    pub(crate) text: Four,
    /// What is done about it: this class is eaten or drunk.
    pub(crate) remedy: Classes,
}

const fn name(text: &'static str, gender: Gender) -> Name {
    Name {
        text,
        gender,
        rare: false,
    }
}

const fn four(en: &'static str, de: &'static str, es: &'static str, fr: &'static str) -> Four {
    Four { en, de, es, fr }
}

const fn city(text: Four) -> City {
    City { text, rare: false }
}

const fn phrase(text: Four, moods: &'static [Mood], fronts: bool) -> Phrase {
    Phrase { text, moods, fronts }
}

/// The common names.
pub(crate) static NAMES: &[Name] = &[
    name("Anna", F),
    name("Maria", F),
    name("Sara", F),
    name("Julia", F),
    name("Emma", F),
    name("Laura", F),
    name("Tom", M),
    name("Daniel", M),
    name("David", M),
    name("Peter", M),
    name("Paul", M),
    name("Simon", M),
];

/// The common cities.
pub(crate) static CITIES: &[City] = &[
    city(four("London", "London", "Londres", "Londres")),
    city(four("Berlin", "Berlin", "Berlín", "Berlin")),
    city(four("Paris", "Paris", "París", "Paris")),
    city(four("Madrid", "Madrid", "Madrid", "Madrid")),
    city(four("Rome", "Rom", "Roma", "Rome")),
    city(four("Vienna", "Wien", "Viena", "Vienne")),
];

const HABIT: &[Mood] = &[Mood::Present];
const NOW: &[Mood] = &[Mood::Progressive];
const PAST: &[Mood] = &[Mood::Past];
const AHEAD: &[Mood] = &[Mood::Future, Mood::Can, Mood::Must, Mood::Want];

/// When things happen.
pub(crate) static TIMES: &[Phrase] = &[
    phrase(
        four("every day", "jeden Tag", "todos los días", "tous les jours"),
        HABIT,
        true,
    ),
    phrase(
        four(
            "every morning",
            "jeden Morgen",
            "todas las mañanas",
            "tous les matins",
        ),
        HABIT,
        true,
    ),
    phrase(
        four(
            "every evening",
            "jeden Abend",
            "todas las noches",
            "tous les soirs",
        ),
        HABIT,
        true,
    ),
    phrase(
        four(
            "every week",
            "jede Woche",
            "todas las semanas",
            "toutes les semaines",
        ),
        HABIT,
        true,
    ),
    phrase(
        four(
            "on weekends",
            "am Wochenende",
            "los fines de semana",
            "le week-end",
        ),
        HABIT,
        true,
    ),
    phrase(
        four("in the summer", "im Sommer", "en verano", "en été"),
        HABIT,
        true,
    ),
    phrase(
        four("in the winter", "im Winter", "en invierno", "en hiver"),
        HABIT,
        true,
    ),
    phrase(four("now", "jetzt", "ahora", "maintenant"), NOW, false),
    phrase(
        four("at the moment", "im Moment", "en este momento", "en ce moment"),
        NOW,
        true,
    ),
    phrase(four("yesterday", "gestern", "ayer", "hier"), PAST, true),
    phrase(
        four(
            "last week",
            "letzte Woche",
            "la semana pasada",
            "la semaine dernière",
        ),
        PAST,
        true,
    ),
    phrase(
        four("last night", "gestern Abend", "anoche", "hier soir"),
        PAST,
        true,
    ),
    phrase(
        four("this morning", "heute Morgen", "esta mañana", "ce matin"),
        PAST,
        true,
    ),
    phrase(
        four("on sunday", "am Sonntag", "el domingo", "dimanche"),
        PAST,
        true,
    ),
    phrase(four("today", "heute", "hoy", "aujourd'hui"), AHEAD, true),
    phrase(four("tomorrow", "morgen", "mañana", "demain"), AHEAD, true),
    phrase(
        four("tonight", "heute Abend", "esta noche", "ce soir"),
        AHEAD,
        true,
    ),
    phrase(
        four(
            "this afternoon",
            "heute Nachmittag",
            "esta tarde",
            "cet après-midi",
        ),
        AHEAD,
        true,
    ),
    phrase(
        four(
            "next week",
            "nächste Woche",
            "la semana que viene",
            "la semaine prochaine",
        ),
        AHEAD,
        true,
    ),
    phrase(four("on monday", "am Montag", "el lunes", "lundi"), AHEAD, true),
    phrase(
        four("on friday", "am Freitag", "el viernes", "vendredi"),
        AHEAD,
        true,
    ),
    phrase(
        four("on saturday", "am Samstag", "el sábado", "samedi"),
        AHEAD,
        true,
    ),
];

/// Where something lies or stands.
pub(crate) static RELATIONS: &[Relation] = &[
    Relation {
        text: four("on", "auf", "sobre", "sur"),
        classes: SURFACE,
    },
    Relation {
        text: four("under", "unter", "debajo de", "sous"),
        classes: SURFACE,
    },
    Relation {
        text: four("next to", "neben", "al lado de", "à côté de"),
        classes: SURFACE | DOOR,
    },
    Relation {
        text: four("behind", "hinter", "detrás de", "derrière"),
        classes: SURFACE,
    },
];

/// The weather.
pub(crate) static WEATHER: &[Weather] = &[
    Weather {
        en: "cold",
        de: "kalt",
        es: ["hace frío", "hacía frío"],
        fr: ["fait froid", "faisait froid"],
    },
    Weather {
        en: "hot",
        de: "heiß",
        es: ["hace calor", "hacía calor"],
        fr: ["fait chaud", "faisait chaud"],
    },
    Weather {
        en: "windy",
        de: "windig",
        es: ["hace viento", "hacía viento"],
        fr: ["y a du vent", "y avait du vent"],
    },
    Weather {
        en: "sunny",
        de: "sonnig",
        es: ["hace sol", "hacía sol"],
        fr: ["y a du soleil", "y avait du soleil"],
    },
];

/// Hunger and thirst.
pub(crate) static IDIOMS: &[Idiom] = &[
    Idiom {
        text: four("hungry", "Hunger", "hambre", "faim"),
        remedy: FOOD,
    },
    Idiom {
        text: four("thirsty", "Durst", "sed", "soif"),
        remedy: DRINK,
    },
];

/// The numbers that are counted with.
pub(crate) static NUMBERS: &[(u8, Four)] = &[
    (2, four("two", "zwei", "dos", "deux")),
    (3, four("three", "drei", "tres", "trois")),
    (4, four("four", "vier", "cuatro", "quatre")),
    (5, four("five", "fünf", "cinco", "cinq")),
    (6, four("six", "sechs", "seis", "six")),
    (7, four("seven", "sieben", "siete", "sept")),
    (8, four("eight", "acht", "ocho", "huit")),
    (9, four("nine", "neun", "nueve", "neuf")),
    (10, four("ten", "zehn", "diez", "dix")),
    (11, four("eleven", "elf", "once", "onze")),
    (12, four("twelve", "zwölf", "doce", "douze")),
    (15, four("fifteen", "fünfzehn", "quince", "quinze")),
    (20, four("twenty", "zwanzig", "veinte", "vingt")),
    (30, four("thirty", "dreißig", "treinta", "trente")),
    (40, four("forty", "vierzig", "cuarenta", "quarante")),
];

/// A number's word in every language.
pub(crate) fn number(number: u8) -> Four {
    let found = NUMBERS.iter().find(|(value, _)| *value == number);
    // The sampler draws from the table itself; the empty word would fail every test of lengths and words.
    found.map_or(four("", "", "", ""), |(_, text)| *text)
}
