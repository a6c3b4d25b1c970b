//! Groups of arms: what each arm of a group changes against the group's reference.

mod markdown;
mod page;
mod terminal;

pub(crate) use markdown::{sections, skipped};
pub(crate) use page::panels;
pub(crate) use terminal::lines;

use sandhi_score::{Interval, Unit};

use crate::plan::split_and_unit;
use crate::report::evidence::{ArmEvidence, Evidence};
use crate::report::facts;
use crate::report::rates::{Comparison, Rate, compare, rate};
use crate::report::resample::SAMPLES;
use crate::{Plan, PlanAblation, Result, Scale};

/// An ablation with what its runs say.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) ablation: PlanAblation,
    /// The command that makes its runs again.
    pub(crate) command: String,
    pub(crate) metrics: Vec<Metric>,
    /// The reference first.
    pub(crate) rows: Vec<Row>,
}

/// What arms are compared by.
#[derive(Debug)]
pub(crate) struct Metric {
    split: String,
    unit: Unit,
}

/// An arm of a group.
#[derive(Debug)]
pub(crate) struct Row {
    /// Place among all arms of the plan, for its colour.
    pub(crate) index: usize,
    pub(crate) arm: String,
    pub(crate) why: String,
    pub(crate) seeds: usize,
    /// By metric; `None` where there is no number.
    pub(crate) cells: Vec<Option<Cell>>,
    /// Why there is none, if there is none at all.
    pub(crate) absence: Option<String>,
}

/// An arm's rate, and what it differs by from the reference.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) rate: Rate,
    /// `None` for the reference itself, and where there is nothing to compare with.
    pub(crate) effect: Option<Effect>,
}

/// A difference to the reference: arm minus reference, so that fewer errors are below zero.
#[derive(Debug)]
pub(crate) struct Effect {
    comparison: Comparison,
    pub(crate) outcome: Outcome,
}

/// What a difference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole interval is below zero: fewer errors than the reference.
    Better,
    /// The whole interval is above zero.
    Worse,
    /// Neither, or the scale is too small to say.
    Inconclusive,
}

impl Outcome {
    fn of(difference: &Interval, scale: Scale) -> Self {
        if scale < Scale::Mini {
            Self::Inconclusive
        } else if difference.high < 0.0 {
            Self::Better
        } else if difference.low > 0.0 {
            Self::Worse
        } else {
            Self::Inconclusive
        }
    }

    /// In a word.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl Metric {
    /// As `test-rare WER`.
    pub(crate) fn label(&self) -> String {
        let measure = match self.unit {
            Unit::Word => "WER",
            Unit::Character => "CER",
        };
        format!("{} {measure}", self.split)
    }
}

impl Effect {
    /// The difference in points and its interval.
    pub(crate) fn difference(&self) -> (f64, Interval) {
        let by = self.comparison.worse - self.comparison.better;
        (by, self.comparison.paired.difference)
    }

    /// How many seeds were compared, where that is not how many the arm has.
    pub(crate) fn shared_seeds(&self, row: &Row) -> Option<usize> {
        let shared = self.comparison.seeds;
        (shared != row.seeds).then_some(shared)
    }
}

impl Group {
    /// How many of its arms have a complete run.
    pub(crate) fn done(&self) -> usize {
        self.rows.iter().filter(|row| row.absence.is_none()).count()
    }

    /// The arm the others are compared with.
    pub(crate) fn reference(&self) -> &str {
        self.rows.first().map_or("", |row| row.arm.as_str())
    }
}

/// How differences are to be read, said once for all groups.
pub(crate) fn reading() -> String {
    format!(
        "A difference is arm minus reference in points, over the seeds both have: below zero the arm makes fewer errors. An arm is \
         *better* or *worse* if the whole 95 % interval is on one side of zero, else *inconclusive*. Paired bootstrap over \
         utterances, and over seeds where there are several, {SAMPLES} resamples; not corrected for the number of comparisons."
    )
}

/// The ablations of a plan, whatever of them was run.
pub(crate) fn groups(plan: &Plan, evidence: &Evidence) -> Result<Vec<Group>> {
    plan.ablations
        .iter()
        .map(|ablation| group(plan, ablation, evidence))
        .collect()
}

fn group(plan: &Plan, ablation: &PlanAblation, evidence: &Evidence) -> Result<Group> {
    let every_split = || evidence.splits.iter().map(|split| (split.as_str(), Unit::Word));
    let metrics: Vec<Metric> = if ablation.metrics.is_empty() {
        every_split().map(Metric::from).collect()
    } else {
        let named = ablation.metrics.iter().filter_map(|name| split_and_unit(name));
        named.map(Metric::from).collect()
    };
    let arms = evidence.arms.iter().enumerate();
    let arms: Vec<(usize, &ArmEvidence)> = ablation
        .arms
        .iter()
        .filter_map(|name| arms.clone().find(|(_, arm)| arm.name == *name))
        .collect();
    let reference = arms.first().map(|(_, arm)| *arm);
    let mut rows = Vec::with_capacity(arms.len());
    for &(index, arm) in &arms {
        let mut cells = Vec::with_capacity(metrics.len());
        for metric in &metrics {
            let against = reference.filter(|reference| reference.name != arm.name);
            cells.push(cell(arm, against, metric, plan.setting.scale)?);
        }
        let absence = arm.done.is_empty().then(|| match arm.open.as_slice() {
            [] => "missing: not run".to_owned(),
            open => format!("missing: {}", open.join("; ")),
        });
        rows.push(Row {
            index,
            arm: arm.name.clone(),
            why: arm.why.clone(),
            seeds: arm.done.len(),
            cells,
            absence,
        });
    }
    let runs: Vec<_> = arms.iter().flat_map(|(_, arm)| &arm.done).collect();
    Ok(Group {
        command: facts::command(plan, "ablate", &format!(" --only {}", ablation.name), &runs),
        ablation: ablation.clone(),
        metrics,
        rows,
    })
}

fn cell(
    arm: &ArmEvidence,
    reference: Option<&ArmEvidence>,
    metric: &Metric,
    scale: Scale,
) -> Result<Option<Cell>> {
    let (split, unit) = (metric.split.as_str(), metric.unit);
    let Some(rate) = rate(&arm.done, split, unit)? else {
        return Ok(None);
    };
    // The claim put to the test is that the reference is better; its difference is arm minus reference.
    let comparison = match reference {
        Some(reference) => compare(&reference.done, &arm.done, split, unit)?,
        None => None,
    };
    let effect = comparison.map(|comparison| Effect {
        outcome: Outcome::of(&comparison.paired.difference, scale),
        comparison,
    });
    Ok(Some(Cell { rate, effect }))
}

impl From<(&str, Unit)> for Metric {
    fn from((split, unit): (&str, Unit)) -> Self {
        Self {
            split: split.to_owned(),
            unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_is_the_side_of_zero_the_whole_interval_is_on() {
        let outcome = |low, high, scale| {
            let mean = (low + high) / 2.0;
            Outcome::of(&Interval { mean, low, high }, scale)
        };
        assert_eq!(outcome(-2.0, -0.1, Scale::Mini), Outcome::Better);
        assert_eq!(outcome(0.1, 2.0, Scale::Paper), Outcome::Worse);
        assert_eq!(outcome(-0.1, 2.0, Scale::Mini), Outcome::Inconclusive);
        assert_eq!(outcome(0.0, 2.0, Scale::Mini), Outcome::Inconclusive);
        assert_eq!(outcome(-2.0, -0.1, Scale::Smoke), Outcome::Inconclusive);
    }
}
