use serde::{Deserialize, Serialize};

use crate::config::{config_hash, differences, to_table};
use crate::suggest::unknown;
use crate::{Experiment, Override, Result, Setting};

/// What an experiment intends in a setting: what `plan --json` prints and the report is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The paper.
    pub reference: PlanReference,
    /// The setting.
    pub setting: Setting,
    /// The corpora the experiment knows.
    pub corpora: Vec<String>,
    /// The arms, in the report's order.
    pub arms: Vec<PlanArm>,
    /// The claims.
    pub claims: Vec<PlanClaim>,
    /// Where we leave the paper.
    pub departures: Vec<PlanDeparture>,
    /// What the paper does not say.
    pub unknowns: Vec<PlanUnknown>,
}

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

impl Plan {
    /// The plan of an experiment in a setting, with fields of every arm replaced.
    ///
    /// # Errors
    ///
    /// If the setting cannot be configured, an override fits no arm, or a claim names an arm that does not exist.
    pub fn of<E: Experiment>(setting: &Setting, overrides: &[Override]) -> anyhow::Result<Self> {
        let arms = E::arms(setting)?;
        let mut planned: Vec<PlanArm> = Vec::with_capacity(arms.len());
        let mut base = None;
        for arm in &arms {
            let config = crate::config::apply(&arm.config, overrides)?;
            let table = to_table(&config, arm.name)?;
            let base = base.get_or_insert_with(|| table.clone());
            planned.push(PlanArm {
                name: arm.name.to_owned(),
                why: arm.why.to_owned(),
                default: arm.default,
                config_hash: config_hash(&config)?,
                changes: differences(base, &table),
                config: toml::to_string(&config)?,
            });
        }
        let plan = Self {
            reference: PlanReference {
                key: E::REFERENCE.key.to_owned(),
                title: E::REFERENCE.title.to_owned(),
                authors: E::REFERENCE.authors.to_owned(),
                venue: E::REFERENCE.venue.to_owned(),
                arxiv: E::REFERENCE.arxiv.to_owned(),
                bibtex: E::REFERENCE.bibtex.trim().to_owned(),
            },
            setting: setting.clone(),
            corpora: E::corpora().iter().map(|&corpus| corpus.to_owned()).collect(),
            arms: planned,
            claims: E::claims(setting)
                .into_iter()
                .map(|claim| PlanClaim {
                    source: claim.source.to_owned(),
                    statement: claim.statement.to_owned(),
                    metric: claim.metric.to_owned(),
                    better: claim.better.to_owned(),
                    worse: claim.worse.to_owned(),
                })
                .collect(),
            departures: E::departures()
                .into_iter()
                .map(|departure| PlanDeparture {
                    what: departure.what.to_owned(),
                    why: departure.why.to_owned(),
                })
                .collect(),
            unknowns: E::unknowns()
                .into_iter()
                .map(|open| PlanUnknown {
                    what: open.what.to_owned(),
                    reading: open.reading.to_owned(),
                })
                .collect(),
        };
        for claim in &plan.claims {
            plan.arm(&claim.better)?;
            plan.arm(&claim.worse)?;
        }
        Ok(plan)
    }

    /// The arm of a name.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`](crate::Error::Unknown) with the nearest name.
    pub fn arm(&self, name: &str) -> Result<&PlanArm> {
        let find = self.arms.iter().find(|arm| arm.name == name);
        find.ok_or_else(|| {
            unknown(
                "arm",
                name,
                &self.arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>(),
            )
        })
    }
}
