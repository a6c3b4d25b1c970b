//! The rare words: English content words that no paired training utterance has and the unpaired text does have.
//!
//! They are spelled fairly regularly, so that a recogniser that writes letters has a chance at them.

use super::classes::*;
use super::nouns::{Noun, nouns};
use super::phrases::{City, Name};
use crate::grammar::syntax::{Four, Gender::*};

/// The rare nouns.
pub(crate) static RARE_NOUNS: &[Noun] = nouns! { true;
    "pilot" "pilots", M "Pilot" "Piloten" weak, M "piloto" "pilotos", M "pilote" "pilotes", PERSON|JOB;
    "dentist" "dentists", M "Zahnarzt" "Zahnärzte", M "dentista" "dentistas", M "dentiste" "dentistes", PERSON|JOB|MINE;
    "farmer" "farmers", M "Bauer" "Bauern" weak, M "agricultor" "agricultores", M "agriculteur" "agriculteurs", PERSON|JOB;
    "baker" "bakers", M "Bäcker" "Bäcker", M "panadero" "panaderos", M "boulanger" "boulangers", PERSON|JOB;
    "painter" "painters", M "Maler" "Maler", M "pintor" "pintores", M "peintre" "peintres", PERSON|JOB;
    "singer" "singers", M "Sänger" "Sänger", M "cantante" "cantantes", M "chanteur" "chanteurs", PERSON|JOB;
    "gardener" "gardeners", M "Gärtner" "Gärtner", M "jardinero" "jardineros", M "jardinier" "jardiniers", PERSON|JOB|MINE;
    "rabbit" "rabbits", N "Kaninchen" "Kaninchen", M "conejo" "conejos", M "lapin" "lapins", ANIMAL|PICTURE;
    "donkey" "donkeys", M "Esel" "Esel", M "burro" "burros", M "âne" "ânes", ANIMAL|PICTURE;
    "parrot" "parrots", M "Papagei" "Papageien" weak, M "loro" "loros", M "perroquet" "perroquets", ANIMAL|PICTURE;
    "duck" "ducks", F "Ente" "Enten", M "pato" "patos", M "canard" "canards", ANIMAL|PICTURE;
    "lemon" "lemons", F "Zitrone" "Zitronen", M "limón" "limones", M "citron" "citrons", PRODUCE;
    "melon" "melons", F "Melone" "Melonen", M "melón" "melones", M "melon" "melons", FOOD|PRODUCE;
    "carrot" "carrots", F "Karotte" "Karotten", F "zanahoria" "zanahorias", F "carotte" "carottes", FOOD|COOKED|PRODUCE;
    "onion" "onions", F "Zwiebel" "Zwiebeln", F "cebolla" "cebollas", M "oignon" "oignons", PRODUCE;
    "mushroom" "mushrooms", M "Pilz" "Pilze", F "seta" "setas", M "champignon" "champignons", FOOD|COOKED|PRODUCE;
    "butter" "butter", F "Butter" "Butter", F "mantequilla" "mantequilla", M "beurre" "beurre", MASS|PRODUCE;
    "honey" "honey", M "Honig" "Honig", F "miel" "miel", M "miel" "miel", FOOD|MASS|GIFT;
    "ham" "ham", M "Schinken" "Schinken", M "jamón" "jamón", M "jambon" "jambon", FOOD|MASS;
    "lemonade" "lemonade", F "Limonade" "Limonade", F "limonada" "limonada", F "limonade" "limonade", DRINK|MASS;
    "novel" "novels", M "Roman" "Romane", F "novela" "novelas", M "roman" "romans", TEXT|WRITTEN|GIFT;
    "poem" "poems", N "Gedicht" "Gedichte", M "poema" "poemas", M "poème" "poèmes", TEXT|WRITTEN;
    "trumpet" "trumpets", F "Trompete" "Trompeten", F "trompeta" "trompetas", F "trompette" "trompettes", INSTRUMENT|GOODS;
    "flute" "flutes", F "Flöte" "Flöten", F "flauta" "flautas", F "flûte" "flûtes", INSTRUMENT|GIFT;
    "pullover" "pullovers", M "Pullover" "Pullover", M "jersey" "jerséis", M "pull" "pulls", CLOTHES|GIFT;
    "helmet" "helmets", M "Helm" "Helme", M "casco" "cascos", M "casque" "casques", THING|GOODS;
    "scarf" "scarves", M "Schal" "Schals", F "bufanda" "bufandas", F "écharpe" "écharpes", CLOTHES|THING|GIFT;
    "printer" "printers", M "Drucker" "Drucker", F "impresora" "impresoras", F "imprimante" "imprimantes", DEVICE|GOODS;
    "tractor" "tractors", M "Traktor" "Traktoren", M "tractor" "tractores", M "tracteur" "tracteurs", VEHICLE|PICTURE;
    "tram" "trams", F "Straßenbahn" "Straßenbahnen", M "tranvía" "tranvías", M "tramway" "tramways", LINE;
    "mirror" "mirrors", M "Spiegel" "Spiegel", M "espejo" "espejos", M "miroir" "miroirs", FURNITURE|GOODS;
    "carpet" "carpets", M "Teppich" "Teppiche", F "alfombra" "alfombras", M "tapis" "tapis", FURNITURE|GOODS|SURFACE;
    "basket" "baskets", M "Korb" "Körbe", F "cesta" "cestas", M "panier" "paniers", LUGGAGE|THING;
    "candle" "candles", F "Kerze" "Kerzen", F "vela" "velas", F "bougie" "bougies", GIFT|THING;
    "pencil" "pencils", M "Bleistift" "Bleistifte", M "lápiz" "lápices", M "crayon" "crayons", THING|GIFT;
    "hammer" "hammers", M "Hammer" "Hämmer", M "martillo" "martillos", M "marteau" "marteaux", THING;
    "wallet" "wallets", F "Brieftasche" "Brieftaschen", F "cartera" "carteras", M "portefeuille" "portefeuilles", THING|GIFT;
    "blanket" "blankets", F "Decke" "Decken", F "manta" "mantas", F "couverture" "couvertures", THING|GIFT;
    "spoon" "spoons", M "Löffel" "Löffel", F "cuchara" "cucharas", F "cuillère" "cuillères", TABLEWARE;
    "fork" "forks", F "Gabel" "Gabeln", M "tenedor" "tenedores", F "fourchette" "fourchettes", TABLEWARE;
    "castle" "castles", N "Schloss" "Schlösser", M "castillo" "castillos", M "château" "châteaux", SIGHT|PICTURE;
    "temple" "temples", M "Tempel" "Tempel", M "templo" "templos", M "temple" "temples", SIGHT;
    "stadium" "stadiums", N "Stadion" "Stadien", M "estadio" "estadios", M "stade" "stades", PLACE|SIGHT|WORKPLACE, at "at" "in" "en" "à";
    "bakery" "bakeries", F "Bäckerei" "Bäckereien", F "panadería" "panaderías", F "boulangerie" "boulangeries", PLACE|WORKPLACE, at "at" "in" "en" "à";
    "factory" "factories", F "Fabrik" "Fabriken", F "fábrica" "fábricas", F "usine" "usines", PLACE|WORKPLACE, at "in" "in" "en" "à";
    "concert" "concerts", N "Konzert" "Konzerte", M "concierto" "conciertos", M "concert" "concerts", EVENT;
    "finger" "fingers", M "Finger" "Finger", M "dedo" "dedos", M "doigt" "doigts", BODY;
    "elbow" "elbows", M "Ellbogen" "Ellbogen", M "codo" "codos", M "coude" "coudes", BODY;
};

