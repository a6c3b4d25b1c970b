use std::fmt::Write;

use super::{Group, Row, reading};
use crate::Plan;
use crate::report::facts::command;
use crate::report::markdown::{cell, of_seeds};
use crate::report::table::{bracketed, signed};

/// The groups that compare something, each under a heading of a level.
pub(crate) fn sections(groups: &[Group], heading: &str) -> String {
    let shown: Vec<&Group> = groups.iter().filter(|group| group.done() > 1).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n\n", reading());
    for group in shown {
        let _ = writeln!(
            text,
            "{heading} `{}`: {}\n\n{}\n```sh\n{}\n```\n",
            group.ablation.name,
            cell(&group.ablation.question),
            table(group),
            group.command
        );
    }
    text
}

/// The groups that compare nothing yet, with the command that makes their runs; nothing if there are none.
pub(crate) fn skipped(groups: &[Group], plan: &Plan) -> Option<String> {
    let names: Vec<&str> = groups
        .iter()
        .filter(|group| group.done() < 2)
        .map(|group| group.ablation.name.as_str())
        .collect();
    let command = command(plan, "ablate", &format!(" --only {}", names.join(",")), &[]);
    (!names.is_empty()).then(|| format!("Ablations of which fewer than two arms were run: `{command}`."))
}

fn table(group: &Group) -> String {
    let mut text = "| arm |".to_owned();
    for metric in &group.metrics {
        let _ = write!(text, " {} | against `{}` |", metric.label(), group.reference());
    }
    text.push_str(" seeds |\n|---|");
    text.push_str(&"---:|".repeat(2 * group.metrics.len() + 1));
    text.push('\n');
    for (place, row) in group.rows.iter().enumerate() {
        let role = if place == 0 { " (reference)" } else { "" };
        let absence = row.absence.as_deref().map(|absence| format!(" *({absence})*"));
        let _ = write!(
            text,
            "| `{}`{role}: {}{} |",
            row.arm,
            cell(&row.why),
            cell(&absence.unwrap_or_default())
        );
        for (value, difference) in numbers(row, place == 0) {
            let _ = write!(text, " {value} | {difference} |");
        }
        let _ = writeln!(text, " {} |", row.seeds);
    }
    text
}

/// Of each metric the rate and the difference, in words where there is no number.
fn numbers(row: &Row, is_reference: bool) -> Vec<(String, String)> {
    let cells = row.cells.iter().map(|cell| {
        let Some(cell) = cell else {
            return ("missing".to_owned(), "missing".to_owned());
        };
        let difference = match &cell.effect {
            _ if is_reference => String::new(),
            None => "nothing to compare with".to_owned(),
            Some(effect) => {
                let (by, interval) = effect.difference();
                let shared = effect.shared_seeds(row);
                let shared = shared.map_or_else(String::new, |seeds| format!(" (of {})", of_seeds(seeds)));
                format!("{} **{}**{shared}", signed(by, &interval), effect.outcome.label())
            }
        };
        (bracketed(&cell.rate), difference)
    });
    cells.collect()
}
