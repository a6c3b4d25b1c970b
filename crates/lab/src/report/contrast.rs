//! What one setting says beside another.

use std::fmt::Write;
use std::path::Path;

use crate::plan::split_and_unit;
use crate::report::evidence::Evidence;
use crate::report::markdown::{cell, of_seeds};
use crate::report::rates::Pairs;
use crate::report::resample::{SAMPLES, SEED, summary};
use crate::report::table::signed;
use crate::report::verdict::Verdict;
use crate::{Plan, PlanContrast, PlanPlace, Result, Scale};

/// The section of a paper's results that compares its settings, of which `plans` are all that were run; `None` if no claim
/// that does has both.
///
/// # Errors
///
/// As [`Report::collect`](crate::report::Report::collect).
pub fn across_settings(plans: &[Plan], runs: &Path) -> Result<Option<String>> {
    let mut lines = String::new();
    let contrasts = plans
        .iter()
        .map(|plan| &plan.contrasts)
        .max_by_key(|all| all.len());
    for contrast in contrasts.into_iter().flatten() {
        for scale in [Scale::Mini, Scale::Paper] {
            let gain = |place, seed| Gain::at(plans, runs, contrast, place, scale, seed);
            let (more, less) = (gain(&contrast.more, SEED)?, gain(&contrast.less, SEED + 1)?);
            if let (Some(more), Some(less)) = (more, less) {
                lines.push_str(&line(contrast, scale, &more, &less));
            }
        }
    }
    let Some(plan) = plans.first().filter(|_| !lines.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(format!(
        "## {}, across settings\n\nWhat is gained is the share of the worse arm's errors that the better arm does not make, in \
         percent. A positive difference is as claimed: *reproduced* if the whole 95 % interval is above zero, *not reproduced* if \
         it is below, else *inconclusive*. Bootstrap over utterances, and over seeds where there are several, in each setting by \
         itself and paired within it, {SAMPLES} resamples.\n\n\
         | claim | source | scale | verdict | evidence |\n|---|---|---|---|---|\n{lines}",
        plan.reference.key
    )))
}

fn line(contrast: &PlanContrast, scale: Scale, more: &Gain, less: &Gain) -> String {
    let differences = more.drawn.iter().zip(&less.drawn);
    let (interval, _) = summary(differences.map(|(more, less)| more - less).collect());
    let verdict = Verdict::of(&interval, 0.0);
    let mut text = format!(
        "| {} | {} | {scale} | **{}** | {} gains on {} {} and {}: a difference of {}",
        cell(&contrast.statement),
        cell(&contrast.source),
        verdict.label(),
        contrast.better,
        contrast.worse,
        more.words(&contrast.more),
        less.words(&contrast.less),
        signed(more.value - less.value, &interval),
    );
    if let Some(reason) = verdict.reason() {
        let _ = write!(text, "; {reason}");
    }
    text + " |\n"
}

/// What an arm gains on another at a place, percent.
struct Gain {
    value: f64,
    drawn: Vec<f64>,
    seeds: usize,
    utterances: usize,
}

impl Gain {
    /// `None` if the setting was not run, or the arms share no seed there. Places with seeds of their own are drawn
    /// independently.
    fn at(
        plans: &[Plan],
        runs: &Path,
        contrast: &PlanContrast,
        place: &PlanPlace,
        scale: Scale,
        seed: u64,
    ) -> Result<Option<Self>> {
        let here = |plan: &&Plan| plan.setting.corpus == place.corpus && plan.setting.scale == scale;
        let (Some(plan), Some((split, unit))) = (plans.iter().find(here), split_and_unit(&place.metric))
        else {
            return Ok(None);
        };
        let evidence = Evidence::read(plan, runs)?;
        let (better, worse) = (evidence.done(&contrast.better), evidence.done(&contrast.worse));
        let Some(pairs) = Pairs::of(better, worse, split, unit)? else {
            return Ok(None);
        };
        let (better, worse) = pairs.rates(unit);
        Ok(Some(Self {
            value: saved(better, worse),
            drawn: pairs.resample(seed, saved),
            seeds: pairs.better.len(),
            utterances: pairs.better[0].len(),
        }))
    }

    fn words(&self, place: &PlanPlace) -> String {
        let (interval, _) = summary(self.drawn.clone());
        format!(
            "{} on {} ({}, {}, {} utterances)",
            signed(self.value, &interval),
            place.corpus,
            place.metric,
            of_seeds(self.seeds),
            self.utterances
        )
    }
}

/// The share of errors that is saved, percent; of none nothing can be.
fn saved(better: f64, worse: f64) -> f64 {
    if worse > 0.0 {
        100.0 * (worse - better) / worse
    } else {
        0.0
    }
}
