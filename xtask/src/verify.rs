use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sandhi_lab::Plan;
use sandhi_lab::report;

use crate::results;
use crate::status::subdirectories;

/// Checks every setting that was run here, and every committed report in itself.
pub(crate) fn verify(root: &Path, only: Option<&str>) -> anyhow::Result<()> {
    if let Some(paper) = only {
        crate::paper::known(root, paper)?;
    }
    let mut out = std::io::stdout().lock();
    let (mut checks, mut faults) = (0, 0);
    let mut tell = |what: &str, fault: Option<String>| -> anyhow::Result<()> {
        checks += 1;
        match fault {
            None => writeln!(out, "ok     {what}")?,
            Some(fault) => {
                faults += 1;
                writeln!(out, "FAULT  {what}: {fault}")?;
            }
        }
        Ok(())
    };
    let plans = plans(root, only)?;
    for plan in &plans {
        let paper = &plan.reference.key;
        for check in report::verify(plan, &root.join("runs"), &root.join("reports"))? {
            tell(&format!("{paper} {}", check.what), check.fault)?;
        }
        if let Some(fault) = results::fault(root, plan)? {
            tell(&format!("{paper} results of {}", plan.setting.name()), fault)?;
        }
    }
    for (paper, fault) in results::faults_across(root, &plans)? {
        tell(&format!("{paper} results across settings"), fault)?;
    }
    for folder in settings(&root.join("reports"), only)? {
        let name = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        tell(
            &format!("{name}: the text and its table agree"),
            disagreement(&read("README.md")?, &read("table.csv")?),
        )?;
    }
    if faults > 0 {
        bail!("{faults} of {checks} checks failed");
    }
    writeln!(out, "{checks} checks, no fault")?;
    Ok(())
}

/// The plans kept beside the runs.
pub(crate) fn plans(root: &Path, only: Option<&str>) -> anyhow::Result<Vec<Plan>> {
    plans_in(&root.join("runs"), Path::new("plan.json"), only)
}

/// The plans in a file of each setting below `base`, where there is one.
pub(crate) fn plans_in(base: &Path, file: &Path, only: Option<&str>) -> anyhow::Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for folder in settings(base, only)? {
        let path = folder.join(file);
        if let Ok(text) = std::fs::read_to_string(&path) {
            plans.push(
                serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?,
            );
        }
    }
    Ok(plans)
}

/// The settings of papers: `<base>/<paper>/<setting>`.
fn settings(base: &Path, only: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for paper in subdirectories(base)? {
        if only.is_none_or(|only| paper.ends_with(only)) {
            found.extend(subdirectories(&paper)?);
        }
    }
    Ok(found)
}

/// The first rate of a report's table of values that its text does not show.
fn disagreement(text: &str, csv: &str) -> Option<String> {
    let mut rows = 0;
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [arm, split, metric, value, low, high, ..] = fields[..] else {
            return Some(format!("table.csv: expected at least six fields, got '{line}'"));
        };
        let numbers: Vec<f64> = [value, low, high]
            .iter()
            .filter_map(|field| field.parse().ok())
            .collect();
        let [value, low, high] = numbers[..] else {
            return Some(format!("table.csv: expected numbers, got '{line}'"));
        };
        let shown = format!("{value:.1} [{low:.1}, {high:.1}]");
        let row = text.lines().find(|line| line.starts_with(&format!("| `{arm}`")));
        if !row.is_some_and(|row| row.contains(&shown)) {
            return Some(format!(
                "{arm} {split} {metric} is {shown} in table.csv and not in README.md"
            ));
        }
        rows += 1;
    }
    (rows == 0).then(|| "table.csv holds no rate".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "arm,split,metric,percent,low,high\nrnnt,test,wer,12.345,11.1,13.94\n";

    #[test]
    fn text_that_says_another_number_than_its_table_is_a_fault() {
        let text = "| `rnnt`: why | 12.3 [11.1, 13.9] | 1 |\n";
        assert_eq!(disagreement(text, CSV), None);
        let changed = disagreement(&text.replace("12.3", "11.3"), CSV).unwrap();
        assert!(changed.contains("rnnt test wer"), "{changed}");
        assert!(
            disagreement(text, "arm\n").is_some(),
            "an empty table proves nothing"
        );
    }
}
