mod parts;

use sandhi_score::Unit;
use serde::{Deserialize, Serialize};

use crate::config::{config_hash, differences, to_table};
use crate::suggest::unknown;
use crate::{Error, Experiment, Override, Result, Setting};

pub use parts::{
    PlanAblation, PlanArm, PlanClaim, PlanContrast, PlanDeparture, PlanPlace, PlanReference, PlanUnknown,
};

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
    /// The claims that compare settings; a plan written before there were any has none.
    #[serde(default)]
    pub contrasts: Vec<PlanContrast>,
    /// The ablations; a plan written before there were any has none.
    #[serde(default)]
    pub ablations: Vec<PlanAblation>,
    /// Where we leave the paper.
    pub departures: Vec<PlanDeparture>,
    /// What the paper does not say.
    pub unknowns: Vec<PlanUnknown>,
}

impl Plan {
    /// The plan of an experiment in a setting, with fields of every arm replaced.
    ///
    /// # Errors
    ///
    /// If the setting cannot be configured, an override fits no arm, a claim or an ablation names an arm that does not
    /// exist, or an ablation compares nothing.
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
                expected_seconds: E::expected_seconds(&config, setting),
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
                    margin: claim.margin,
                })
                .collect(),
            contrasts: E::contrasts().iter().map(PlanContrast::of).collect(),
            ablations: E::ablations(setting).iter().map(PlanAblation::of).collect(),
            departures: E::departures(setting)
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
        plan.check_contrasts()?;
        plan.check_ablations()?;
        Ok(plan)
    }

    /// Every contrast compares arms that exist on corpora that exist, by metrics.
    fn check_contrasts(&self) -> Result<()> {
        let corpora: Vec<&str> = self.corpora.iter().map(String::as_str).collect();
        for contrast in &self.contrasts {
            self.arm(&contrast.better)?;
            self.arm(&contrast.worse)?;
            for place in [&contrast.more, &contrast.less] {
                if !self.corpora.contains(&place.corpus) {
                    return Err(unknown("corpus", &place.corpus, &corpora));
                }
                if split_and_unit(&place.metric).is_none() {
                    return Err(Error::Config {
                        origin: format!("of the claim '{}'", contrast.statement),
                        reason: format!("expected metrics as test/wer or test/cer, got {}", place.metric),
                    });
                }
            }
        }
        Ok(())
    }

    /// Every ablation has a name of its own, and compares arms that exist with another that exists.
    fn check_ablations(&self) -> Result<()> {
        for (place, ablation) in self.ablations.iter().enumerate() {
            for arm in &ablation.arms {
                self.arm(arm)?;
            }
            let twice = |names: &[String], at: usize| names[..at].contains(&names[at]);
            let reason = if self.ablations[..place].iter().any(|a| a.name == ablation.name) {
                "its name is taken".to_owned()
            } else if ablation.arms.len() < 2 {
                format!(
                    "expected a reference and an arm to compare with it, got {} arms",
                    ablation.arms.len()
                )
            } else if let Some(at) = (0..ablation.arms.len()).find(|&at| twice(&ablation.arms, at)) {
                format!("arm {} is named twice", ablation.arms[at])
            } else if let Some(metric) = ablation.metrics.iter().find(|m| split_and_unit(m).is_none()) {
                format!("expected metrics as test/wer or test/cer, got {metric}")
            } else {
                continue;
            };
            return Err(Error::Config {
                origin: format!("of ablation {}", ablation.name),
                reason,
            });
        }
        Ok(())
    }

    /// The ablation of a name.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`](crate::Error::Unknown) with the nearest name.
    pub fn ablation(&self, name: &str) -> Result<&PlanAblation> {
        let find = self.ablations.iter().find(|ablation| ablation.name == name);
        find.ok_or_else(|| {
            let known: Vec<&str> = self.ablations.iter().map(|a| a.name.as_str()).collect();
            unknown("ablation", name, &known)
        })
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

/// Split and unit of a metric, as `test-common/wer`; `None` if it is no such thing.
pub(crate) fn split_and_unit(metric: &str) -> Option<(&str, Unit)> {
    let (split, measure) = metric.rsplit_once('/')?;
    match measure {
        "wer" => Some((split, Unit::Word)),
        "cer" => Some((split, Unit::Character)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_is_split_and_measure() {
        assert_eq!(
            split_and_unit("test-common/wer"),
            Some(("test-common", Unit::Word))
        );
        assert_eq!(split_and_unit("test/cer"), Some(("test", Unit::Character)));
        assert_eq!(split_and_unit("test/bleu"), None);
        assert_eq!(split_and_unit("wer"), None);
    }

    fn plan(ablations: &[(&str, &[&str], &[&str])]) -> Plan {
        let arm = |name| serde_json::json!({"name": name, "why": "", "default": true, "config_hash": "", "changes": [], "config": ""});
        let mut plan = serde_json::json!({
            "reference": {"key": "", "title": "", "authors": "", "venue": "", "arxiv": "", "bibtex": ""},
            "setting": Setting::embedded(crate::Scale::Mini),
            "corpora": [], "arms": [arm("rnnt"), arm("astra")], "claims": [], "departures": [], "unknowns": [],
        });
        // A plan that was written before there were ablations has no such field.
        if !ablations.is_empty() {
            let ablation = |(name, arms, metrics)| serde_json::json!({"name": name, "question": "", "arms": arms, "metrics": metrics});
            plan["ablations"] = ablations.iter().copied().map(ablation).collect();
        }
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn plan_of_before_ablations_and_times_is_read() {
        let plan = plan(&[]);
        assert!(plan.ablations.is_empty() && plan.arms[0].expected_seconds.is_none());
        plan.check_ablations().unwrap();
    }

    #[test]
    fn ablation_that_compares_nothing_is_refused() {
        let check = |ablations: &[(&str, &[&str], &[&str])]| plan(ablations).check_ablations();
        let good: &[&str] = &["rnnt", "astra"];
        check(&[("text", good, &["test/wer"]), ("other", good, &[])]).unwrap();
        for (ablations, what) in [
            (
                vec![("text", &["rnnt", "asrta"][..], &[][..])],
                "did you mean 'astra'",
            ),
            (vec![("text", &["rnnt"], &[])], "got 1 arms"),
            (vec![("text", &["rnnt", "rnnt"], &[])], "arm rnnt is named twice"),
            (
                vec![("text", good, &[]), ("text", good, &[])],
                "its name is taken",
            ),
            (vec![("text", good, &["test/bleu"])], "got test/bleu"),
        ] {
            let error = check(&ablations).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn unknown_ablation_names_the_nearest() {
        let plan = plan(&[("matching", &["rnnt", "astra"], &[])]);
        assert_eq!(plan.ablation("matching").unwrap().arms[0], "rnnt");
        let error = plan.ablation("macthing").unwrap_err().to_string();
        assert!(
            error.contains("unknown ablation 'macthing', did you mean 'matching'"),
            "{error}"
        );
    }
}
