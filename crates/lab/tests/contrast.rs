//! Claims that compare settings.
#![allow(clippy::unwrap_used)] // Helpers of tests count as no tests for clippy.

mod common;

use std::fs;
use std::path::Path;

use sandhi_lab::report::across_settings;
use sandhi_lab::{Plan, PlanContrast, PlanPlace, Scale, read_utterances};
use sandhi_score::{Edits, Unit, error_rate, word_edits};

const COMMON: &str = "test-common/wer";
const RARE: &str = "test-rare/wer";
const BOTH: &str = "test-common+test-rare/wer";

/// The line on "text gains more on rnnt at `more` than at `less`", where the runs of corpus an4 are those of corpus mini too.
fn line(root: &Path, seeds: u64, more: &str, less: &str) -> String {
    let runs = root.join("runs");
    if !runs.exists() {
        let twin = root.join("twin");
        common::runs(&twin, Scale::Mini, seeds);
        common::runs(&runs, Scale::Mini, seeds);
        fs::rename(twin.join("astra/mini"), runs.join("astra/an4-mini")).unwrap();
    }
    let place = |corpus: &str, metric: &str| PlanPlace {
        corpus: corpus.to_owned(),
        metric: metric.to_owned(),
    };
    let mut mini = common::plan(Scale::Mini);
    mini.contrasts = vec![PlanContrast {
        source: "section 4".to_owned(),
        statement: "there is more to gain".to_owned(),
        better: "text".to_owned(),
        worse: "rnnt".to_owned(),
        more: place("mini", more),
        less: place("an4", less),
    }];
    let mut an4 = mini.clone();
    an4.setting.corpus = "an4".to_owned();
    an4.contrasts.clear();
    let text = across_settings(&[an4, mini], &runs).unwrap().unwrap();
    assert!(text.starts_with("## astra, across settings\n"), "{text}");
    let line = text.lines().find(|line| line.contains("there is more to gain"));
    line.unwrap().to_owned()
}

#[test]
fn gains_of_two_settings_are_compared_by_an_interval() {
    for seeds in [1, 3] {
        let root = tempfile::tempdir().unwrap();
        let judged = |more, less| line(root.path(), seeds, more, less);
        for (more, less, verdict) in [
            (RARE, COMMON, "**reproduced**"),
            (COMMON, RARE, "**not reproduced**"),
            (RARE, RARE, "**inconclusive**"),
        ] {
            let line = judged(more, less);
            assert!(line.contains(verdict), "{line}");
        }
    }
}

#[test]
fn gain_is_the_share_of_the_errors_on_all_splits_that_is_saved() {
    let root = tempfile::tempdir().unwrap();
    let line = line(root.path(), 1, BOTH, COMMON);
    let rate = |arm: &str| {
        let dir = root.path().join("runs/astra/mini").join(arm).join("seed-0");
        let edits: Vec<Edits> = ["test-common", "test-rare"]
            .iter()
            .flat_map(|split| read_utterances(&dir, split).unwrap().unwrap())
            .map(|u| word_edits(&u.reference, &u.hypothesis))
            .collect();
        assert_eq!(edits.len(), 280);
        error_rate(Unit::Word, &edits).value
    };
    let gain = 100.0 * (1.0 - rate("text") / rate("rnnt"));
    let expected = format!("text gains on rnnt {gain:+.1} [");
    assert!(line.contains(&expected), "{expected}: {line}");
    assert!(line.contains("280 utterances"), "{line}");
}

#[test]
fn a_setting_that_was_not_run_leaves_nothing_to_compare() {
    let root = tempfile::tempdir().unwrap();
    let plans: [Plan; 1] = [common::plan(Scale::Mini)];
    assert_eq!(across_settings(&plans, root.path()).unwrap(), None);
}
