//! The corpora: making the embedded one, checking any.

mod align;
mod card;
mod check;
mod check_multilingual;
mod espeak;
mod multilingual;
mod speech;
mod synthesize;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};

/// Where the multilingual corpus is if the user does not say.
const MULTILINGUAL: &str = "mini-multilingual";

/// A corpus that the commands know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CorpusName {
    /// The embedded corpus: synthetic speech in English, text in four languages
    Mini,
    /// German, Spanish and French beside it: its sentences spoken by espeak-ng, made by `synthesize mini --lang`
    MiniMultilingual,
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
        /// Where the corpus is; the embedded one is in data-manifests/mini, and mini-multilingual where it is made
        #[arg(long, value_name = "DIR")]
        data_root: Option<PathBuf>,
    },
    /// Make the embedded corpus again, from its seed (needs the programs flite and lame), or with --lang speak its
    /// translations (needs espeak-ng)
    Synthesize {
        /// The corpus; only the embedded one is synthetic
        corpus: CorpusName,
        /// Speak the sentences in these languages, apart by commas, and put the English of them beside: the corpus
        /// mini-multilingual
        #[arg(long, value_name = "LANG", value_delimiter = ',', value_parser = ["de", "es", "fr"])]
        lang: Vec<String>,
        /// With --lang: as many sentences for training as take so many minutes in English, at most 60
        #[arg(long, value_name = "MINUTES", requires = "lang", default_value_t = 15.0)]
        minutes: f64,
        /// Where to write it; a folder that is not there yet, or is empty. If left out, mini-synthesized, or with
        /// --lang mini-multilingual, in the current folder; git ignores both at the root of the repository
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
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
        DataCommand::Check {
            corpus: CorpusName::MiniMultilingual,
            data_root,
        } => check_multilingual::check(&data_root.unwrap_or_else(|| MULTILINGUAL.into())),
        DataCommand::Synthesize {
            corpus: CorpusName::Mini,
            lang,
            out,
            ..
        } if lang.is_empty() => synthesize::mini(&out.unwrap_or_else(|| "mini-synthesized".into())),
        DataCommand::Synthesize {
            corpus: CorpusName::Mini,
            lang,
            minutes,
            out,
        } => multilingual::make(
            &manifests.join("mini"),
            lang,
            minutes,
            &out.unwrap_or_else(|| MULTILINGUAL.into()),
        ),
        DataCommand::Synthesize {
            corpus: CorpusName::MiniMultilingual,
            ..
        } => {
            anyhow::bail!("this one is made by `cargo xtask data synthesize mini --lang de,es,fr`")
        }
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
