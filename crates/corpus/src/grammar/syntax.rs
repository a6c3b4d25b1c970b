//! The abstract syntax: what is said, before any language says it.

use super::lexicon::adjectives::Adjective;
use super::lexicon::nouns::Noun;
use super::lexicon::phrases::{City, Idiom, Name, Phrase, Relation, Weather};
use super::lexicon::verbs::Verb;

/// Grammatical gender; Spanish and French have no neuter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gender {
    M,
    F,
    N,
}

/// A text in the four languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Four {
    pub(crate) en: &'static str,
    pub(crate) de: &'static str,
    pub(crate) es: &'static str,
    pub(crate) fr: &'static str,
}

/// Who owns something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    I,
    We,
    He,
    She,
}

/// What stands before a noun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Determiner {
    The,
    A,
    This,
    /// None in English: `bread`, `apples`. French has its partitive article.
    Bare,
    Of(Owner),
    /// Two or more.
    Number(u8),
}

/// A subject that is only a pronoun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pronoun {
    I,
    We,
    He,
    She,
    They,
    /// Of the weather.
    It,
}

/// A noun with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NounPhrase {
    pub(crate) noun: &'static Noun,
    pub(crate) determiner: Determiner,
    pub(crate) adjective: Option<&'static Adjective>,
    pub(crate) plural: bool,
}

/// Anything that can be a subject or an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Np {
    Name(&'static Name),
    Pronoun(Pronoun),
    Noun(NounPhrase),
    /// `anna's bag`
    Genitive(&'static Name, &'static Noun),
}

/// Tense, aspect or modal verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Present,
    Progressive,
    Past,
    Future,
    Can,
    Must,
    Want,
}

/// What the verb is completed with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Complement {
    None,
    Object(Np),
    /// Where to, where from: the verb brings its prepositions.
    Place(&'static Noun),
    City(&'static City),
    /// To whom, and what.
    Recipient(Np, Np),
}

/// What is said of the subject.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Predicate {
    Verb(&'static Verb, Complement),
    Be(&'static Adjective),
    BeMore(&'static Adjective, Np),
    BeAt(&'static Relation, Np),
    BeIn(&'static Noun),
    BeA(&'static Noun),
    BeYearsOld(u8),
    /// `is hungry`
    Idiom(&'static Idiom),
    Like(Np),
    LikeTo(&'static Verb, Complement),
    /// `plays the piano`
    Play(&'static Noun),
    Weather(&'static Weather),
    Cost(u8),
}

/// When.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    Phrase(&'static Phrase),
    Clock(u8),
}

/// Where.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    In(&'static Noun),
    City(&'static City),
}

/// Subject and predicate with their circumstances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause {
    pub(crate) subject: Np,
    pub(crate) predicate: Predicate,
    pub(crate) mood: Mood,
    pub(crate) negated: bool,
    pub(crate) time: Option<Time>,
    pub(crate) place: Option<Place>,
    /// Whether the time comes first.
    pub(crate) fronted: bool,
}

/// Verbs that a clause with *that* depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Think,
    Know,
    Say,
}

/// How a clause that comes first is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    If,
    When,
}

/// A whole sentence.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sentence {
    Statement(Clause),
    Because(Clause, Clause),
    Condition(Condition, Clause, Clause),
    Reported(Np, Report, Clause),
    /// The subject of the clause does something in order to do something else.
    Purpose(Clause, &'static Verb, Complement),
    /// A person of whom the clause says something: `I know the woman who lives in Rome`.
    Who(Np, NounPhrase, Predicate),
    There(NounPhrase, &'static Relation, Np),
    /// Whose part of the body, which, and whether both.
    Hurts(Np, &'static Noun, bool),
    WhereIs(Np),
    HowMuch(Np),
    WhatTime(Np, &'static Verb),
    Asked(Clause),
}

/// Person, number and gender of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) first: bool,
    pub(crate) plural: bool,
    pub(crate) gender: Gender,
}

impl Agreement {
    /// Into `[I, he, we, they]`.
    pub(crate) fn index(self) -> usize {
        usize::from(!self.first) + 2 * usize::from(self.plural)
    }
}

impl Np {
    /// The agreement this subject asks for, with the noun's gender in one language.
    pub(crate) fn agreement(&self, gender: impl Fn(&Noun) -> Gender) -> Agreement {
        let third = |plural, gender| Agreement {
            first: false,
            plural,
            gender,
        };
        match self {
            Np::Name(name) => third(false, name.gender),
            Np::Pronoun(Pronoun::I) => Agreement {
                first: true,
                plural: false,
                gender: Gender::M,
            },
            Np::Pronoun(Pronoun::We) => Agreement {
                first: true,
                plural: true,
                gender: Gender::M,
            },
            Np::Pronoun(Pronoun::He | Pronoun::It) => third(false, Gender::M),
            Np::Pronoun(Pronoun::She) => third(false, Gender::F),
            Np::Pronoun(Pronoun::They) => third(true, Gender::M),
            Np::Noun(phrase) => third(phrase.plural, gender(phrase.noun)),
            Np::Genitive(_, noun) => third(false, gender(noun)),
        }
    }

    /// Whether the hearer is supposed to know which one.
    pub(crate) fn is_definite(&self) -> bool {
        match self {
            Np::Noun(phrase) => !matches!(
                phrase.determiner,
                Determiner::A | Determiner::Bare | Determiner::Number(_)
            ),
            _ => true,
        }
    }
}

/// Joins what is not empty with single spaces; a comma attaches to the word before it.
pub(crate) fn join(parts: &[&str]) -> String {
    let mut out = String::new();
    for part in parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
    {
        if !out.is_empty() && !part.starts_with(',') {
            out.push(' ');
        }
        out.push_str(part);
    }
    out
}

/// The sentence with a capital at its beginning and its mark at its end.
pub(crate) fn finish(text: &str, mark: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}{mark}", characters.as_str())
}
