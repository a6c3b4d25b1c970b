use sandhi_score::Interval;

use crate::plan::split_and_unit;
use crate::report::evidence::Evidence;
use crate::report::rates::{Comparison, compare};
use crate::{Plan, PlanClaim, Result, Scale};

/// What the runs say of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole interval of the difference is on the claim's side: above zero, or above minus its margin.
    Reproduced,
    /// The whole interval is on the other side.
    NotReproduced,
    /// Neither, or the scale is too small to say; with the reason.
    Inconclusive(String),
    /// There is nothing to judge by; with what is missing.
    NotTested(String),
}

impl Verdict {
    /// What the interval of a difference says of a claim that it is above minus `margin`.
    pub(crate) fn of(difference: &Interval, margin: f64) -> Self {
        if difference.low > -margin {
            Self::Reproduced
        } else if difference.high < -margin {
            Self::NotReproduced
        } else if margin > 0.0 {
            Self::Inconclusive(format!(
                "the interval of the difference contains the margin of {margin} points"
            ))
        } else {
            Self::Inconclusive("the interval of the difference contains zero".to_owned())
        }
    }

    /// In a word or two.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::Inconclusive(_) => "inconclusive",
            Self::NotTested(_) => "not tested",
        }
    }

    /// The reason, where the word alone does not say it.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Inconclusive(reason) | Self::NotTested(reason) => Some(reason),
            _ => None,
        }
    }
}

/// A claim with its verdict and the numbers behind it.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) claim: PlanClaim,
    pub(crate) verdict: Verdict,
    pub(crate) comparison: Option<Comparison>,
}

/// Said in place of the claims where the arms that were run compare nothing.
pub(crate) const NONE_TESTED: &str = "None of the paper's claims can be judged by the arms that were run.";

/// Whether any claim was put to the test.
pub(crate) fn any_tested(judged: &[Judged]) -> bool {
    judged
        .iter()
        .any(|judged| !matches!(judged.verdict, Verdict::NotTested(_)))
}

/// Judges every claim of a plan.
pub(crate) fn judge(plan: &Plan, evidence: &Evidence) -> Result<Vec<Judged>> {
    plan.claims
        .iter()
        .map(|claim| judge_one(claim, plan.setting.scale, evidence))
        .collect()
}

fn judge_one(claim: &PlanClaim, scale: Scale, evidence: &Evidence) -> Result<Judged> {
    let judged = |verdict, comparison| {
        Ok(Judged {
            claim: claim.clone(),
            verdict,
            comparison,
        })
    };
    let Some((split, unit)) = split_and_unit(&claim.metric) else {
        return judged(
            Verdict::NotTested(format!("no such metric: {}", claim.metric)),
            None,
        );
    };
    for arm in [&claim.better, &claim.worse] {
        if evidence.done(arm).is_empty() {
            return judged(Verdict::NotTested(format!("arm {arm} has no finished run")), None);
        }
    }
    let Some(comparison) = compare(
        evidence.done(&claim.better),
        evidence.done(&claim.worse),
        split,
        unit,
    )?
    else {
        let what = format!(
            "{} and {} share no seed scored on {split}",
            claim.better, claim.worse
        );
        return judged(Verdict::NotTested(what), None);
    };
    let difference = comparison.paired.difference;
    let verdict = if scale < Scale::Mini {
        Verdict::Inconclusive(
            "the scale is below mini: this run shows that the road connects, no more".to_owned(),
        )
    } else {
        Verdict::of(&difference, claim.margin)
    };
    judged(verdict, Some(comparison))
}