/// The rare names.
pub(crate) static RARE_NAMES: &[Name] = &[
    Name {
        text: "Martin",
        gender: M,
        rare: true,
    },
    Name {
        text: "Robert",
        gender: M,
        rare: true,
    },
    Name {
        text: "Kevin",
        gender: M,
        rare: true,
    },
    Name {
        text: "Oscar",
        gender: M,
        rare: true,
    },
    Name {
        text: "Linda",
        gender: F,
        rare: true,
    },
    Name {
        text: "Nina",
        gender: F,
        rare: true,
    },
    Name {
        text: "Amanda",
        gender: F,
        rare: true,
    },
    Name {
        text: "Carmen",
        gender: F,
        rare: true,
    },
];

/// The rare cities.
pub(crate) static RARE_CITIES: &[City] = &[
    City {
        text: Four {
            en: "Lisbon",
            de: "Lissabon",
            es: "Lisboa",
            fr: "Lisbonne",
        },
        rare: true,
    },
    City {
        text: Four {
            en: "Boston",
            de: "Boston",
            es: "Boston",
            fr: "Boston",
        },
        rare: true,
    },
    City {
        text: Four {
            en: "Dublin",
            de: "Dublin",
            es: "Dublín",
            fr: "Dublin",
        },
        rare: true,
    },
    City {
        text: Four {
            en: "Milan",
            de: "Mailand",
            es: "Milán",
            fr: "Milan",
        },
        rare: true,
    },
    City {
        text: Four {
            en: "Toronto",
            de: "Toronto",
            es: "Toronto",
            fr: "Toronto",
        },
        rare: true,
    },
    City {
        text: Four {
            en: "Hamburg",
            de: "Hamburg",
            es: "Hamburgo",
            fr: "Hambourg",
        },
        rare: true,
    },
];
