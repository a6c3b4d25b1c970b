//! The multilingual corpus that `cargo xtask data synthesize mini --lang ..` makes: a folder for each language.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::mini::LANGUAGES;
use super::tables;
use crate::{Corpus, Cut, Error, Manifest, Result};

/// Reads languages of the multilingual corpus as one corpus; an empty list reads all that the folder has.
///
/// `tests` is one set a language, `[("test-en", ..), ("test-de", ..)]`, in the order asked for. Train and dev have
/// the languages side by side, sentence by sentence, so the first utterances are of all of them. The lexicons share
/// one inventory of phones, that of the IPA. A language asked for twice is read once.
///
/// # Errors
///
/// [`Error::NotFound`] if the folder or a language's is not there, those of [`Manifest::read`] for each split, and
/// [`Error::Line`] for a line of a `text.tsv` or `lexicon.tsv` that does not have its fields.
///
/// # Proved by
///
/// `multilingual_has_the_languages_side_by_side`, `multilingual_says_what_is_missing`.
pub fn multilingual(root: &Path, languages: &[&str]) -> Result<Corpus> {
    let there: Vec<&str> = LANGUAGES
        .into_iter()
        .filter(|language| languages.is_empty() && root.join(language).is_dir())
        .collect();
    let languages = if languages.is_empty() { &there } else { languages };
    if languages.is_empty() {
        return Err(Error::NotFound {
            what: "folder of the multilingual corpus",
            path: root.to_path_buf(),
        });
    }
    let mut corpus = Corpus {
        name: "mini-multilingual",
        train: Vec::new(),
        dev: Vec::new(),
        tests: Vec::new(),
        low_resource: Vec::new(),
        lexicons: BTreeMap::new(),
        rare_words: Vec::new(),
        translations: BTreeMap::new(),
    };
    let mut read = BTreeSet::new();
    for &language in languages {
        if !read.insert(language) {
            continue;
        }
        let folder = root.join(language);
        if !folder.is_dir() {
            return Err(Error::NotFound {
                what: "folder of a language",
                path: folder,
            });
        }
        let split = |name: &str| Ok(Manifest::read(&folder.join(format!("{name}.jsonl")))?.cuts);
        corpus.train.append(&mut split("train")?);
        corpus.dev.append(&mut split("dev")?);
        corpus.tests.push((format!("test-{language}"), split("test")?));
        let lexicon = tables::lexicon(&folder.join("lexicon.tsv"))?;
        corpus.lexicons.insert(language.to_string(), lexicon);
        let sentences = tables::sentences(&folder.join("text.tsv"))?;
        corpus.translations.insert(language.to_string(), sentences);
    }
    // Stable: within a sentence the languages stay in order.
    corpus.train.sort_by_key(|cut| cut.sentence);
    corpus.dev.sort_by_key(|cut| cut.sentence);
    let low_resource = |cut: &&Cut| cut.low_resource;
    corpus.low_resource = corpus.train.iter().filter(low_resource).cloned().collect();
    Ok(corpus)
}
