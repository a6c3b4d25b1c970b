//! The report over a tree of runs: verdicts, numbers, figures, and that it can be verified.
#![allow(clippy::unwrap_used)] // Helpers of tests count as no tests for clippy.

mod common;

use std::fs;
use std::path::Path;

use sandhi_lab::report::{Report, verify};
use sandhi_lab::{Scale, read_utterances};
use sandhi_score::{Edits, Unit, error_rate, word_edits};

fn report(dir: &Path, scale: Scale, seeds: u64) -> Report {
    common::runs(&dir.join("runs"), scale, seeds);
    Report::collect(&common::plan(scale), &dir.join("runs")).unwrap()
}

#[test]
fn report_judges_each_claim_by_its_interval() {
    let dir = tempfile::tempdir().unwrap();
    let text = report(dir.path(), Scale::Mini, 1).markdown();
    let verdict = |statement: &str| {
        text.lines()
            .find(|line| line.contains(statement))
            .unwrap()
            .to_owned()
    };
    assert!(
        verdict("Unpaired text lowers").contains("**reproduced**"),
        "{text}"
    );
    assert!(
        verdict("Fixed repetition is better").contains("**inconclusive**"),
        "{text}"
    );
    assert!(
        verdict("Paired speech alone").contains("**not reproduced**"),
        "{text}"
    );
    assert!(
        verdict("Text within twenty points").contains("**reproduced**"),
        "{}",
        verdict("Text within twenty points")
    );
    assert!(
        verdict("No text within a point").contains("**not reproduced**"),
        "{}",
        verdict("No text within a point")
    );
    assert!(
        verdict("needs no repetition").contains("**not tested**"),
        "{text}"
    );
    assert!(
        verdict("needs no repetition").contains("astra has no finished run"),
        "{text}"
    );
}

#[test]
fn smoke_scale_concludes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Smoke, 1);
    let text = report.markdown();
    assert!(
        !text.contains("**reproduced**") && !text.contains("**not reproduced**"),
        "{text}"
    );
    let written = report
        .write(&dir.path().join("runs"), &dir.path().join("reports"))
        .unwrap();
    assert!(
        written.markdown.starts_with(dir.path().join("runs")),
        "nothing is committed for smoke"
    );
    assert!(!dir.path().join("reports").exists());
}

#[test]
fn report_shows_the_rates_of_the_scorer() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Mini, 1);
    let utterances = read_utterances(&dir.path().join("runs/astra/mini/rnnt/seed-0"), "test-rare")
        .unwrap()
        .unwrap();
    let edits: Vec<Edits> = utterances
        .iter()
        .map(|u| word_edits(&u.reference, &u.hypothesis))
        .collect();
    let score = error_rate(Unit::Word, &edits);
    assert!(
        report
            .csv()
            .contains(&format!("rnnt,test-rare,wer,{},", score.value)),
        "{}",
        report.csv()
    );
    for text in [report.markdown(), report.html()] {
        assert!(text.contains(&format!("{:.1}", score.value)));
        assert!(text.contains(score.signature.as_str()));
    }
}

#[test]
fn missing_arm_is_shown_with_its_reason_and_unrun_arm_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Mini, 1);
    for text in [report.markdown(), report.html()] {
        assert!(
            text.contains("missing: seed 0: failed: utterance fake-17"),
            "{text}"
        );
        assert!(
            text.contains("Arms not run") && text.contains("astra-held"),
            "{text}"
        );
    }
    assert!(report.terminal_table().contains("missing: seed 0: failed"));
}

#[test]
fn several_seeds_widen_the_interval_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Mini, 3);
    let text = report.markdown();
    assert!(text.contains("3 seeds, 120 utterances"), "{text}");
    assert!(text.contains("|seeds:3") && text.contains("--seeds 3"), "{text}");
}

#[test]
fn page_needs_nothing_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let html = report(dir.path(), Scale::Mini, 1).html();
    for fetched in ["src=\"http", "url(http", "@import", "<script", "<link"] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    assert_eq!(
        html.matches("<section").count(),
        html.matches("</section>").count()
    );
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert!(
        html.contains("data:image/png;base64,"),
        "the spectrogram is inside"
    );
}

#[test]
fn report_is_the_same_bytes_for_the_same_runs() {
    let dir = tempfile::tempdir().unwrap();
    let first = report(dir.path(), Scale::Mini, 1);
    let again = Report::collect(&common::plan(Scale::Mini), &dir.path().join("runs")).unwrap();
    assert_eq!(first.html(), again.html());
    assert_eq!(first.markdown(), again.markdown());
}

