//! The corpora: making the embedded one, checking any.

mod align;
mod card;
mod check;
mod speech;
mod synthesize;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};

/// A corpus that has a card in data-manifests/.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CorpusName {
    /// The embedded corpus: synthetic speech in English, text in four languages
    Mini,
    /// CMU AN4: real speech, to be fetched by the user
    An4,
}

/// What can be done to corpora.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Show the corpora: what they are, where they come from, under which licence
    List,
    /// Check a corpus against its card: counts, hashes, durations, sample rates, splits
    Check {
        /// The corpus
        corpus: CorpusName,
        /// Where the corpus is; the embedded one is in data-manifests/mini
        #[arg(long, value_name = "DIR")]
        data_root: Option<PathBuf>,
    },
    /// Make the embedded corpus again, from its seed (needs the programs flite and lame)
    Synthesize {
        /// The corpus; only the embedded one is synthetic
        corpus: CorpusName,
        /// Where to write it; a folder that is not there yet, or is empty
        #[arg(long, value_name = "DIR", default_value = "mini-synthesized")]
        out: PathBuf,
    },
}

/// Runs a command on corpora.
///
/// # Errors
///
/// If the corpus is not there, or is not what its card says.
pub(crate) fn run(command: DataCommand) -> anyhow::Result<()> {
    let manifests = manifests();
    match command {
        DataCommand::List => list(&manifests),
        DataCommand::Check {
            corpus: CorpusName::Mini,
            data_root,
        } => check::mini(&data_root.unwrap_or_else(|| manifests.join("mini"))),
        DataCommand::Check {
            corpus: CorpusName::An4,
            data_root,
        } => {
            let Some(root) = data_root else {
                anyhow::bail!("AN4 is not part of this repository: say where it is with --data-root DIR");
            };
            check::an4(&manifests.join("an4/card.toml"), &root)
        }
        DataCommand::Synthesize {
            corpus: CorpusName::Mini,
            out,
        } => synthesize::mini(&out),
        DataCommand::Synthesize {
            corpus: CorpusName::An4,
            ..
        } => {
            anyhow::bail!(
                "AN4 is recorded speech and cannot be synthesized; `cargo xtask data list` says where it is"
            )
        }
    }
}

fn list(manifests: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for name in ["mini", "an4"] {
        let card = card::Card::read(&manifests.join(name).join("card.toml"))?;
        writeln!(out, "{:<6} {}", card.name, card.title)?;
        writeln!(
            out,
            "       {} utterances, {:.2} hours, {}",
            card.utterances(),
            card.seconds() / 3600.0,
            card.licence
        )?;
        for (split, entry) in &card.splits {
            writeln!(
                out,
                "       {split:<12} {:>5} utterances {:>7.1} minutes",
                entry.utterances,
                entry.seconds / 60.0
            )?;
        }
        writeln!(out, "       {}", card.source)?;
    }
    Ok(())
}

/// The folder data-manifests/ of the repository.
fn manifests() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).join("data-manifests")
}
