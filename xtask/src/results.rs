//! `cargo xtask results`: what all settings that were run here say, in one file; what was run elsewhere is kept.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use sandhi_lab::report::{Report, across_settings};
use sandhi_lab::{Plan, write_atomic};

use crate::verify::plans;

const FILE: &str = "RESULTS.md";
const HEAD: &str = "\
# Results

What every setting that was run says, with the commands that make it again. Written by `cargo xtask results` from the runs; do
not edit: a section is replaced where its runs are, and kept where they are not.
";

/// Writes the section of each setting that was run here.
pub(crate) fn results(root: &Path) -> anyhow::Result<()> {
    let mut sections = read(root)?;
    let mut made = Vec::new();
    for plan in plans(root, None)? {
        if let Some(text) = section(root, &plan)? {
            sections.insert(key(&plan), text);
            made.push(key(&plan));
        }
    }
    for (paper, text) in across(&plans(root, None)?, root)? {
        if let Some(text) = text {
            let key = (paper, ACROSS.to_owned());
            sections.insert(key.clone(), text);
            made.push(key);
        }
    }
    if sections.is_empty() {
        bail!("no run is complete above scale smoke; `cargo xtask reproduce astra` makes some");
    }
    write_atomic(&root.join(FILE), written(&sections).as_bytes())?;
    let mut out = std::io::stdout().lock();
    for (paper, setting) in sections.keys() {
        let here = made.contains(&(paper.clone(), setting.clone()));
        let action = if here { "made" } else { "kept" };
        writeln!(out, "{action}  {paper} {setting}")?;
    }
    writeln!(out, "{FILE}")?;
    Ok(())
}

/// What is wrong with the section of a plan, if there is one: that its runs say otherwise.
pub(crate) fn fault(root: &Path, plan: &Plan) -> anyhow::Result<Option<Option<String>>> {
    let Some(kept) = read(root)?.remove(&key(plan)) else {
        return Ok(None);
    };
    let now = section(root, plan)?;
    let fault = match now {
        None => Some("shows what no run holds".to_owned()),
        Some(now) => (now.trim() != kept.trim()).then(|| "says other than the runs say".to_owned()),
    };
    Ok(Some(fault))
}

/// The same for the section of a paper that compares settings: it is wrong only where the runs say other than it does, as
/// those of one setting may be elsewhere.
pub(crate) fn faults_across(root: &Path, plans: &[Plan]) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let kept = read(root)?;
    let mut faults = Vec::new();
    for (paper, now) in across(plans, root)? {
        let kept = kept.get(&(paper.clone(), ACROSS.to_owned()));
        if let (Some(kept), Some(now)) = (kept, now) {
            let differs = now.trim() != kept.trim();
            faults.push((paper, differs.then(|| "says other than the runs say".to_owned())));
        }
    }
    Ok(faults)
}

/// What compares the settings of each paper, if its runs do.
fn across(plans: &[Plan], root: &Path) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let same_paper = |a: &Plan, b: &Plan| a.reference.key == b.reference.key;
    let section = |plans: &[Plan]| {
        let text = across_settings(plans, &root.join("runs"))?;
        Ok((plans[0].reference.key.clone(), text))
    };
    plans.chunk_by(same_paper).map(section).collect()
}

/// In place of a setting.
const ACROSS: &str = "across settings";

/// Paper and setting.
type Key = (String, String);

fn key(plan: &Plan) -> Key {
    (plan.reference.key.clone(), plan.setting.name())
}

/// What the runs of a plan say; nothing if none is complete.
fn section(root: &Path, plan: &Plan) -> anyhow::Result<Option<String>> {
    Ok(Report::collect(plan, &root.join("runs"))?.results())
}

/// The sections of the file; none if there is no file.
fn read(root: &Path) -> anyhow::Result<BTreeMap<Key, String>> {
    let path = root.join(FILE);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    sections(&text).with_context(|| format!("cannot read {}", path.display()))
}

