//! A corpus in memory: its splits, its lexicon, its translations.

use std::collections::{BTreeMap, HashSet};

use crate::cut::Cut;

/// The cuts of a corpus by split, and the text that goes with them.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// What the command line calls it.
    pub name: &'static str,
    /// Paired training utterances, the low-resource ones among them.
    pub train: Vec<Cut>,
    /// For choosing when to stop; speakers and sentences may occur in train only as the corpus' card says.
    pub dev: Vec<Cut>,
    /// The test sets by name, in reporting order.
    pub tests: Vec<(String, Vec<Cut>)>,
    /// The small paired subset of train for the text-injection experiments.
    pub low_resource: Vec<Cut>,
    /// Language code, then word, to its phones: one spelling sounds different in two languages. Every word known, the
    /// unpaired text's included.
    pub lexicons: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Words that no training utterance has and the unpaired text does have; empty for a corpus without such a list.
    pub rare_words: Vec<String>,
    /// Language code, then sentence number, to the written sentence; empty for a corpus without translations.
    pub translations: BTreeMap<String, BTreeMap<u32, String>>,
}

impl Corpus {
    /// Every word of a language's lexicon, sorted; none for a language that the corpus does not have.
    pub fn lexicon_words(&self, language: &str) -> Vec<&str> {
        let words = self.lexicons.get(language).into_iter().flat_map(BTreeMap::keys);
        words.map(String::as_str).collect()
    }

    /// Whether it has words of more than one language.
    pub fn several_languages(&self) -> bool {
        self.lexicons.len() > 1
    }

    /// The transcripts of dev and of every test set: what unpaired text must not contain.
    pub fn held_out_text(&self) -> HashSet<String> {
        let tests = self.tests.iter().flat_map(|(_, cuts)| cuts);
        self.dev.iter().chain(tests).map(|cut| cut.text.clone()).collect()
    }
}
