//! What validations measured beside error rates, at the end of each training.

use std::fmt::Write;

use crate::report::curves::COLOURS;
use crate::report::evidence::{ArmEvidence, Evidence, RunEvidence};
use crate::report::html::{emphasized, table};
use crate::report::layers;
use crate::report::svg::escape;

/// Phases that are not validations, the losses, times and memory; and what has a table of its own.
const NOT_HERE: [&str; 4] = ["train", "machine", layers::PHASES[0], layers::PHASES[1]];

const CAPTION: &str = "In the mean over seeds. What validations measure is of the last one; runs are judged, and the latency of their words \
                       is measured, with the weights of the best, which may be an earlier one.";

/// The last value of every measure, by arm.
#[derive(Debug)]
pub(crate) struct Measures {
    /// Phase and name.
    names: Vec<(String, String)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    /// Place among all arms of the plan, for its colour.
    index: usize,
    arm: String,
    /// By name; `None` where no run has it.
    values: Vec<Option<f64>>,
}

impl Measures {
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let mut names: Vec<(String, String)> = Vec::new();
        let logged = evidence.runs().flat_map(|run| &run.metrics);
        for metric in logged.filter(|metric| !NOT_HERE.contains(&metric.phase.as_str())) {
            for name in metric.values.keys() {
                let name = (metric.phase.clone(), name.clone());
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.sort_by_key(|(phase, name)| (phase != "dev", phase.clone(), name.clone()));
        let arms = evidence.arms.iter().enumerate();
        let rows = arms
            .filter(|(_, arm)| !arm.done.is_empty())
            .map(|(index, arm)| Row {
                index,
                arm: arm.name.clone(),
                values: names.iter().map(|(phase, name)| mean(arm, phase, name)).collect(),
            });
        Self {
            rows: rows.collect(),
            names,
        }
    }

    /// Empty if nothing was measured.
    pub(crate) fn markdown(&self) -> String {
        if self.names.is_empty() {
            return String::new();
        }
        let mut text = "| arm |".to_owned();
        for (phase, name) in &self.names {
            let _ = write!(text, " {} |", title(phase, name));
        }
        let _ = writeln!(text, "\n|---|{}", "---:|".repeat(self.names.len()));
        for row in &self.rows {
            let _ = write!(text, "| `{}` |", row.arm);
            for value in &row.values {
                let _ = write!(text, " {} |", shown(*value));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "\n{CAPTION}\n");
        text
    }

    /// Empty if nothing was measured.
    pub(crate) fn html(&self) -> String {
        if self.names.is_empty() {
            return String::new();
        }
        let titles = self.names.iter().map(|(phase, name)| title(phase, name));
        let head: String = titles
            .map(|title| format!("<th>{}</th>", escape(&title)))
            .collect();
        let mut rows = String::new();
        for row in &self.rows {
            let values: String = row
                .values
                .iter()
                .map(|&v| format!("<td>{}</td>", shown(v)))
                .collect();
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\"><i class=\"chip k{}\"></i>{}</th>{values}</tr>",
                row.index % COLOURS,
                escape(&row.arm)
            );
        }
        let head = format!("<tr><th>arm</th>{head}</tr>");
        format!(
            "{}<p class=\"fine\">{}</p>\n",
            table(&head, &rows),
            emphasized(CAPTION)
        )
    }
}

fn mean(arm: &ArmEvidence, phase: &str, name: &str) -> Option<f64> {
    let values: Vec<f64> = arm.done.iter().filter_map(|run| last(run, phase, name)).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn last(run: &RunEvidence, phase: &str, name: &str) -> Option<f64> {
    let metrics = run.metrics.iter().rev().filter(|metric| metric.phase == phase);
    metrics
        .filter_map(|metric| metric.values.get(name).copied().flatten())
        .next()
}

/// `WER, dev` or `error ms, alignment`.
fn title(phase: &str, name: &str) -> String {
    let name = match name {
        "wer" | "cer" => name.to_uppercase(),
        other => other.replace('_', " "),
    };
    format!("{name}, {phase}")
}

/// Three digits that count.
fn shown(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) => {
            let digits = 2 - value.abs().max(1e-4).log10().floor() as i32;
            format!("{value:.*}", digits.clamp(0, 4) as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_shown_with_three_digits() {
        let values = [1234.6, 99.96, -0.041_239, 0.0, 1.0];
        let shown = values.map(|value| shown(Some(value)));
        assert_eq!(shown, ["1235", "100.0", "-0.0412", "0.0000", "1.00"]);
    }
}