/// The sections of a text, by the comments around each.
fn sections(text: &str) -> anyhow::Result<BTreeMap<Key, String>> {
    let mut sections = BTreeMap::new();
    let mut open: Option<(Key, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let marked = |what: &str| {
            let inner = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
            let (paper, setting) = inner.strip_prefix(what)?.trim().split_once(' ')?;
            Some((paper.to_owned(), setting.to_owned()))
        };
        match (marked("results"), marked("end"), open.take()) {
            (Some(key), _, None) => open = Some((key, String::new())),
            (Some((paper, setting)), _, Some(_)) => {
                bail!("line {number}: section {paper} {setting} begins within another")
            }
            (_, Some(end), Some((key, body))) if end == key => {
                sections.insert(key, body);
            }
            (_, Some((paper, setting)), _) => {
                bail!("line {number}: section {paper} {setting} ends and was not begun")
            }
            (None, None, Some((key, body))) => open = Some((key, format!("{body}{line}\n"))),
            (None, None, None) => {}
        }
    }
    if let Some(((paper, setting), _)) = open {
        bail!("section {paper} {setting} has no end");
    }
    Ok(sections)
}

/// The file of sections, in the order of their papers and settings.
fn written(sections: &BTreeMap<Key, String>) -> String {
    let mut text = HEAD.to_owned();
    for ((paper, setting), body) in sections {
        let body = body.trim();
        text.push_str(&format!(
            "\n<!-- results {paper} {setting} -->\n\n{body}\n\n<!-- end {paper} {setting} -->\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[(&str, &str)]) -> Vec<Key> {
        names
            .iter()
            .map(|(paper, setting)| ((*paper).to_owned(), (*setting).to_owned()))
            .collect()
    }

    #[test]
    fn results_are_read_back_as_they_were_written() {
        let names = keys(&[("astra", ACROSS), ("astra", "mini")]);
        let bodies = ["## a\n\n| x |\n".to_owned(), "## b\n".to_owned()];
        let sections_before: BTreeMap<Key, String> = names.into_iter().zip(bodies).collect();
        let text = written(&sections_before);
        let sections_after = sections(&text).unwrap();
        assert_eq!(written(&sections_after), text);
        assert!(sections_after[&keys(&[("astra", "mini")])[0]].contains("## b"));
        assert!(text.starts_with("# Results"));
    }

    #[test]
    fn results_are_replaced_where_runs_are_and_kept_where_they_are_not() {
        let (binary, root) = (crate::paper::noisy_channel(), tempfile::tempdir().unwrap());
        let root = root.path();
        let run = |arm: &str, scale: &str| {
            let mut command = crate::paper::program(root, &binary).unwrap();
            command.args(["run", "--arm", arm, "--scale", scale]);
            assert!(command.output().unwrap().status.success());
            let plan = crate::paper::plan(root, &binary, &["--scale".into(), scale.into()]).unwrap();
            crate::report::keep_plan(root, &plan).unwrap();
            plan
        };
        // Nothing is concluded from the smoke scale.
        run("loud", "smoke");
        assert!(
            results(root)
                .unwrap_err()
                .to_string()
                .contains("no run is complete")
        );

        let old: BTreeMap<Key, String> = keys(&[("noisy-channel", "mini"), ("other", "paper")])
            .into_iter()
            .zip([
                "what was said before\n".to_owned(),
                "| made | elsewhere |\n".to_owned(),
            ])
            .collect();
        std::fs::write(root.join(FILE), written(&old)).unwrap();
        let plan = run("loud", "mini");
        run("quiet", "mini");
        assert_eq!(
            fault(root, &plan).unwrap(),
            Some(Some("says other than the runs say".to_owned()))
        );
        results(root).unwrap();
        let text = std::fs::read_to_string(root.join(FILE)).unwrap();
        assert!(
            !text.contains("what was said before") && text.contains("| made | elsewhere |"),
            "{text}"
        );
        for part in [
            "## noisy-channel, mini",
            "**reproduced**",
            "#### `loudness`",
            "| `quiet` | 0 |",
        ] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        assert!(!text.contains("smoke"), "{text}");
        assert_eq!(fault(root, &plan).unwrap(), Some(None));

        // Without runs the file stays as it is.
        std::fs::remove_dir_all(root.join("runs")).unwrap();
        results(root).unwrap();
        assert_eq!(std::fs::read_to_string(root.join(FILE)).unwrap(), text);
    }

    #[test]
    fn results_without_an_end_or_a_beginning_are_refused() {
        for (text, what) in [
            ("<!-- results astra mini -->\ntext\n", "astra mini has no end"),
            ("text\n<!-- end astra mini -->\n", "line 2"),
            (
                "<!-- results astra mini -->\n<!-- results astra paper -->\n",
                "begins within another",
            ),
            (
                "<!-- results astra mini -->\n<!-- end astra paper -->\n",
                "was not begun",
            ),
        ] {
            let error = sections(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
