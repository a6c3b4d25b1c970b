//! The adjectives.

use super::classes::*;

/// An adjective.
#[derive(Debug, PartialEq)]
pub(crate) struct Adjective {
    pub(crate) en: &'static str,
    /// The English comparative, empty where the grammar does not compare.
    pub(crate) en_more: &'static str,
    /// Predicative form, stem before an ending, comparative.
    pub(crate) de: [&'static str; 3],
    /// Masculine singular, feminine singular, masculine plural.
    pub(crate) es: [&'static str; 3],
    /// Masculine singular, feminine singular, masculine plural, masculine before a vowel.
    pub(crate) fr: [&'static str; 4],
    /// Spanish `estar` (a state) rather than `ser` (a quality).
    pub(crate) state: bool,
    /// French puts it before the noun.
    pub(crate) before: bool,
    /// Whether it stands beside a noun too, and not only after `be`.
    pub(crate) attributive: bool,
    /// What it is said of.
    pub(crate) classes: Classes,
}

macro_rules! adjectives {
    ($($en:literal $more:literal, $d1:literal $d2:literal $d3:literal, $s1:literal $s2:literal $s3:literal,
       $f1:literal $f2:literal $f3:literal $($f4:literal)?, $verb:ident $place:ident $use:ident, $classes:expr;)*) => {
        &[$(Adjective {
            en: $en, en_more: $more, de: [$d1, $d2, $d3], es: [$s1, $s2, $s3],
            fr: [$f1, $f2, $f3, adjectives!(@vowel $f1 $($f4)?)],
            state: adjectives!(@is $verb), before: adjectives!(@is $place), attributive: adjectives!(@is $use),
            classes: $classes,
        }),*]
    };
    (@vowel $f1:literal $f4:literal) => { $f4 };
    (@vowel $f1:literal) => { $f1 };
    (@is estar) => { true }; (@is ser) => { false };
    (@is before) => { true }; (@is after) => { false };
    (@is both) => { true }; (@is predicate) => { false };
}

/// English and its comparative; German; Spanish; French; Spanish verb, French place, use; classes.
pub(crate) static ADJECTIVES: &[Adjective] = adjectives! {
    "red" "", "rot" "rot" "", "rojo" "roja" "rojos", "rouge" "rouge" "rouges", ser after both, CLOTHES|VEHICLE|GOODS|DOOR|TABLEWARE;
    "green" "", "grün" "grün" "", "verde" "verde" "verdes", "vert" "verte" "verts", ser after both, CLOTHES|VEHICLE|GOODS|DOOR|LUGGAGE;
    "black" "", "schwarz" "schwarz" "", "negro" "negra" "negros", "noir" "noire" "noirs", ser after both, CLOTHES|VEHICLE|LUGGAGE|ANIMAL;
    "white" "", "weiß" "weiß" "", "blanco" "blanca" "blancos", "blanc" "blanche" "blancs", ser after both, CLOTHES|VEHICLE|TABLEWARE|ANIMAL;
    "big" "bigger", "groß" "groß" "größer", "grande" "grande" "grandes", "grand" "grande" "grands", ser before both, ANIMAL|FURNITURE|LUGGAGE|SIGHT|VEHICLE|GOODS;
    "small" "smaller", "klein" "klein" "kleiner", "pequeño" "pequeña" "pequeños", "petit" "petite" "petits", ser before both, ANIMAL|FURNITURE|LUGGAGE|VEHICLE|TABLEWARE|GOODS|GIFT;
    "new" "newer", "neu" "neu" "neuer", "nuevo" "nueva" "nuevos", "nouveau" "nouvelle" "nouveaux" "nouvel", ser before both, CLOTHES|DEVICE|VEHICLE|FURNITURE|SIGHT;
    "old" "older", "alt" "alt" "älter", "viejo" "vieja" "viejos", "vieux" "vieille" "vieux" "vieil", ser before both, CLOTHES|DEVICE|VEHICLE|FURNITURE|SIGHT|ANIMAL;
    "beautiful" "", "schön" "schön" "", "bonito" "bonita" "bonitos", "beau" "belle" "beaux" "bel", ser before both, SIGHT|CLOTHES|GIFT|FILM;
    "expensive" "more expensive", "teuer" "teur" "teurer", "caro" "cara" "caros", "cher" "chère" "chers", ser after both, CLOTHES|DEVICE|VEHICLE|GOODS|GIFT;
    "cheap" "cheaper", "billig" "billig" "billiger", "barato" "barata" "baratos", "bon marché" "bon marché" "bon marché", ser after both, CLOTHES|DEVICE|PRODUCE|GOODS;
    "heavy" "heavier", "schwer" "schwer" "schwerer", "pesado" "pesada" "pesados", "lourd" "lourde" "lourds", ser after both, LUGGAGE;
    "interesting" "more interesting", "interessant" "interessant" "interessanter", "interesante" "interesante" "interesantes", "intéressant" "intéressante" "intéressants", ser after both, TEXT|FILM|SIGHT;
    "important" "more important", "wichtig" "wichtig" "wichtiger", "importante" "importante" "importantes", "important" "importante" "importants", ser after both, EVENT|TEXT;
    "long" "longer", "lang" "lang" "länger", "largo" "larga" "largos", "long" "longue" "longs", ser before both, TEXT|EVENT|FILM;
    "short" "shorter", "kurz" "kurz" "kürzer", "corto" "corta" "cortos", "court" "courte" "courts", ser before both, TEXT|FILM;
    "fast" "faster", "schnell" "schnell" "schneller", "rápido" "rápida" "rápidos", "rapide" "rapide" "rapides", ser after both, VEHICLE|LINE|DEVICE;
    "hot" "", "heiß" "heiß" "", "caliente" "caliente" "calientes", "chaud" "chaude" "chauds", estar after both, WARM;
    "cold" "", "kalt" "kalt" "", "frío" "fría" "fríos", "froid" "froide" "froids", estar after both, WARM;
    "fresh" "", "frisch" "frisch" "", "fresco" "fresca" "frescos", "frais" "fraîche" "frais", estar after both, PRODUCE;
    "good" "better", "gut" "gut" "besser", "bueno" "buena" "buenos", "bon" "bonne" "bons", ser before both, FILM|TEXT|EATERY|JOB;
    "young" "younger", "jung" "jung" "jünger", "joven" "joven" "jóvenes", "jeune" "jeune" "jeunes", ser before both, PERSON;
    "tall" "taller", "groß" "groß" "größer", "alto" "alta" "altos", "grand" "grande" "grands", ser before both, PERSON;
    "friendly" "", "freundlich" "freundlich" "", "simpático" "simpática" "simpáticos", "sympathique" "sympathique" "sympathiques", ser after both, PERSON|FAMILY;
    "tired" "", "müde" "müd" "", "cansado" "cansada" "cansados", "fatigué" "fatiguée" "fatigués", estar after predicate, PERSON|FAMILY;
    "sick" "", "krank" "krank" "", "enfermo" "enferma" "enfermos", "malade" "malade" "malades", estar after predicate, PERSON|FAMILY|ANIMAL;
    "sad" "", "traurig" "traurig" "", "triste" "triste" "tristes", "triste" "triste" "tristes", estar after predicate, PERSON|FAMILY;
    "happy" "", "glücklich" "glücklich" "", "contento" "contenta" "contentos", "content" "contente" "contents", estar after predicate, PERSON|FAMILY;
    "open" "", "offen" "offen" "", "abierto" "abierta" "abiertos", "ouvert" "ouverte" "ouverts", estar after predicate, DOOR;
    "closed" "", "geschlossen" "geschlossen" "", "cerrado" "cerrada" "cerrados", "fermé" "fermée" "fermés", estar after predicate, SIGHT|GROCER|EATERY|DOOR;
    "empty" "", "leer" "leer" "", "vacío" "vacía" "vacíos", "vide" "vide" "vides", estar after both, LUGGAGE|TABLEWARE;
    "clean" "", "sauber" "sauber" "", "limpio" "limpia" "limpios", "propre" "propre" "propres", estar after predicate, TABLEWARE|CLEANED|CLOTHES;
    "dirty" "", "schmutzig" "schmutzig" "", "sucio" "sucia" "sucios", "sale" "sale" "sales", estar after predicate, TABLEWARE|CLOTHES|DOOR;
    "broken" "", "kaputt" "kaputt" "", "roto" "rota" "rotos", "cassé" "cassée" "cassés", estar after predicate, DEVICE|FURNITURE;
};
