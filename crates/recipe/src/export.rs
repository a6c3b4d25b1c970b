//! A trained model in a directory of its own: weights, configuration, text front end, card.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device};
use sandhi_lab::{Identity, Reference, read_utterances, write_atomic};
use sandhi_nn::Params;
use sandhi_score::{Unit, error_rate, word_edits};

use crate::data::Frontends;
use crate::recipe::Recipe;

/// The configuration, in a run as in an export.
const CONFIG: &str = "config.toml";
/// The weights in an export.
const MODEL: &str = "model.safetensors";

/// Which weights of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Weights {
    /// Those the run is judged by: of the best validation, averaged while training if it was configured so
    Best,
    /// The mean over the last validations; with trainer.snapshots
    MeanLast,
    /// The mean over the best validations; with trainer.snapshots
    MeanBest,
}

impl Weights {
    fn file(self) -> &'static str {
        match self {
            Self::Best => "checkpoints/best.safetensors",
            Self::MeanLast => "checkpoints/mean-last.safetensors",
            Self::MeanBest => "checkpoints/mean-best.safetensors",
        }
    }
}

/// A model that is ready to recognise.
pub struct Recogniser<R: Recipe> {
    /// As it was trained.
    pub config: R::Config,
    /// From text to labels and back.
    pub frontends: Frontends,
    /// With its weights.
    pub network: R::Network,
}

impl<R: Recipe> Recogniser<R> {
    /// Loads an export, or the best weights of a run.
    ///
    /// # Errors
    ///
    /// If the directory is neither, or a file in it is damaged or of another model.
    pub fn open(dir: &Path) -> Result<Self> {
        let exported = dir.join(MODEL);
        let weights = if exported.exists() {
            exported
        } else {
            dir.join(Weights::Best.file())
        };
        Self::load(dir, &weights)
    }

    fn load(dir: &Path, weights: &Path) -> Result<Self> {
        let path = dir.join(CONFIG);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is neither a run directory nor an export, which `cargo xtask reproduce` makes: cannot read {}",
                dir.display(),
                path.display()
            )
        })?;
        let config: R::Config = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        let frontends = Frontends::load(dir)?;
        let params = Params::seeded(0, DType::F32, &Device::Cpu);
        let network = R::network(&config, &frontends, &params)?;
        params
            .load(weights)
            .with_context(|| format!("{}: is the run finished?", weights.display()))?;
        Ok(Self {
            config,
            frontends,
            network,
        })
    }
}

/// Writes `model.safetensors`, `config.toml`, the front ends and `README.md` into `to`.
///
/// The weights are loaded once to be sure that they are those of the configuration.
///
/// # Errors
///
/// Those of [`Recogniser::open`], and if `to` is itself a run.
pub fn export<R: Recipe>(run: &Path, to: &Path, weights: Weights) -> Result<()> {
    let source = run.join(weights.file());
    let frontends = Recogniser::<R>::load(run, &source)?.frontends;
    let identity = Identity::read(run)?.with_context(|| format!("{} has no run.toml", run.display()))?;
    ensure!(
        !to.join("run.toml").exists(),
        "{} is a run directory; an export needs one of its own",
        to.display()
    );
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let mut files: Vec<(PathBuf, &str)> = vec![(source, MODEL), (run.join(CONFIG), CONFIG)];
    files.extend(frontends.files().into_iter().map(|name| (run.join(name), name)));
    for (from, name) in files {
        let bytes = std::fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        write_atomic(&to.join(name), &bytes)?;
    }
    let card = card(&R::REFERENCE, &identity, &scores(run, weights)?, weights);
    Ok(write_atomic(&to.join("README.md"), card.as_bytes())?)
}

/// Word error rates of the run's test sets. The run decoded with its best weights, so others have none.
fn scores(run: &Path, weights: Weights) -> Result<Vec<(String, f64, usize)>> {
    let mut scores = Vec::new();
    if weights != Weights::Best {
        return Ok(scores);
    }
    for entry in std::fs::read_dir(run).with_context(|| format!("cannot read {}", run.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let split = name
            .strip_prefix("utterances.")
            .and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(split) = split
            && let Some(utterances) = read_utterances(run, split)?
            && !utterances.is_empty()
        {
            let edits: Vec<_> = utterances
                .iter()
                .map(|u| word_edits(&u.reference, &u.hypothesis))
                .collect();
            scores.push((
                split.to_owned(),
                error_rate(Unit::Word, &edits).value,
                utterances.len(),
            ));
        }
    }
    scores.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(scores)
}

/// The model card: what it is, what it was trained on, how well it does, what it is not for.
fn card(
    reference: &Reference,
    identity: &Identity,
    scores: &[(String, f64, usize)],
    weights: Weights,
) -> String {
    let fact = |key: &str| match identity.metadata.get(key) {
        None => "unknown".to_owned(),
        Some(toml::Value::Float(value)) => format!("{value:.2}"),
        Some(value) => value.to_string().trim_matches('"').to_owned(),
    };
    let which = match weights {
        Weights::Best => "those of the best validation",
        Weights::MeanLast => "the mean over the last validations",
        Weights::MeanBest => "the mean over the best validations",
    };
    let mut card = format!(
        "# {} `{}`, seed {}\n\nA speech recogniser after {}, {} ([arXiv:{}](https://arxiv.org/abs/{})).\n\n",
        identity.paper,
        identity.arm,
        identity.seed,
        reference.authors,
        reference.venue,
        reference.arxiv,
        reference.arxiv
    );
    card.push_str("| | |\n|---|---|\n");
    for (name, value) in [
        ("setting", identity.setting.clone()),
        (
            "corpus",
            format!("{}, hash {}", identity.corpus, fact("corpus_hash")),
        ),
        (
            "paired speech",
            format!(
                "{} h in {} utterances",
                fact("train_hours"),
                fact("train_utterances")
            ),
        ),
        ("unpaired sentences", fact("unpaired_sentences")),
        ("parameters", fact("parameters")),
        ("weights", which.to_owned()),
        (
            "word error rate on dev",
            format!("{} % after step {}", fact("best_dev_wer"), fact("best_step")),
        ),
        (
            "configuration",
            format!("`config.toml`, hash {}", identity.config_hash),
        ),
        (
            "code",
            format!(
                "sandhi {}, commit {}",
                identity.code.version, identity.code.git_commit
            ),
        ),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(card, "| {name} | {value} |");
    }
    for (split, rate, count) in scores {
        let _ = writeln!(
            card,
            "| word error rate on {split} | {rate:.1} % of {count} utterances |"
        );
    }
    card.push_str("\nTranscribe with `");
    card.push_str(reference.key);
    card.push_str(
        " transcribe --run DIR FILE...`, where DIR is this directory.\n\n\
         It knows the words, the speakers and the recording conditions of its corpus. On other speech its error rates \
         are not known, and it says nothing about how sure it is.\n",
    );
    card
}
