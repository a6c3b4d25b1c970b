//! The tables beside the manifests: lines of two fields apart by a tab.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Result, text_file};

/// Sentence number to the written sentence.
pub(super) fn sentences(path: &Path) -> Result<BTreeMap<u32, String>> {
    pairs(path, |number, text| {
        Some((number.parse().ok()?, text.to_string()))
    })
}

/// Word to its phones.
pub(super) fn lexicon(path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    pairs(path, |word, phones| {
        Some((word.to_string(), phones.split(' ').map(str::to_string).collect()))
    })
}

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
