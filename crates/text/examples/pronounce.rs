//! Pronounces words, or measures how well words are pronounced that the model has not seen.
//!
//! ```sh
//! cargo run --release -p sandhi-text --example pronounce -- LEXICON WORD...
//! cargo run --release -p sandhi-text --example pronounce -- LEXICON --hold-out 10
//! ```
//!
//! With `--hold-out N` one word in N is held out and the rest learned from, N times, so that each word is held out once.

use std::error::Error;
use std::io::Write;
use std::time::Instant;

use sandhi_text::{Lexicon, Pronouncer, PronouncerConfig, Result};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout().lock();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [lexicon, "--hold-out", every] => {
            let lexicon = Lexicon::read(lexicon)?;
            let every = every.parse()?;
            let whole = PronouncerConfig::default();
            let alone = PronouncerConfig { order: 1, ..whole };
            for (name, config) in [("graphones alone", alone), ("with context", whole)] {
                let mut errors = Errors::default();
                for first in 0..every {
                    errors.hold_out(&lexicon, every, first, config)?;
                }
                writeln!(out, "{name} (order {}): {}", config.order, errors)?;
            }
        }
        [lexicon, ref words @ ..] if !words.is_empty() => {
            let lexicon = Lexicon::read(lexicon)?;
            let start = Instant::now();
            let pronouncer = Pronouncer::train(&lexicon, PronouncerConfig::default())?;
            let (seconds, unaligned) = (start.elapsed().as_secs_f64(), pronouncer.unaligned());
            writeln!(
                out,
                "{} words learned in {seconds:.2} s, {unaligned} passed over",
                lexicon.len() - unaligned
            )?;
            for word in words {
                let graphones = pronouncer.graphones(word)?;
                let graphones: Vec<String> = graphones.iter().map(ToString::to_string).collect();
                writeln!(
                    out,
                    "{word}  {}  ({})",
                    pronouncer.pronounce(word)?.join(" "),
                    graphones.join(", ")
                )?;
            }
        }
        _ => return Err("usage: pronounce LEXICON WORD... | pronounce LEXICON --hold-out N".into()),
    }
    Ok(())
}

/// What went wrong with words that were held out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Errors {
    words: usize,
    wrong_words: usize,
    phones: usize,
    /// Phones substituted, deleted and inserted.
    wrong_phones: usize,
}

impl Errors {
    /// Learns from all words but one in `every`, pronounces those, and counts.
    pub(crate) fn hold_out(
        &mut self,
        lexicon: &Lexicon,
        every: usize,
        first: usize,
        config: PronouncerConfig,
    ) -> Result<()> {
        let (rest, held) = lexicon.hold_out(every, first)?;
        let pronouncer = Pronouncer::train(&rest, config)?;
        for (word, expected) in held.words() {
            let wrong = edits(&pronouncer.pronounce(word)?, expected);
            self.words += 1;
            self.wrong_words += usize::from(wrong > 0);
            self.phones += expected.len();
            self.wrong_phones += wrong;
        }
        Ok(())
    }

    /// Wrong phones in a hundred.
    pub(crate) fn phone_error_rate(&self) -> f64 {
        100.0 * self.wrong_phones as f64 / self.phones as f64
    }

    /// Words without a wrong phone in a hundred.
    pub(crate) fn word_accuracy(&self) -> f64 {
        100.0 - 100.0 * self.wrong_words as f64 / self.words as f64
    }
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { words, phones, .. } = self;
        let (rate, accuracy) = (self.phone_error_rate(), self.word_accuracy());
        write!(
            f,
            "phone error rate {rate:.1} % of {phones} phones, {accuracy:.1} % of {words} words right"
        )
    }
}

/// Least substitutions, deletions and insertions from one sequence to another.
fn edits(got: &[String], expected: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=expected.len()).collect();
    for (i, phone) in got.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in expected.iter().enumerate() {
            let substituted = diagonal + usize::from(phone != other);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[expected.len()]
}
