//! The nouns of paired training: English, German, Spanish, French, singular and plural, with gender.

use super::classes::*;
use crate::grammar::syntax::{Four, Gender, Gender::*};

/// A noun.
#[derive(Debug, PartialEq)]
pub(crate) struct Noun {
    pub(crate) en: [&'static str; 2],
    pub(crate) de: (Gender, [&'static str; 2]),
    /// German weak declension: every form but the nominative singular is the plural's.
    pub(crate) weak: bool,
    pub(crate) es: (Gender, [&'static str; 2]),
    pub(crate) fr: (Gender, [&'static str; 2]),
    pub(crate) classes: Classes,
    /// The prepositions of being there; the German one governs the dative.
    pub(crate) at: Option<Four>,
    /// Kept out of every paired training utterance.
    pub(crate) rare: bool,
}

impl Noun {
    /// Whether the noun belongs to one of the classes.
    pub(crate) fn is(&self, classes: Classes) -> bool {
        self.classes & classes != 0
    }
}

/// One noun a line: English; German; Spanish; French; classes; prepositions of place.
macro_rules! nouns {
    ($rare:literal; $($es:literal $ep:literal, $dg:ident $ds:literal $dp:literal $($weak:ident)?,
       $sg:ident $ss:literal $sp:literal, $fg:ident $fs:literal $fp:literal, $classes:expr
       $(, at $ae:literal $ad:literal $as:literal $af:literal)?;)*) => {
        &[$(Noun {
            en: [$es, $ep], de: ($dg, [$ds, $dp]), weak: nouns!(@weak $($weak)?),
            es: ($sg, [$ss, $sp]), fr: ($fg, [$fs, $fp]), classes: $classes,
            at: nouns!(@at $($ae $ad $as $af)?), rare: $rare,
        }),*]
    };
    (@weak weak) => { true };
    (@weak) => { false };
    (@at $e:literal $d:literal $s:literal $f:literal) => { Some(Four { en: $e, de: $d, es: $s, fr: $f }) };
    (@at) => { None };
}
pub(super) use nouns;

/// The common nouns.
pub(crate) static NOUNS: &[Noun] = nouns! { false;
    // Family and people.
    "mother" "mothers", F "Mutter" "Mütter", F "madre" "madres", F "mère" "mères", FAMILY;
    "father" "fathers", M "Vater" "Väter", M "padre" "padres", M "père" "pères", FAMILY;
    "sister" "sisters", F "Schwester" "Schwestern", F "hermana" "hermanas", F "sœur" "sœurs", FAMILY;
    "brother" "brothers", M "Bruder" "Brüder", M "hermano" "hermanos", M "frère" "frères", FAMILY;
    "daughter" "daughters", F "Tochter" "Töchter", F "hija" "hijas", F "fille" "filles", FAMILY;
    "son" "sons", M "Sohn" "Söhne", M "hijo" "hijos", M "fils" "fils", FAMILY;
    "grandmother" "grandmothers", F "Großmutter" "Großmütter", F "abuela" "abuelas", F "grand-mère" "grands-mères", FAMILY;
    "uncle" "uncles", M "Onkel" "Onkel", M "tío" "tíos", M "oncle" "oncles", FAMILY;
    "aunt" "aunts", F "Tante" "Tanten", F "tía" "tías", F "tante" "tantes", FAMILY;
    "friend" "friends", M "Freund" "Freunde", M "amigo" "amigos", M "ami" "amis", FAMILY;
    "teacher" "teachers", M "Lehrer" "Lehrer", M "profesor" "profesores", M "professeur" "professeurs", PERSON|JOB|MINE;
    "doctor" "doctors", M "Arzt" "Ärzte", M "médico" "médicos", M "médecin" "médecins", PERSON|JOB;
    "nurse" "nurses", F "Krankenschwester" "Krankenschwestern", F "enfermera" "enfermeras", F "infirmière" "infirmières", PERSON;
    "student" "students", M "Student" "Studenten" weak, M "estudiante" "estudiantes", M "étudiant" "étudiants", PERSON|JOB;
    "boss" "bosses", M "Chef" "Chefs", M "jefe" "jefes", M "chef" "chefs", PERSON|MINE;
    "neighbor" "neighbors", M "Nachbar" "Nachbarn" weak, M "vecino" "vecinos", M "voisin" "voisins", PERSON|MINE;
    "waiter" "waiters", M "Kellner" "Kellner", M "camarero" "camareros", M "serveur" "serveurs", PERSON|JOB;
    "driver" "drivers", M "Fahrer" "Fahrer", M "conductor" "conductores", M "chauffeur" "chauffeurs", PERSON;
    "engineer" "engineers", M "Ingenieur" "Ingenieure", M "ingeniero" "ingenieros", M "ingénieur" "ingénieurs", PERSON|JOB;
    "child" "children", N "Kind" "Kinder", M "niño" "niños", M "enfant" "enfants", PERSON|YOUTH;
    "boy" "boys", M "Junge" "Jungen" weak, M "chico" "chicos", M "garçon" "garçons", PERSON|YOUTH;
    "girl" "girls", N "Mädchen" "Mädchen", F "chica" "chicas", F "fille" "filles", PERSON|YOUTH;
    "woman" "women", F "Frau" "Frauen", F "mujer" "mujeres", F "femme" "femmes", PERSON;
    "man" "men", M "Mann" "Männer", M "hombre" "hombres", M "homme" "hommes", PERSON;
    // Animals.
    "dog" "dogs", M "Hund" "Hunde", M "perro" "perros", M "chien" "chiens", ANIMAL|PICTURE;
    "cat" "cats", F "Katze" "Katzen", M "gato" "gatos", M "chat" "chats", ANIMAL|PICTURE;
    "horse" "horses", N "Pferd" "Pferde", M "caballo" "caballos", M "cheval" "chevaux", ANIMAL|PICTURE;
    "bird" "birds", M "Vogel" "Vögel", M "pájaro" "pájaros", M "oiseau" "oiseaux", ANIMAL|PICTURE;
    // Food and drink.
    "apple" "apples", M "Apfel" "Äpfel", F "manzana" "manzanas", F "pomme" "pommes", FOOD|PRODUCE;
    "orange" "oranges", F "Orange" "Orangen", F "naranja" "naranjas", F "orange" "oranges", FOOD|PRODUCE;
    "banana" "bananas", F "Banane" "Bananen", M "plátano" "plátanos", F "banane" "bananes", FOOD|PRODUCE;
    "potato" "potatoes", F "Kartoffel" "Kartoffeln", F "patata" "patatas", F "pomme de terre" "pommes de terre", FOOD|COOKED|PRODUCE;
    "tomato" "tomatoes", F "Tomate" "Tomaten", M "tomate" "tomates", F "tomate" "tomates", FOOD|PRODUCE;
    "egg" "eggs", N "Ei" "Eier", M "huevo" "huevos", M "œuf" "œufs", FOOD|COOKED|PRODUCE;
    "cake" "cakes", M "Kuchen" "Kuchen", M "pastel" "pasteles", M "gâteau" "gâteaux", FOOD|DISH|GIFT;
    "sandwich" "sandwiches", N "Sandwich" "Sandwiches", M "bocadillo" "bocadillos", M "sandwich" "sandwichs", FOOD|DISH;
    "pizza" "pizzas", F "Pizza" "Pizzas", F "pizza" "pizzas", F "pizza" "pizzas", FOOD|DISH|WARM;
    "bread" "bread", N "Brot" "Brot", M "pan" "pan", M "pain" "pain", FOOD|MASS;
    "cheese" "cheese", M "Käse" "Käse", M "queso" "queso", M "fromage" "fromage", FOOD|MASS;
    "rice" "rice", M "Reis" "Reis", M "arroz" "arroz", M "riz" "riz", FOOD|COOKED|DISH|MASS|WARM;
    "fish" "fish", M "Fisch" "Fisch", M "pescado" "pescado", M "poisson" "poisson", FOOD|COOKED|DISH|MASS;
    "meat" "meat", N "Fleisch" "Fleisch", F "carne" "carne", F "viande" "viande", FOOD|COOKED|DISH|MASS;
    "soup" "soup", F "Suppe" "Suppe", F "sopa" "sopa", F "soupe" "soupe", FOOD|COOKED|DISH|MASS|WARM;
    "salad" "salad", M "Salat" "Salat", F "ensalada" "ensalada", F "salade" "salade", FOOD|DISH|MASS;
    "chocolate" "chocolate", F "Schokolade" "Schokolade", M "chocolate" "chocolate", M "chocolat" "chocolat", FOOD|MASS|GIFT;
    "water" "water", N "Wasser" "Wasser", F "agua" "agua", F "eau" "eau", DRINK|MASS|WARM;
    "milk" "milk", F "Milch" "Milch", F "leche" "leche", M "lait" "lait", DRINK|MASS|WARM;
    "coffee" "coffee", M "Kaffee" "Kaffee", M "café" "café", M "café" "café", DRINK|MASS|WARM;
    "tea" "tea", M "Tee" "Tee", M "té" "té", M "thé" "thé", DRINK|MASS|WARM;
    "juice" "juice", M "Saft" "Saft", M "zumo" "zumo", M "jus" "jus", DRINK|MASS;
    "wine" "wine", M "Wein" "Wein", M "vino" "vino", M "vin" "vin", DRINK|MASS;
    // To read and to watch.
    "book" "books", N "Buch" "Bücher", M "libro" "libros", M "livre" "livres", TEXT|WRITTEN|THING|GIFT;
    "letter" "letters", M "Brief" "Briefe", F "carta" "cartas", F "lettre" "lettres", TEXT|WRITTEN|THING;
    "newspaper" "newspapers", F "Zeitung" "Zeitungen", M "periódico" "periódicos", M "journal" "journaux", TEXT|THING;
    "report" "reports", M "Bericht" "Berichte", M "informe" "informes", M "rapport" "rapports", TEXT|WRITTEN;
    "message" "messages", F "Nachricht" "Nachrichten", M "mensaje" "mensajes", M "message" "messages", TEXT|WRITTEN;
    "story" "stories", F "Geschichte" "Geschichten", F "historia" "historias", F "histoire" "histoires", TEXT|WRITTEN;
    "movie" "movies", M "Film" "Filme", F "película" "películas", M "film" "films", FILM;
    "music" "music", F "Musik" "Musik", F "música" "música", F "musique" "musique", MUSIC|MASS;
    "piano" "pianos", N "Klavier" "Klaviere", M "piano" "pianos", M "piano" "pianos", INSTRUMENT;
    "guitar" "guitars", F "Gitarre" "Gitarren", F "guitarra" "guitarras", F "guitare" "guitares", INSTRUMENT|GOODS;
    // Clothes.
    "shirt" "shirts", N "Hemd" "Hemden", F "camisa" "camisas", F "chemise" "chemises", CLOTHES|GIFT;
    "coat" "coats", M "Mantel" "Mäntel", M "abrigo" "abrigos", M "manteau" "manteaux", CLOTHES|THING;
    "hat" "hats", M "Hut" "Hüte", M "sombrero" "sombreros", M "chapeau" "chapeaux", CLOTHES|THING|GIFT;
    "dress" "dresses", N "Kleid" "Kleider", M "vestido" "vestidos", F "robe" "robes", CLOTHES;
    "jacket" "jackets", F "Jacke" "Jacken", F "chaqueta" "chaquetas", F "veste" "vestes", CLOTHES|THING;
    // Devices, vehicles, furniture.
    "phone" "phones", N "Handy" "Handys", M "móvil" "móviles", M "téléphone" "téléphones", DEVICE|THING|GOODS;
    "computer" "computers", M "Computer" "Computer", M "ordenador" "ordenadores", M "ordinateur" "ordinateurs", DEVICE|GOODS;
    "radio" "radios", N "Radio" "Radios", F "radio" "radios", F "radio" "radios", DEVICE|GOODS;
    "watch" "watches", F "Uhr" "Uhren", M "reloj" "relojes", F "montre" "montres", DEVICE|THING|GIFT|GOODS;
    "camera" "cameras", F "Kamera" "Kameras", F "cámara" "cámaras", M "appareil photo" "appareils photo", DEVICE|THING|GIFT|GOODS;
    "lamp" "lamps", F "Lampe" "Lampen", F "lámpara" "lámparas", F "lampe" "lampes", DEVICE|GOODS;
    "car" "cars", N "Auto" "Autos", M "coche" "coches", F "voiture" "voitures", VEHICLE|GOODS|PICTURE;
    "bicycle" "bicycles", N "Fahrrad" "Fahrräder", F "bicicleta" "bicicletas", M "vélo" "vélos", VEHICLE|GOODS;
    "boat" "boats", N "Boot" "Boote", M "barco" "barcos", M "bateau" "bateaux", VEHICLE|PICTURE;
    "bus" "buses", M "Bus" "Busse", M "autobús" "autobuses", M "bus" "bus", LINE;
    "train" "trains", M "Zug" "Züge", M "tren" "trenes", M "train" "trains", LINE;
    "plane" "planes", N "Flugzeug" "Flugzeuge", M "avión" "aviones", M "avion" "avions", VEHICLE;
    "table" "tables", M "Tisch" "Tische", F "mesa" "mesas", F "table" "tables", FURNITURE|SURFACE|GOODS;
    "chair" "chairs", M "Stuhl" "Stühle", F "silla" "sillas", F "chaise" "chaises", FURNITURE|SURFACE|GOODS;
    "bed" "beds", N "Bett" "Betten", F "cama" "camas", M "lit" "lits", FURNITURE|SURFACE|GOODS;
    "sofa" "sofas", N "Sofa" "Sofas", M "sofá" "sofás", M "canapé" "canapés", FURNITURE|SURFACE|GOODS;
    "door" "doors", F "Tür" "Türen", F "puerta" "puertas", F "porte" "portes", DOOR;
    "window" "windows", N "Fenster" "Fenster", F "ventana" "ventanas", F "fenêtre" "fenêtres", DOOR|CLEANED;
    // Things.
    "key" "keys", M "Schlüssel" "Schlüssel", F "llave" "llaves", F "clé" "clés", THING;
    "bag" "bags", F "Tasche" "Taschen", M "bolso" "bolsos", M "sac" "sacs", THING|LUGGAGE|GIFT;
    "box" "boxes", F "Kiste" "Kisten", F "caja" "cajas", F "boîte" "boîtes", LUGGAGE|DOOR;
    "suitcase" "suitcases", M "Koffer" "Koffer", F "maleta" "maletas", F "valise" "valises", LUGGAGE|DOOR;
    "ticket" "tickets", F "Fahrkarte" "Fahrkarten", M "billete" "billetes", M "billet" "billets", THING;
    "passport" "passports", M "Pass" "Pässe", M "pasaporte" "pasaportes", M "passeport" "passeports", THING;
    "umbrella" "umbrellas", M "Regenschirm" "Regenschirme", M "paraguas" "paraguas", M "parapluie" "parapluies", THING;
    "cup" "cups", F "Tasse" "Tassen", F "taza" "tazas", F "tasse" "tasses", TABLEWARE;
    "plate" "plates", M "Teller" "Teller", M "plato" "platos", F "assiette" "assiettes", TABLEWARE;
    "glass" "glasses", N "Glas" "Gläser", M "vaso" "vasos", M "verre" "verres", TABLEWARE;
    "knife" "knives", N "Messer" "Messer", M "cuchillo" "cuchillos", M "couteau" "couteaux", TABLEWARE|THING;
    "bottle" "bottles", F "Flasche" "Flaschen", F "botella" "botellas", F "bouteille" "bouteilles", TABLEWARE|DOOR;
    "flower" "flowers", F "Blume" "Blumen", F "flor" "flores", F "fleur" "fleurs", GIFT|PICTURE;
    "ball" "balls", M "Ball" "Bälle", F "pelota" "pelotas", M "ballon" "ballons", THING|GIFT;
    "picture" "pictures", N "Bild" "Bilder", M "cuadro" "cuadros", M "tableau" "tableaux", GIFT;
    // Places.
    "house" "houses", N "Haus" "Häuser", F "casa" "casas", F "maison" "maisons", PICTURE|GOODS;
    "kitchen" "kitchens", F "Küche" "Küchen", F "cocina" "cocinas", F "cuisine" "cuisines", ROOM|CLEANED, at "in" "in" "en" "dans";
    "bedroom" "bedrooms", N "Schlafzimmer" "Schlafzimmer", M "dormitorio" "dormitorios", F "chambre" "chambres", ROOM|SLEEPING|CLEANED, at "in" "in" "en" "dans";
    "garden" "gardens", M "Garten" "Gärten", M "jardín" "jardines", M "jardin" "jardins", ROOM, at "in" "in" "en" "dans";
    "office" "offices", N "Büro" "Büros", F "oficina" "oficinas", M "bureau" "bureaux", ROOM|CLEANED|WORKPLACE|PLACE, at "in" "in" "en" "à";
    "station" "stations", M "Bahnhof" "Bahnhöfe", F "estación" "estaciones", F "gare" "gares", PLACE|TERMINAL, at "at" "an" "en" "à";
    "airport" "airports", M "Flughafen" "Flughäfen", M "aeropuerto" "aeropuertos", M "aéroport" "aéroports", PLACE|TERMINAL|WORKPLACE, at "at" "an" "en" "à";
    "school" "schools", F "Schule" "Schulen", F "escuela" "escuelas", F "école" "écoles", PLACE|STUDY|WORKPLACE, at "at" "in" "en" "à";
    "hospital" "hospitals", N "Krankenhaus" "Krankenhäuser", M "hospital" "hospitales", M "hôpital" "hôpitaux", PLACE|WORKPLACE, at "in" "in" "en" "à";
    "pharmacy" "pharmacies", F "Apotheke" "Apotheken", F "farmacia" "farmacias", F "pharmacie" "pharmacies", PLACE|WORKPLACE, at "at" "in" "en" "à";
    "market" "markets", M "Markt" "Märkte", M "mercado" "mercados", M "marché" "marchés", PLACE|GROCER, at "at" "auf" "en" "à";
    "supermarket" "supermarkets", M "Supermarkt" "Supermärkte", M "supermercado" "supermercados", M "supermarché" "supermarchés", PLACE|GROCER|WORKPLACE, at "at" "in" "en" "à";
    "restaurant" "restaurants", N "Restaurant" "Restaurants", M "restaurante" "restaurantes", M "restaurant" "restaurants", PLACE|EATERY|WORKPLACE, at "in" "in" "en" "à";
    "hotel" "hotels", N "Hotel" "Hotels", M "hotel" "hoteles", M "hôtel" "hôtels", PLACE|SLEEPING|WORKPLACE, at "in" "in" "en" "à";
    "bank" "banks", F "Bank" "Banken", M "banco" "bancos", F "banque" "banques", PLACE|WORKPLACE, at "at" "in" "en" "à";
    "museum" "museums", N "Museum" "Museen", M "museo" "museos", M "musée" "musées", PLACE|SIGHT|WORKPLACE, at "at" "in" "en" "à";
    "library" "libraries", F "Bibliothek" "Bibliotheken", F "biblioteca" "bibliotecas", F "bibliothèque" "bibliothèques", PLACE|STUDY|WORKPLACE, at "at" "in" "en" "à";
    "park" "parks", M "Park" "Parks", M "parque" "parques", M "parc" "parcs", PLACE, at "in" "in" "en" "dans";
    "beach" "beaches", M "Strand" "Strände", F "playa" "playas", F "plage" "plages", PLACE, at "at" "an" "en" "à";
    "church" "churches", F "Kirche" "Kirchen", F "iglesia" "iglesias", F "église" "églises", PLACE|SIGHT, at "in" "in" "en" "dans";
    // Events and the body.
    "meeting" "meetings", F "Besprechung" "Besprechungen", F "reunión" "reuniones", F "réunion" "réunions", EVENT;
    "exam" "exams", F "Prüfung" "Prüfungen", M "examen" "exámenes", M "examen" "examens", EVENT;
    "party" "parties", F "Party" "Partys", F "fiesta" "fiestas", F "fête" "fêtes", EVENT;
    "head" "heads", M "Kopf" "Köpfe", F "cabeza" "cabezas", F "tête" "têtes", BODY;
    "back" "backs", M "Rücken" "Rücken", F "espalda" "espaldas", M "dos" "dos", BODY;
    "hand" "hands", F "Hand" "Hände", F "mano" "manos", F "main" "mains", BODY|PAIR;
    "arm" "arms", M "Arm" "Arme", M "brazo" "brazos", M "bras" "bras", BODY|PAIR;
    "leg" "legs", N "Bein" "Beine", F "pierna" "piernas", F "jambe" "jambes", BODY|PAIR;
    "foot" "feet", M "Fuß" "Füße", M "pie" "pies", M "pied" "pieds", BODY|PAIR;
    "stomach" "stomachs", M "Bauch" "Bäuche", M "estómago" "estómagos", M "ventre" "ventres", BODY;
};
