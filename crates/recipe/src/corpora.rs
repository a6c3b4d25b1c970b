//! Which corpus, which of its utterances are paired, and which text is not.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sandhi_corpus::{Corpus, Cut};
use sandhi_lab::Setting;

use crate::options::{DataOptions, Paired};

/// The root of the embedded corpus: beside the workspace the binary was built from, or below the working directory.
fn embedded_root() -> PathBuf {
    let below = PathBuf::from("data-manifests/mini");
    if below.is_dir() {
        below
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests/mini")
    }
}

/// The corpus of a setting.
///
/// # Errors
///
/// If it is not known, or not where the setting says; those of its recipe in [`sandhi_corpus`].
pub(crate) fn corpus(setting: &Setting) -> Result<Corpus> {
    match (setting.corpus.as_str(), &setting.data_root) {
        ("mini", root) => {
            let root = root.clone().unwrap_or_else(embedded_root);
            sandhi_corpus::mini(&root).with_context(|| format!("the mini corpus at {}", root.display()))
        }
        ("an4", Some(root)) => {
            sandhi_corpus::an4(root).with_context(|| format!("the AN4 corpus at {}", root.display()))
        }
        ("an4", None) => bail!(
            "the AN4 corpus is not part of this repository; say where it is with --data-root DIR (the folder that holds etc/ and wav/), and see data-manifests/an4/card.toml for where to get it"
        ),
        ("mini-multilingual", Some(root)) => sandhi_corpus::multilingual(root, &[])
            .with_context(|| format!("the multilingual corpus at {}", root.display())),
        ("mini-multilingual", None) => bail!(
            "the multilingual corpus is made on your machine: cargo xtask data synthesize mini --lang de,es,fr; then say where it is with --data-root DIR"
        ),
        (other, _) => bail!("unknown corpus {other}; expected mini, an4 or mini-multilingual"),
    }
}

/// The utterances whose speech and transcripts go together.
pub(crate) fn paired(options: &DataOptions, corpus: &Corpus) -> Result<Vec<Cut>> {
    let all = match options.paired {
        Paired::All => &corpus.train,
        Paired::LowResource => &corpus.low_resource,
    };
    let Some(minutes) = options.paired_minutes else {
        return Ok(all.clone());
    };
    // More minutes hold all that fewer have.
    let (first, rest): (Vec<&Cut>, Vec<&Cut>) = all.iter().partition(|cut| cut.low_resource);
    let mut seconds = 60.0 * minutes;
    let mut chosen = vec![];
    for cut in first.into_iter().chain(rest) {
        if seconds < cut.duration {
            return Ok(chosen);
        }
        seconds -= cut.duration;
        chosen.push(cut.clone());
    }
    bail!(
        "paired_minutes: expected no more than the corpus has, got {minutes}, which is {:.1} too many",
        seconds / 60.0
    )
}

/// Sentences that nobody speaks to the model: what the grammar of the corpus generates, or where there is none the
/// transcripts that are left unpaired.
pub(crate) fn unpaired(
    options: &DataOptions,
    setting: &Setting,
    corpus: &Corpus,
    paired: &[Cut],
) -> Vec<String> {
    let most = options.unpaired_sentences;
    if setting.corpus == "mini" {
        // One and the same for every seed of the training; more of it begins with less.
        let seed = 20_240_606;
        return sandhi_corpus::unpaired_text(seed, most, &corpus.held_out_text());
    }
    let used: HashSet<&str> = paired.iter().map(|cut| cut.id.as_str()).collect();
    let left = corpus.train.iter().filter(|cut| !used.contains(cut.id.as_str()));
    left.take(most).map(|cut| cut.text.clone()).collect()
}
