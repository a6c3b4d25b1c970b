//! What commands that make runs have in common on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use sandhi_lab::Scale;

/// Where an experiment is carried out, handed through to it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// How much to spend: smoke (a minute), mini (minutes to tens of minutes), paper (the published setting)
    #[arg(long, value_enum, default_value_t = Scale::Mini)]
    scale: Scale,
    /// The corpus; the embedded one unless named
    #[arg(long)]
    corpus: Option<String>,
    /// The directory of a corpus that is not embedded [default: the corpus in $SANDHI_DATA]
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Replace one field of every arm's configuration (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl Place {
    /// The arguments an experiment understands.
    pub(crate) fn arguments(&self) -> anyhow::Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = vec!["--scale".into(), self.scale.to_string().into()];
        if let Some(corpus) = &self.corpus {
            arguments.extend(["--corpus".into(), corpus.into()]);
        }
        if let Some(root) = &self.data_root {
            // The experiment runs in the root of the repository, the path was given from here.
            let absolute = std::path::absolute(root).context("cannot resolve --data-root")?;
            arguments.extend(["--data-root".into(), absolute.into()]);
        }
        for change in &self.overrides {
            arguments.extend(["--set".into(), change.into()]);
        }
        Ok(arguments)
    }
}

/// How runs are made.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Making {
    #[command(flatten)]
    pub(crate) place: Place,
    /// How many seeds per arm; several give intervals over seeds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) seeds: u64,
    /// How many runs at a time; they share the cores [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Only show what would be run, and how long it would take
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Drop what is there and start over
    #[arg(long)]
    pub(crate) fresh: bool,
}