#[test]
fn verify_finds_a_changed_number_a_changed_run_and_a_changed_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, reports) = (dir.path().join("runs"), dir.path().join("reports"));
    report(dir.path(), Scale::Mini, 1).write(&runs, &reports).unwrap();
    let faults = || -> Vec<String> {
        let checks = verify(&common::plan(Scale::Mini), &runs, &reports).unwrap();
        assert!(checks.len() > 8);
        checks
            .into_iter()
            .filter_map(|check| Some(format!("{}: {}", check.what, check.fault?)))
            .collect()
    };
    assert_eq!(faults(), Vec::<String>::new());

    let readme = reports.join("astra/mini/README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let digit =
        text.find("| `rnnt`").unwrap() + text[text.find("| `rnnt`").unwrap()..].find('.').unwrap() + 1;
    let mut changed = text.clone().into_bytes();
    changed[digit] = if changed[digit] == b'9' {
        b'0'
    } else {
        changed[digit] + 1
    };
    fs::write(&readme, &changed).unwrap();
    assert!(
        faults().iter().any(|fault| fault.contains("README.md")),
        "{:?}",
        faults()
    );
    fs::write(&readme, text).unwrap();

    let config = runs.join("astra/mini/text/seed-0/config.toml");
    fs::write(&config, "arm = \"texts\"\n").unwrap();
    assert!(
        faults().iter().any(|fault| fault.contains("run text seed 0")),
        "{:?}",
        faults()
    );
    fs::write(&config, "arm = \"text\"\n").unwrap();

    let utterances = runs.join("astra/mini/text/seed-0/utterances.test-rare.jsonl");
    let text = fs::read_to_string(&utterances).unwrap();
    fs::write(
        &utterances,
        text.replacen("\"hypothesis\":\"", "\"hypothesis\":\"extra words here ", 1),
    )
    .unwrap();
    assert!(
        faults().iter().any(|fault| fault.contains("table.csv")),
        "{:?}",
        faults()
    );
}

#[test]
fn runs_on_different_utterances_are_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    common::runs(&dir.path().join("runs"), Scale::Mini, 1);
    let utterances = dir
        .path()
        .join("runs/astra/mini/text/seed-0/utterances.test-rare.jsonl");
    let text = fs::read_to_string(&utterances).unwrap();
    fs::write(
        &utterances,
        text.split_inclusive('\n').skip(1).collect::<String>(),
    )
    .unwrap();
    let error = Report::collect(&common::plan(Scale::Mini), &dir.path().join("runs")).unwrap_err();
    assert!(
        matches!(error, sandhi_lab::Error::NotComparable { .. }),
        "{error}"
    );
}

#[test]
fn hostile_text_is_escaped() {
    let dir = tempfile::tempdir().unwrap();
    common::runs(&dir.path().join("runs"), Scale::Mini, 1);
    for arm in ["rnnt", "text", "upsampled"] {
        let path = dir
            .path()
            .join(format!("runs/astra/mini/{arm}/seed-0/utterances.test-rare.jsonl"));
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"id\":\"<b>\",\"reference\":\"a b c d e f g h i j k l m\",\"hypothesis\":\"<script>alert(1)</script>\"}\n");
        fs::write(&path, text).unwrap();
    }
    let html = Report::collect(&common::plan(Scale::Mini), &dir.path().join("runs"))
        .unwrap()
        .html();
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
}

#[test]
fn report_of_one_arm_says_that_no_claim_is_tested() {
    let dir = tempfile::tempdir().unwrap();
    let complete = report(dir.path(), Scale::Mini, 1);
    assert!(!complete.markdown().contains("None of the paper's claims"));
    let setting = dir.path().join("runs/astra/mini");
    for arm in ["text", "upsampled", "astra"] {
        std::fs::remove_dir_all(setting.join(arm)).unwrap();
    }
    let alone = Report::collect(&common::plan(Scale::Mini), &dir.path().join("runs")).unwrap();
    for text in [alone.markdown(), alone.html()] {
        assert!(
            text.contains("None of the paper's claims") && !text.contains("not tested"),
            "{text}"
        );
        assert!(text.contains("--arms rnnt"), "{text}");
    }
}

#[test]
fn ablation_compares_every_arm_with_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Mini, 1);
    let text = report.markdown();
    let section = text.split("### `repetition`").nth(1).unwrap();
    let row = |arm: &str| {
        section
            .lines()
            .find(|line| line.starts_with(&format!("| `{arm}`")))
            .unwrap()
    };
    let cells = |arm: &str| {
        row(arm)
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };

    // The reference has rates and nothing to be compared with.
    let reference = cells("text");
    assert!(
        reference[1].contains("(reference)") && reference[3].is_empty(),
        "{reference:?}"
    );
    // The difference is that of the rates shown: arm minus reference.
    let rate = |cell: &str| {
        cell.split(' ')
            .next()
            .unwrap()
            .replace('\u{2212}', "-")
            .parse::<f64>()
            .unwrap()
    };
    let rnnt = cells("rnnt");
    assert!(
        (rate(&rnnt[4]) - rate(&reference[4]) - rate(&rnnt[5])).abs() < 0.11,
        "{rnnt:?} {reference:?}"
    );
    assert!(rnnt[5].contains("**worse**"), "{rnnt:?}");
    assert!(cells("upsampled")[5].contains("**better**"), "{section}");
    assert!(cells("upsampled")[3].contains("**inconclusive**"), "{section}");
    assert!(
        section.contains("cargo xtask ablate astra --scale mini --only repetition"),
        "{section}"
    );

    let terminal = report.terminal_ablations();
    let line = terminal
        .lines()
        .find(|line| line.trim_start().starts_with("rnnt "))
        .unwrap();
    assert!(line.ends_with("worse"), "{terminal}");
}

