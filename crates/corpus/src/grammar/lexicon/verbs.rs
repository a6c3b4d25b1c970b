//! The verbs.

use super::classes::*;
use crate::grammar::syntax::Four;

/// The German case of an object, or the preposition it stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Governs {
    Accusative,
    Dative,
    /// A preposition with the accusative.
    With(&'static str),
}

/// What a verb is completed with, before it is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Frame {
    /// Nothing.
    Alone,
    /// The same words every time.
    Fixed(Four),
    /// An object of these classes; prepositions of English and French, the German case.
    Object {
        classes: Classes,
        en: &'static str,
        de: Governs,
        fr: &'static str,
    },
    /// Somebody, and something of these classes.
    Give(Classes),
    /// A city, with the prepositions.
    City(Four),
    /// A place of these classes, with the prepositions; the German one governs the dative.
    Place(Classes, Four),
}

/// A verb with the forms the grammar uses.
#[derive(Debug, PartialEq)]
pub(crate) struct Verb {
    /// Infinitive, third person, past, -ing form.
    pub(crate) en: [&'static str; 4],
    /// Infinitive without its prefix, first and third person singular, participle.
    pub(crate) de: [&'static str; 4],
    /// The separable prefix, or nothing.
    pub(crate) prefix: &'static str,
    /// Perfect with `sein`.
    pub(crate) sein: bool,
    /// Infinitive without a reflexive ending.
    pub(crate) es: &'static str,
    /// Present of I, he, we, they.
    pub(crate) es_now: [&'static str; 4],
    /// Preterite of I, he, we, they.
    pub(crate) es_past: [&'static str; 4],
    /// Empty where Spanish has the plain present for the English progressive.
    pub(crate) es_gerund: &'static str,
    pub(crate) es_reflexive: bool,
    /// Infinitive and past participle.
    pub(crate) fr: [&'static str; 2],
    /// Present of I, he, we, they.
    pub(crate) fr_now: [&'static str; 4],
    /// Perfect with `être`; reflexive verbs have it too.
    pub(crate) fr_etre: bool,
    pub(crate) fr_reflexive: bool,
    pub(crate) subjects: Classes,
    pub(crate) frame: Frame,
    /// States have no progressive form.
    pub(crate) state: bool,
    /// Goes with `at seven o'clock`.
    pub(crate) clock: bool,
    /// Goes with a place: `in the kitchen`.
    pub(crate) placed: bool,
}

const WHO: Classes = FAMILY | PERSON;

const fn object(classes: Classes) -> Frame {
    Frame::Object {
        classes,
        en: "",
        de: Governs::Accusative,
        fr: "",
    }
}

const fn fixed(en: &'static str, de: &'static str, es: &'static str, fr: &'static str) -> Frame {
    Frame::Fixed(Four { en, de, es, fr })
}

macro_rules! verbs {
    ($($e0:literal $e1:literal $e2:literal $e3:literal;
       $d0:literal $d1:literal $d2:literal $d3:literal $($prefix:literal)? $(+ $sein:ident)?;
       $s0:literal $s1:literal $s2:literal $s3:literal $s4:literal, $p1:literal $p2:literal $p3:literal $p4:literal,
       $gerund:literal $(+ $se:ident)?;
       $f0:literal $f1:literal $f2:literal $f3:literal $f4:literal $f5:literal $(+ $etre:ident)?;
       $subjects:expr, $frame:expr $(, $flag:ident)*;)*) => {
        &[$(Verb {
            en: [$e0, $e1, $e2, $e3],
            de: [$d0, $d1, $d2, $d3], prefix: concat!("" $(, $prefix)?), sein: verbs!(@any sein $($sein)?),
            es: $s0, es_now: [$s1, $s2, $s3, $s4], es_past: [$p1, $p2, $p3, $p4], es_gerund: $gerund,
            es_reflexive: verbs!(@any se $($se)?),
            fr: [$f0, $f5], fr_now: [$f1, $f2, $f3, $f4],
            fr_etre: verbs!(@any etre $($etre)?), fr_reflexive: verbs!(@any reflexive $($etre)?),
            subjects: $subjects, frame: $frame,
            state: verbs!(@any state $($flag)*), clock: verbs!(@any clock $($flag)*),
            placed: verbs!(@any placed $($flag)*),
        }),*]
    };
    (@any sein sein) => { true };
    (@any se se) => { true };
    (@any etre etre) => { true }; (@any etre reflexive) => { true };
    (@any reflexive reflexive) => { true };
    (@any state state $($rest:ident)*) => { true };
    (@any clock clock $($rest:ident)*) => { true };
    (@any placed placed $($rest:ident)*) => { true };
    (@any $want:ident $other:ident $($rest:ident)*) => { verbs!(@any $want $($rest)*) };
    (@any $want:ident) => { false };
}

/// English; German; Spanish present, preterite, gerund; French present, participle; subjects, frame, flags.
pub(crate) static VERBS: &[Verb] = verbs! {
    // With an object.
    "eat" "eats" "ate" "eating"; "essen" "esse" "isst" "gegessen";
        "comer" "como" "come" "comemos" "comen", "comí" "comió" "comimos" "comieron", "comiendo";
        "manger" "mange" "mange" "mangeons" "mangent" "mangé"; WHO, object(FOOD), placed;
    "drink" "drinks" "drank" "drinking"; "trinken" "trinke" "trinkt" "getrunken";
        "beber" "bebo" "bebe" "bebemos" "beben", "bebí" "bebió" "bebimos" "bebieron", "bebiendo";
        "boire" "bois" "boit" "buvons" "boivent" "bu"; WHO, object(DRINK), placed;
    "cook" "cooks" "cooked" "cooking"; "kochen" "koche" "kocht" "gekocht";
        "preparar" "preparo" "prepara" "preparamos" "preparan", "preparé" "preparó" "preparamos" "prepararon", "preparando";
        "préparer" "prépare" "prépare" "préparons" "préparent" "préparé"; WHO, object(COOKED), placed;
    "order" "orders" "ordered" "ordering"; "bestellen" "bestelle" "bestellt" "bestellt";
        "pedir" "pido" "pide" "pedimos" "piden", "pedí" "pidió" "pedimos" "pidieron", "pidiendo";
        "commander" "commande" "commande" "commandons" "commandent" "commandé"; WHO, object(DISH|DRINK);
    "buy" "buys" "bought" "buying"; "kaufen" "kaufe" "kauft" "gekauft";
        "comprar" "compro" "compra" "compramos" "compran", "compré" "compró" "compramos" "compraron", "comprando";
        "acheter" "achète" "achète" "achetons" "achètent" "acheté"; WHO, object(FOOD|PRODUCE|CLOTHES|GIFT);
    "sell" "sells" "sold" "selling"; "verkaufen" "verkaufe" "verkauft" "verkauft";
        "vender" "vendo" "vende" "vendemos" "venden", "vendí" "vendió" "vendimos" "vendieron", "vendiendo";
        "vendre" "vends" "vend" "vendons" "vendent" "vendu"; WHO, object(GOODS|VEHICLE);
    "read" "reads" "read" "reading"; "lesen" "lese" "liest" "gelesen";
        "leer" "leo" "lee" "leemos" "leen", "leí" "leyó" "leímos" "leyeron", "leyendo";
        "lire" "lis" "lit" "lisons" "lisent" "lu"; WHO, object(TEXT), placed;
    "write" "writes" "wrote" "writing"; "schreiben" "schreibe" "schreibt" "geschrieben";
        "escribir" "escribo" "escribe" "escribimos" "escriben", "escribí" "escribió" "escribimos" "escribieron", "escribiendo";
        "écrire" "écris" "écrit" "écrivons" "écrivent" "écrit"; WHO, object(WRITTEN);
    "watch" "watches" "watched" "watching"; "sehen" "sehe" "sieht" "gesehen";
        "ver" "veo" "ve" "vemos" "ven", "vi" "vio" "vimos" "vieron", "viendo";
        "regarder" "regarde" "regarde" "regardons" "regardent" "regardé"; WHO, object(FILM);
    "listen" "listens" "listened" "listening"; "hören" "höre" "hört" "gehört";
        "escuchar" "escucho" "escucha" "escuchamos" "escuchan", "escuché" "escuchó" "escuchamos" "escucharon", "escuchando";
        "écouter" "écoute" "écoute" "écoutons" "écoutent" "écouté"; WHO,
        Frame::Object { classes: MUSIC, en: "to", de: Governs::Accusative, fr: "" }, placed;
    "wash" "washes" "washed" "washing"; "waschen" "wasche" "wäscht" "gewaschen";
        "lavar" "lavo" "lava" "lavamos" "lavan", "lavé" "lavó" "lavamos" "lavaron", "lavando";
        "laver" "lave" "lave" "lavons" "lavent" "lavé"; WHO, object(CLOTHES|VEHICLE);
    "clean" "cleans" "cleaned" "cleaning"; "putzen" "putze" "putzt" "geputzt";
        "limpiar" "limpio" "limpia" "limpiamos" "limpian", "limpié" "limpió" "limpiamos" "limpiaron", "limpiando";
        "nettoyer" "nettoie" "nettoie" "nettoyons" "nettoient" "nettoyé"; WHO, object(CLEANED);
    "open" "opens" "opened" "opening"; "öffnen" "öffne" "öffnet" "geöffnet";
        "abrir" "abro" "abre" "abrimos" "abren", "abrí" "abrió" "abrimos" "abrieron", "abriendo";
        "ouvrir" "ouvre" "ouvre" "ouvrons" "ouvrent" "ouvert"; WHO, object(DOOR);
    "close" "closes" "closed" "closing"; "schließen" "schließe" "schließt" "geschlossen";
        "cerrar" "cierro" "cierra" "cerramos" "cierran", "cerré" "cerró" "cerramos" "cerraron", "cerrando";
        "fermer" "ferme" "ferme" "fermons" "ferment" "fermé"; WHO, object(DOOR);
    "look" "looks" "looked" "looking"; "suchen" "suche" "sucht" "gesucht";
        "buscar" "busco" "busca" "buscamos" "buscan", "busqué" "buscó" "buscamos" "buscaron", "buscando";
        "chercher" "cherche" "cherche" "cherchons" "cherchent" "cherché"; WHO,
        Frame::Object { classes: THING|LUGGAGE|ANIMAL, en: "for", de: Governs::Accusative, fr: "" };
    "find" "finds" "found" "finding"; "finden" "finde" "findet" "gefunden";
        "encontrar" "encuentro" "encuentra" "encontramos" "encuentran", "encontré" "encontró" "encontramos" "encontraron", "encontrando";
        "trouver" "trouve" "trouve" "trouvons" "trouvent" "trouvé"; WHO, object(THING), state;
    "lose" "loses" "lost" "losing"; "verlieren" "verliere" "verliert" "verloren";
        "perder" "pierdo" "pierde" "perdemos" "pierden", "perdí" "perdió" "perdimos" "perdieron", "perdiendo";
        "perdre" "perds" "perd" "perdons" "perdent" "perdu"; WHO, object(THING), state;
    "repair" "repairs" "repaired" "repairing"; "reparieren" "repariere" "repariert" "repariert";
        "reparar" "reparo" "repara" "reparamos" "reparan", "reparé" "reparó" "reparamos" "repararon", "reparando";
        "réparer" "répare" "répare" "réparons" "réparent" "réparé"; WHO, object(DEVICE|VEHICLE|FURNITURE);
    "carry" "carries" "carried" "carrying"; "tragen" "trage" "trägt" "getragen";
        "llevar" "llevo" "lleva" "llevamos" "llevan", "llevé" "llevó" "llevamos" "llevaron", "llevando";
        "porter" "porte" "porte" "portons" "portent" "porté"; WHO, object(LUGGAGE);
    "wear" "wears" "wore" "wearing"; "tragen" "trage" "trägt" "getragen";
        "llevar" "llevo" "lleva" "llevamos" "llevan", "llevé" "llevó" "llevamos" "llevaron", "";
        "porter" "porte" "porte" "portons" "portent" "porté"; WHO, object(CLOTHES);
    "visit" "visits" "visited" "visiting"; "besuchen" "besuche" "besucht" "besucht";
        "visitar" "visito" "visita" "visitamos" "visitan", "visité" "visitó" "visitamos" "visitaron", "visitando";
        "visiter" "visite" "visite" "visitons" "visitent" "visité"; WHO, object(SIGHT);
    "call" "calls" "called" "calling"; "rufen" "rufe" "ruft" "angerufen" "an";
        "llamar" "llamo" "llama" "llamamos" "llaman", "llamé" "llamó" "llamamos" "llamaron", "llamando";
        "appeler" "appelle" "appelle" "appelons" "appellent" "appelé"; WHO, object(WHO);
    "invite" "invites" "invited" "inviting"; "laden" "lade" "lädt" "eingeladen" "ein";
        "invitar" "invito" "invita" "invitamos" "invitan", "invité" "invitó" "invitamos" "invitaron", "invitando";
        "inviter" "invite" "invite" "invitons" "invitent" "invité"; WHO, object(WHO);
    "help" "helps" "helped" "helping"; "helfen" "helfe" "hilft" "geholfen";
        "ayudar" "ayudo" "ayuda" "ayudamos" "ayudan", "ayudé" "ayudó" "ayudamos" "ayudaron", "ayudando";
        "aider" "aide" "aide" "aidons" "aident" "aidé"; WHO,
        Frame::Object { classes: WHO, en: "", de: Governs::Dative, fr: "" };
    "wait" "waits" "waited" "waiting"; "warten" "warte" "wartet" "gewartet";
        "esperar" "espero" "espera" "esperamos" "esperan", "esperé" "esperó" "esperamos" "esperaron", "esperando";
        "attendre" "attends" "attend" "attendons" "attendent" "attendu"; WHO,
        Frame::Object { classes: WHO|LINE, en: "for", de: Governs::With("auf"), fr: "" };
    "know" "knows" "knew" "knowing"; "kennen" "kenne" "kennt" "gekannt";
        "conocer" "conozco" "conoce" "conocemos" "conocen", "conocí" "conoció" "conocimos" "conocieron", "conociendo";
        "connaître" "connais" "connaît" "connaissons" "connaissent" "connu"; WHO, object(WHO), state;
    "need" "needs" "needed" "needing"; "brauchen" "brauche" "braucht" "gebraucht";
        "necesitar" "necesito" "necesita" "necesitamos" "necesitan", "necesité" "necesitó" "necesitamos" "necesitaron", "necesitando";
        "avoir besoin" "ai besoin" "a besoin" "avons besoin" "ont besoin" "eu besoin"; WHO,
        Frame::Object { classes: THING|LUGGAGE|DEVICE|CLOTHES, en: "", de: Governs::Accusative, fr: "de" }, state;
    "paint" "paints" "painted" "painting"; "malen" "male" "malt" "gemalt";
        "pintar" "pinto" "pinta" "pintamos" "pintan", "pinté" "pintó" "pintamos" "pintaron", "pintando";
        "peindre" "peins" "peint" "peignons" "peignent" "peint"; WHO, object(PICTURE);
    // Somebody something.
    "give" "gives" "gave" "giving"; "geben" "gebe" "gibt" "gegeben";
        "dar" "doy" "da" "damos" "dan", "di" "dio" "dimos" "dieron", "dando";
        "donner" "donne" "donne" "donnons" "donnent" "donné"; WHO, Frame::Give(GIFT|THING);
    "show" "shows" "showed" "showing"; "zeigen" "zeige" "zeigt" "gezeigt";
        "enseñar" "enseño" "enseña" "enseñamos" "enseñan", "enseñé" "enseñó" "enseñamos" "enseñaron", "enseñando";
        "montrer" "montre" "montre" "montrons" "montrent" "montré"; WHO, Frame::Give(TEXT|THING|DEVICE);
    "send" "sends" "sent" "sending"; "schicken" "schicke" "schickt" "geschickt";
        "enviar" "envío" "envía" "enviamos" "envían", "envié" "envió" "enviamos" "enviaron", "enviando";
        "envoyer" "envoie" "envoie" "envoyons" "envoient" "envoyé"; WHO, Frame::Give(TEXT|GIFT);
    // Somewhere.
    "live" "lives" "lived" "living"; "wohnen" "wohne" "wohnt" "gewohnt";
        "vivir" "vivo" "vive" "vivimos" "viven", "viví" "vivió" "vivimos" "vivieron", "viviendo";
        "habiter" "habite" "habite" "habitons" "habitent" "habité"; WHO,
        Frame::City(Four { en: "in", de: "in", es: "en", fr: "à" }), state;
    "travel" "travels" "traveled" "traveling"; "reisen" "reise" "reist" "gereist" + sein;
        "viajar" "viajo" "viaja" "viajamos" "viajan", "viajé" "viajó" "viajamos" "viajaron", "viajando";
        "aller" "vais" "va" "allons" "vont" "allé" + etre; WHO,
        Frame::City(Four { en: "to", de: "nach", es: "a", fr: "à" });
    "arrive" "arrives" "arrived" "arriving"; "kommen" "komme" "kommt" "angekommen" "an" + sein;
        "llegar" "llego" "llega" "llegamos" "llegan", "llegué" "llegó" "llegamos" "llegaron", "llegando";
        "arriver" "arrive" "arrive" "arrivons" "arrivent" "arrivé" + etre; WHO|LINE,
        Frame::City(Four { en: "in", de: "in", es: "a", fr: "à" }), clock;
    "go" "goes" "went" "going"; "gehen" "gehe" "geht" "gegangen" + sein;
        "ir" "voy" "va" "vamos" "van", "fui" "fue" "fuimos" "fueron", "";
        "aller" "vais" "va" "allons" "vont" "allé" + etre; WHO,
        Frame::Place(PLACE, Four { en: "to", de: "zu", es: "a", fr: "à" }), clock;
    // With the same words every time, or with none.
    "leave" "leaves" "left" "leaving"; "fahren" "fahre" "fährt" "abgefahren" "ab" + sein;
        "salir" "salgo" "sale" "salimos" "salen", "salí" "salió" "salimos" "salieron", "saliendo";
        "partir" "pars" "part" "partons" "partent" "parti" + etre; LINE, Frame::Alone, clock;
    "get" "gets" "got" "getting"; "stehen" "stehe" "steht" "aufgestanden" "auf" + sein;
        "levantar" "levanto" "levanta" "levantamos" "levantan", "levanté" "levantó" "levantamos" "levantaron", "levantando" + se;
        "lever" "lève" "lève" "levons" "lèvent" "levé" + reflexive; WHO, fixed("up", "", "", ""), clock;
    "have" "has" "had" "having"; "frühstücken" "frühstücke" "frühstückt" "gefrühstückt";
        "desayunar" "desayuno" "desayuna" "desayunamos" "desayunan", "desayuné" "desayunó" "desayunamos" "desayunaron", "desayunando";
        "prendre" "prends" "prend" "prenons" "prennent" "pris"; WHO, fixed("breakfast", "", "", "le petit-déjeuner"), clock, placed;
    "sleep" "sleeps" "slept" "sleeping"; "schlafen" "schlafe" "schläft" "geschlafen";
        "dormir" "duermo" "duerme" "dormimos" "duermen", "dormí" "durmió" "dormimos" "durmieron", "durmiendo";
        "dormir" "dors" "dort" "dormons" "dorment" "dormi"; WHO|ANIMAL, Frame::Alone, placed;
    "work" "works" "worked" "working"; "arbeiten" "arbeite" "arbeitet" "gearbeitet";
        "trabajar" "trabajo" "trabaja" "trabajamos" "trabajan", "trabajé" "trabajó" "trabajamos" "trabajaron", "trabajando";
        "travailler" "travaille" "travaille" "travaillons" "travaillent" "travaillé"; WHO, Frame::Alone, placed;
    "swim" "swims" "swam" "swimming"; "schwimmen" "schwimme" "schwimmt" "geschwommen" + sein;
        "nadar" "nado" "nada" "nadamos" "nadan", "nadé" "nadó" "nadamos" "nadaron", "nadando";
        "nager" "nage" "nage" "nageons" "nagent" "nagé"; WHO, Frame::Alone;
    "sing" "sings" "sang" "singing"; "singen" "singe" "singt" "gesungen";
        "cantar" "canto" "canta" "cantamos" "cantan", "canté" "cantó" "cantamos" "cantaron", "cantando";
        "chanter" "chante" "chante" "chantons" "chantent" "chanté"; WHO, Frame::Alone, placed;
    "dance" "dances" "danced" "dancing"; "tanzen" "tanze" "tanzt" "getanzt";
        "bailar" "bailo" "baila" "bailamos" "bailan", "bailé" "bailó" "bailamos" "bailaron", "bailando";
        "danser" "danse" "danse" "dansons" "dansent" "dansé"; WHO, Frame::Alone, placed;
    "study" "studies" "studied" "studying"; "lernen" "lerne" "lernt" "gelernt";
        "estudiar" "estudio" "estudia" "estudiamos" "estudian", "estudié" "estudió" "estudiamos" "estudiaron", "estudiando";
        "étudier" "étudie" "étudie" "étudions" "étudient" "étudié"; WHO, Frame::Alone, placed;
    "stay" "stays" "stayed" "staying"; "bleiben" "bleibe" "bleibt" "geblieben" + sein;
        "quedar" "quedo" "queda" "quedamos" "quedan", "quedé" "quedó" "quedamos" "quedaron", "" + se;
        "rester" "reste" "reste" "restons" "restent" "resté" + etre; WHO, fixed("at home", "zu Hause", "en casa", "à la maison");
    "play" "plays" "played" "playing"; "spielen" "spiele" "spielt" "gespielt";
        "jugar" "juego" "juega" "jugamos" "juegan", "jugué" "jugó" "jugamos" "jugaron", "jugando";
        "jouer" "joue" "joue" "jouons" "jouent" "joué"; WHO, fixed("football", "Fußball", "al fútbol", "au football");
    "learn" "learns" "learned" "learning"; "lernen" "lerne" "lernt" "gelernt";
        "aprender" "aprendo" "aprende" "aprendemos" "aprenden", "aprendí" "aprendió" "aprendimos" "aprendieron", "aprendiendo";
        "apprendre" "apprends" "apprend" "apprenons" "apprennent" "appris"; WHO, fixed("English", "Englisch", "inglés", "l'anglais");
    "have" "has" "had" "having"; "haben" "habe" "hat" "gehabt";
        "tener" "tengo" "tiene" "tenemos" "tienen", "tuve" "tuvo" "tuvimos" "tuvieron", "teniendo";
        "avoir" "ai" "a" "avons" "ont" "eu"; WHO, object(ANIMAL|VEHICLE|GOODS|EVENT), state;
    "take" "takes" "took" "taking"; "nehmen" "nehme" "nimmt" "genommen";
        "tomar" "tomo" "toma" "tomamos" "toman", "tomé" "tomó" "tomamos" "tomaron", "tomando";
        "prendre" "prends" "prend" "prenons" "prennent" "pris"; WHO, object(LINE);
};

/// Rain and snow, which have no subject but *it*.
pub(crate) static RAIN: &[Verb] = verbs! {
    "rain" "rains" "rained" "raining"; "regnen" "regne" "regnet" "geregnet";
        "llover" "lluevo" "llueve" "llovemos" "llueven", "lloví" "llovió" "llovimos" "llovieron", "lloviendo";
        "pleuvoir" "pleux" "pleut" "pleuvons" "pleuvent" "plu"; 0, Frame::Alone;
    "snow" "snows" "snowed" "snowing"; "schneien" "schneie" "schneit" "geschneit";
        "nevar" "nievo" "nieva" "nevamos" "nievan", "nevé" "nevó" "nevamos" "nevaron", "nevando";
        "neiger" "neige" "neige" "neigeons" "neigent" "neigé"; 0, Frame::Alone;
};

/// The verb of an instrument: Spanish touches what the others play.
pub(crate) static PLAY: &[Verb] = verbs! {
    "play" "plays" "played" "playing"; "spielen" "spiele" "spielt" "gespielt";
        "tocar" "toco" "toca" "tocamos" "tocan", "toqué" "tocó" "tocamos" "tocaron", "tocando";
        "jouer" "joue" "joue" "jouons" "jouent" "joué"; WHO, Frame::Alone;
};
