//! One spelling for each text.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What becomes of upper and lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// All lower case, by Unicode's full mapping.
    #[default]
    Lower,
    /// All upper case, by Unicode's full mapping (`ß` becomes `SS`).
    Upper,
    /// As it is.
    Keep,
}

/// What becomes of punctuation and symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Punctuation {
    /// As it is.
    Keep,
    /// Everything but letters, combining marks, numbers and joiners becomes a space (`twenty-one` two words,
    /// `3.5` too). An apostrophe between two letters stays and is written `'`, so that `don’t` is `don't`.
    #[default]
    Remove,
}

/// How text is normalized before it is cut into labels. Saved with the front end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormalizeConfig {
    /// Upper and lower case.
    pub case: Case,
    /// Punctuation and symbols.
    pub punctuation: Punctuation,
}

/// The text in Unicode normal form C, case and punctuation treated as configured, words apart by one space
/// each and none at the ends.
///
/// # Proved by
///
/// `normalize_is_idempotent`, `normalize_composes`, `normalize_keeps_apostrophes_inside_words`.
///
/// # Example
///
/// ```
/// use sandhi_text::{NormalizeConfig, normalize};
/// let text = normalize("  “Don’t go,”\tsaid the 21st cafe\u{301}-owner. ", &NormalizeConfig::default());
/// assert_eq!(text, "don't go said the 21st café owner");
/// ```
pub fn normalize(text: &str, config: &NormalizeConfig) -> String {
    let composed: String = text.nfc().collect();
    let cased = match config.case {
        Case::Lower => composed.to_lowercase(),
        Case::Upper => composed.to_uppercase(),
        Case::Keep => composed,
    };
    // The case mappings can decompose, as that of U+0390 does.
    let composed: String = cased.nfc().collect();
    let kept = match config.punctuation {
        Punctuation::Keep => composed,
        Punctuation::Remove => remove_punctuation(&composed),
    };
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn remove_punctuation(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let inside = || kept.chars().last().is_some_and(is_word);
        match c {
            '\'' | '\u{2019}' if inside() && characters.peek().copied().is_some_and(is_word) => {
                kept.push('\'')
            }
            c if is_word(c) => kept.push(c),
            _ => kept.push(' '),
        }
    }
    kept
}

/// Letters, numbers, the marks that combine with them, and the two joiners that Indic and Persian spelling
/// needs.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}')
}