#[test]
fn ablation_says_which_of_its_arms_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Mini, 1);
    for text in [report.markdown(), report.html(), report.terminal_ablations()] {
        assert!(
            text.contains("missing: seed 0: failed: utterance fake-17"),
            "{text}"
        );
        assert!(text.contains("missing: not run"), "{text}");
    }
    let text = report.markdown();
    // Without its reference a group shows rates and compares nothing.
    let orphans = text.split("### `orphans`").nth(1).unwrap();
    let row = orphans.lines().find(|line| line.starts_with("| `text`")).unwrap();
    assert_eq!(row.matches("nothing to compare with").count(), 2, "{row}");
    assert!(
        orphans.contains("test-rare WER") && orphans.contains("test-rare CER"),
        "{orphans}"
    );
    // A group of which nobody ran two arms is named with the command that does.
    assert!(!text.contains("### `gradient`"), "{text}");
    assert!(
        text.contains("`cargo xtask ablate astra --scale mini --only gradient`"),
        "{text}"
    );
}

#[test]
fn ablation_of_unequal_seeds_compares_those_both_have() {
    let dir = tempfile::tempdir().unwrap();
    report(dir.path(), Scale::Mini, 3);
    std::fs::remove_dir_all(dir.path().join("runs/astra/mini/text/seed-2")).unwrap();
    let report = Report::collect(&common::plan(Scale::Mini), &dir.path().join("runs")).unwrap();
    let text = report.markdown();
    let section = text.split("### `repetition`").nth(1).unwrap();
    let row = section.lines().find(|line| line.starts_with("| `rnnt`")).unwrap();
    assert!(row.contains("(of 2 seeds)") && row.ends_with("| 3 |"), "{row}");
    assert!(report.html().contains(", of 2 seeds"));
}

#[test]
fn smoke_scale_compares_without_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Smoke, 1);
    let text = report.markdown();
    assert!(text.contains("### `repetition`"), "{text}");
    assert!(
        !text.contains("**better**") && !text.contains("**worse**"),
        "{text}"
    );
    assert_eq!(report.results(), None, "smoke runs are no results");
}

#[test]
fn results_hold_what_a_reader_compares_and_needs_to_make_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), Scale::Mini, 3);
    let text = report.results().unwrap();
    for part in [
        "## astra, mini",
        "cargo xtask reproduce astra --scale mini --seeds 3",
        "hash `5f0c9e1b6a`",
        "### Error rates",
        "where there are several seeds, their mean",
        "### Claims",
        "**not reproduced**",
        "#### `repetition`",
        "cargo xtask ablate astra --scale mini --only repetition --seeds 3",
        "| `text` | 0, 1, 2 | 5 min 13 s |",
        "`012345678`",
        "[report](reports/astra/mini/README.md)",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    // The table is the report's.
    let row = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("| `rnnt`"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(row(&text), row(&report.markdown()));
}

#[test]
fn arm_of_an_ablation_stands_in_its_table_and_not_in_the_main_one() {
    let dir = tempfile::tempdir().unwrap();
    report(dir.path(), Scale::Mini, 1);
    let mut plan = common::plan(Scale::Mini);
    let arm = plan.arms.iter_mut().find(|arm| arm.name == "upsampled").unwrap();
    arm.default = false;
    let runs = dir.path().join("runs");
    let report = Report::collect(&plan, &runs).unwrap();
    let text = report.markdown();
    let between = |from: &str, to: &str| {
        let after = text.split(from).nth(1).unwrap();
        after.split(to).next().unwrap().to_owned()
    };
    let main = between("## Error rates", "## Ablations");
    assert!(
        main.contains("| `text`") && !main.contains("| `upsampled`"),
        "{main}"
    );
    assert!(between("### `repetition`", "### `orphans`").contains("| `upsampled`"));
    assert!(
        !report.csv().contains("\nupsampled,"),
        "a number in the table is one in the text"
    );
    assert!(between("## Other measures", "## Learning curves").contains("| `upsampled` |"));

    // Where no group compares it, it is not lost.
    plan.ablations.clear();
    let text = Report::collect(&plan, &runs).unwrap().markdown();
    let main = text.split("## Error rates").nth(1).unwrap();
    assert!(
        main.split("## ").next().unwrap().contains("| `upsampled`"),
        "{text}"
    );
}
