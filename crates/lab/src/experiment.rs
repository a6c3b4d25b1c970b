use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Run, Setting};

/// The paper an experiment reproduces.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// Short name: the package, the directory under `runs/` and `reports/`, as `astra`.
    pub key: &'static str,
    /// Title.
    pub title: &'static str,
    /// Authors as they are printed.
    pub authors: &'static str,
    /// Where and when it appeared, as `Interspeech 2024`.
    pub venue: &'static str,
    /// arXiv identifier, as `2406.06664`; empty if there is none.
    pub arxiv: &'static str,
    /// BibTeX entry.
    pub bibtex: &'static str,
}

/// One configuration of an experiment, with the question it answers.
#[derive(Debug, Clone)]
pub struct Arm<C> {
    /// Name: a directory, a row of the tables.
    pub name: &'static str,
    /// The question this arm answers.
    pub why: &'static str,
    /// Whether a plain `reproduce` runs it.
    pub default: bool,
    /// The configuration, complete.
    pub config: C,
}

/// An assertion of the paper that two arms can decide.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Where the paper says so.
    pub source: &'static str,
    /// The assertion.
    pub statement: &'static str,
    /// Split and measure, as `test-common/wer` or `test/cer`; several splits are pooled as `test-en+test-de/wer`.
    pub metric: &'static str,
    /// The arm that should have fewer errors.
    pub better: &'static str,
    /// The arm it is compared with.
    pub worse: &'static str,
    /// By how many points `better` may have more errors and the claim still holds: 0 for "is better", more for "matches".
    pub margin: f64,
}

impl Claim {
    /// The claim that `better` has fewer errors than `worse`.
    pub const fn fewer_errors(
        source: &'static str,
        statement: &'static str,
        metric: &'static str,
        better: &'static str,
        worse: &'static str,
    ) -> Self {
        Self {
            source,
            statement,
            metric,
            better,
            worse,
            margin: 0.0,
        }
    }
}

/// An assertion of the paper that something gains more in one setting than in another.
///
/// What is compared is the share of the worse arm's errors that the better arm does not make, each at the same scale.
#[derive(Debug, Clone, Copy)]
pub struct Contrast {
    /// Where the paper says so.
    pub source: &'static str,
    /// The assertion.
    pub statement: &'static str,
    /// The arm that should have fewer errors in both settings.
    pub better: &'static str,
    /// The arm it is compared with.
    pub worse: &'static str,
    /// Where more is gained: a corpus and a metric of it.
    pub more: (&'static str, &'static str),
    /// Where less is.
    pub less: (&'static str, &'static str),
}

/// A question that a group of arms answers together: each of them is compared with the first.
///
/// An arm may belong to several groups; it is run once for all of them.
#[derive(Debug, Clone, Copy)]
pub struct Ablation {
    /// Name, as `cargo xtask ablate PAPER --only NAME` takes it.
    pub name: &'static str,
    /// What the group asks.
    pub question: &'static str,
    /// The reference, then the arms that are compared with it.
    pub arms: &'static [&'static str],
    /// Splits and measures to compare by, as `test-rare/wer`; empty for the word error rate on all splits of the table.
    pub metrics: &'static [&'static str],
}

/// Where we leave the paper.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    /// What differs.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
}

/// What the paper does not say.
#[derive(Debug, Clone, Copy)]
pub struct Unknown {
    /// The question left open.
    pub what: &'static str,
    /// The reading taken, and the arm or field that covers the others.
    pub reading: &'static str,
}

/// A paper as a program: its arms, its claims, and how to carry one arm out.
///
/// # Example
///
/// See the crate documentation for a complete experiment.
pub trait Experiment {
    /// The configuration of one arm. Unknown keys must be an error: `#[serde(deny_unknown_fields)]`.
    type Config: Clone + Debug + Serialize + DeserializeOwned;

    /// The paper.
    const REFERENCE: Reference;

    /// The corpora it can be carried out on; the first is the default.
    fn corpora() -> &'static [&'static str];

    /// The arms in this setting, in the order in which the report shows them.
    ///
    /// # Errors
    ///
    /// If the setting cannot be configured, say because a corpus is not where it should be.
    fn arms(setting: &Setting) -> anyhow::Result<Vec<Arm<Self::Config>>>;

    /// The claims that can be decided in this setting. Both arms of each must exist.
    fn claims(setting: &Setting) -> Vec<Claim>;

    /// The claims that compare settings. The arms and corpora of each must exist.
    fn contrasts() -> Vec<Contrast> {
        Vec::new()
    }

    /// The ablations that can be carried out in this setting. All their arms must exist.
    fn ablations(setting: &Setting) -> Vec<Ablation> {
        let _ = setting;
        Vec::new()
    }

    /// How long one run of a configuration takes on one core, in seconds; `None` if nobody can say.
    ///
    /// Only for plans: the runner prefers what runs of the same configuration took.
    fn expected_seconds(config: &Self::Config, setting: &Setting) -> Option<f64> {
        let _ = (config, setting);
        None
    }

    /// Where we leave the paper.
    fn departures(setting: &Setting) -> Vec<Departure>;

    /// What the paper does not say.
    fn unknowns() -> Vec<Unknown>;

    /// Carries out one run: one arm, one seed. Must continue from what it finds in [`Run::dir`].
    ///
    /// # Errors
    ///
    /// Whatever stops the run. After [`Run::interrupt`] the error counts as an interruption with its state saved.
    fn run(config: &Self::Config, setting: &Setting, run: &mut Run) -> anyhow::Result<()>;
}
