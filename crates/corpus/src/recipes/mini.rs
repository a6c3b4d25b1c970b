//! The embedded corpus in `data-manifests/mini/`.

use std::collections::BTreeMap;
use std::path::Path;

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
        let sentences = pairs(&root.join(format!("text.{language}.tsv")), |number, text| {
            Some((number.parse::<u32>().ok()?, text.to_string()))
        })?;
        translations.insert(language.to_string(), sentences);
    }
    let phones = |word: &str, phones: &str| {
        Some((
            word.to_string(),
            phones.split(' ').map(str::to_string).collect::<Vec<_>>(),
        ))
    };
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
        lexicon: pairs(&root.join("lexicon.tsv"), phones)?,
        rare_words: rare_words.lines().map(str::to_string).collect(),
        translations,
    })
}

/// Reads lines of two fields apart by a tab.
fn pairs<K: Ord, V>(path: &Path, parse: impl Fn(&str, &str) -> Option<(K, V)>) -> Result<BTreeMap<K, V>> {
    let text = text_file::read("table", path)?;
    let mut map = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| Error::Line {
            path: path.to_path_buf(),
            line: index + 1,
            what: format!("{what}, got {line:?}"),
        };
        let entry = line.split_once('\t').and_then(|(key, value)| parse(key, value));
        let (key, value) = entry.ok_or_else(|| wrong("expected two fields apart by a tab"))?;
        if map.insert(key, value).is_some() {
            return Err(wrong("expected each key once"));
        }
    }
    Ok(map)
}
