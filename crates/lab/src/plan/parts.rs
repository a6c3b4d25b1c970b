use serde::{Deserialize, Serialize};

use crate::{Ablation, Contrast};

/// [`Reference`](crate::Reference), owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanReference {
    pub key: String,
    pub title: String,
    pub authors: String,
    pub venue: String,
    pub arxiv: String,
    pub bibtex: String,
}

/// [`Arm`](crate::Arm), owned, with its configuration as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanArm {
    /// Name.
    pub name: String,
    /// The question it answers.
    pub why: String,
    /// Whether a plain `reproduce` runs it.
    pub default: bool,
    /// SHA-256 of the configuration, overrides included.
    pub config_hash: String,
    /// In which fields it differs from the first arm.
    pub changes: Vec<String>,
    /// The configuration, as TOML.
    pub config: String,
    /// How long one run takes on one core, if the experiment can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<f64>,
}

/// [`Claim`](crate::Claim), owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanClaim {
    pub source: String,
    pub statement: String,
    pub metric: String,
    pub better: String,
    pub worse: String,
    /// A plan written before there were margins has only claims of being better.
    #[serde(default)]
    pub margin: f64,
}

/// [`Contrast`](crate::Contrast), owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanContrast {
    pub source: String,
    pub statement: String,
    pub better: String,
    pub worse: String,
    pub more: PlanPlace,
    pub less: PlanPlace,
}

/// Where something is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanPlace {
    pub corpus: String,
    pub metric: String,
}

/// [`Ablation`](crate::Ablation), owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanAblation {
    pub name: String,
    pub question: String,
    pub arms: Vec<String>,
    pub metrics: Vec<String>,
}

/// [`Departure`](crate::Departure), owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanDeparture {
    pub what: String,
    pub why: String,
}

/// [`Unknown`](crate::Unknown), owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PlanUnknown {
    pub what: String,
    pub reading: String,
}

impl PlanContrast {
    pub(crate) fn of(contrast: &Contrast) -> Self {
        let place = |(corpus, metric): (&str, &str)| PlanPlace {
            corpus: corpus.to_owned(),
            metric: metric.to_owned(),
        };
        Self {
            source: contrast.source.to_owned(),
            statement: contrast.statement.to_owned(),
            better: contrast.better.to_owned(),
            worse: contrast.worse.to_owned(),
            more: place(contrast.more),
            less: place(contrast.less),
        }
    }
}

impl PlanAblation {
    pub(crate) fn of(ablation: &Ablation) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            name: ablation.name.to_owned(),
            question: ablation.question.to_owned(),
            arms: owned(ablation.arms),
            metrics: owned(ablation.metrics),
        }
    }
}
