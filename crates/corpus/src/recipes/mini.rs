//! The embedded corpus in `data-manifests/mini/`.

use std::collections::BTreeMap;
use std::path::Path;

use super::tables;
use crate::{Corpus, Error, Manifest, Result, text_file};

/// The languages of the embedded corpus, English first.
pub const LANGUAGES: [&str; 4] = ["en", "de", "es", "fr"];

/// Reads the embedded corpus from its folder.
///
/// `tests` is `[("test-common", ..), ("test-rare", ..)]`; `low_resource` are the cuts of train marked so.
///
/// # Errors
///
/// Those of [`Manifest::read`] for each split, and [`Error::Line`] for a line of `text.*.tsv`, `lexicon.tsv` or
/// `rare-words.txt` that does not have its fields.
pub fn mini(root: &Path) -> Result<Corpus> {
    if !root.is_dir() {
        return Err(Error::NotFound {
            what: "folder of the mini corpus",
            path: root.to_path_buf(),
        });
    }
    let split = |name: &str| Ok(Manifest::read(&root.join(format!("{name}.jsonl")))?.cuts);
    let train = split("train")?;
    let low_resource = train.iter().filter(|cut| cut.low_resource).cloned().collect();
    let mut translations = BTreeMap::new();
    for language in LANGUAGES {
        let sentences = tables::sentences(&root.join(format!("text.{language}.tsv")))?;
        translations.insert(language.to_string(), sentences);
    }
    let lexicon = tables::lexicon(&root.join("lexicon.tsv"))?;
    let rare_words = text_file::read("rare words", &root.join("rare-words.txt"))?;
    Ok(Corpus {
        name: "mini",
        dev: split("dev")?,
        tests: vec![
            ("test-common".to_string(), split("test-common")?),
            ("test-rare".to_string(), split("test-rare")?),
        ],
        low_resource,
        train,
        lexicons: BTreeMap::from([("en".to_string(), lexicon)]),
        rare_words: rare_words.lines().map(str::to_string).collect(),
        translations,
    })
}
