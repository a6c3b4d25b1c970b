//! The data card: what a corpus is, and the hashes that say it is that one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A corpus' card.toml.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) title: String,
    /// Where it comes from and how a user gets it.
    pub(super) source: String,
    pub(super) licence: String,
    /// What it is good for and what not.
    pub(super) notes: String,
    pub(super) sample_rate: u32,
    pub(super) languages: Vec<String>,
    /// The seed it was drawn from, for a synthetic corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<u64>,
    /// The programs that made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) made_with: Vec<String>,
    /// Speakers held out of training for dev, where the corpus itself has no dev set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dev_speakers: Vec<String>,
    pub(super) splits: BTreeMap<String, SplitCard>,
    /// SHA-256 of each text file, by its path below the corpus' folder.
    pub(super) files: BTreeMap<String, String>,
    pub(super) audio: AudioCard,
}

/// The figures of one split.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SplitCard {
    pub(super) utterances: usize,
    pub(super) seconds: f64,
    pub(super) speakers: usize,
    pub(super) word_types: usize,
    /// For train: how much of it is the low-resource subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) low_resource_utterances: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) low_resource_seconds: Option<f64>,
}

/// All audio files together.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AudioCard {
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// SHA-256 of the lines `<SHA-256 of the file>  <path>`, sorted by path: what `sha256sum` prints.
    pub(super) sha256: String,
}

impl Card {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("data card {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("data card {}", path.display()))
    }

    pub(super) fn utterances(&self) -> usize {
        self.splits.values().map(|split| split.utterances).sum()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.splits.values().map(|split| split.seconds).sum()
    }
}

impl SplitCard {
    pub(super) fn of(cuts: &[sandhi_corpus::Cut]) -> Self {
        let distinct =
            |texts: &mut dyn Iterator<Item = &str>| texts.collect::<std::collections::BTreeSet<_>>().len();
        let low: Vec<f64> = cuts
            .iter()
            .filter(|cut| cut.low_resource)
            .map(|cut| cut.duration)
            .collect();
        Self {
            utterances: cuts.len(),
            seconds: to_milliseconds(cuts.iter().map(|cut| cut.duration).sum()),
            speakers: distinct(&mut cuts.iter().map(|cut| cut.speaker.as_str())),
            word_types: distinct(&mut cuts.iter().flat_map(|cut| cut.text.split(' '))),
            low_resource_utterances: (!low.is_empty()).then_some(low.len()),
            low_resource_seconds: (!low.is_empty()).then(|| to_milliseconds(low.iter().sum())),
        }
    }
}

fn to_milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(super) fn sha256_file(path: &Path) -> anyhow::Result<String> {
    Ok(sha256(
        &std::fs::read(path).with_context(|| path.display().to_string())?,
    ))
}

/// The card of audio files, given by their paths below a folder.
pub(super) fn audio(root: &Path, mut paths: Vec<PathBuf>) -> anyhow::Result<AudioCard> {
    paths.sort();
    let (mut lines, mut bytes) = (String::new(), 0);
    for path in &paths {
        let content = std::fs::read(root.join(path)).with_context(|| path.display().to_string())?;
        bytes += content.len() as u64;
        lines.push_str(&format!("{}  {}\n", sha256(&content), path.display()));
    }
    Ok(AudioCard {
        files: paths.len(),
        bytes,
        sha256: sha256(lines.as_bytes()),
    })
}
