#![doc = include_str!("../README.md")]

mod error;
mod frontend;
mod grapheme;
mod lexicon;
mod lines;
mod mask;
mod normalize;
mod phoneme;
mod pronounce;
mod random;
mod subword;
mod tokenizer;
mod upsample;

pub use error::{Error, Result};
pub use frontend::{TextFrontend, Units};
pub use grapheme::Graphemes;
pub use lexicon::Lexicon;
pub use lines::read_lines;
pub use mask::{MaskConfig, mask_spans};
pub use normalize::{Case, NormalizeConfig, Punctuation, normalize};
pub use phoneme::Phonemes;
pub use pronounce::{Graphone, Pronouncer, PronouncerConfig};
pub use subword::Subwords;
pub use tokenizer::{BLANK, Specials, Tokenizer, Unknown};
pub use upsample::{durations, repeat, repeat_random, upsample};
