use std::fmt::Write;

use super::{Cell, Group, Outcome, Row, reading};
use crate::report::curves::COLOURS;
use crate::report::html::{authored, emphasized, number, table};
use crate::report::intervals::{self, Difference};
use crate::report::markdown::of_seeds;
use crate::report::svg::escape;
use crate::report::table::signed;

/// The groups that compare something: question, figures, table.
pub(crate) fn panels(groups: &[Group]) -> String {
    let shown: Vec<String> = groups
        .iter()
        .filter(|group| group.done() > 1)
        .map(panel)
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    format!(
        "{}<p class=\"fine\">{}</p>\n",
        shown.concat(),
        emphasized(&reading())
    )
}

fn panel(group: &Group) -> String {
    let figures: String = group
        .metrics
        .iter()
        .enumerate()
        .filter_map(|(place, metric)| {
            let rows = differences(group, place);
            let figure = || intervals::differences(&metric.label(), group.reference(), &rows);
            let svg = (!rows.is_empty()).then(figure)?;
            let height = intervals::differences_height(rows.len());
            let label = "differences to the reference with intervals";
            Some(format!(
                "<figure>{}</figure>\n",
                svg.inline(intervals::WIDTH, height, label)
            ))
        })
        .collect();
    let figures = match figures.as_str() {
        "" => String::new(),
        figures => format!("<div class=\"panels\">{figures}</div>\n"),
    };
    format!(
        "<article class=\"ablation\">\n<h3><code>{}</code> {}</h3>\n{figures}{}<pre>{}</pre>\n</article>\n",
        escape(&group.ablation.name),
        authored(&group.ablation.question),
        rates(group),
        escape(&group.command),
    )
}

/// The differences of a metric, for its figure.
fn differences(group: &Group, place: usize) -> Vec<Difference<'_>> {
    let rows = group.rows.iter().filter_map(|row| {
        let (value, interval) = row.cells[place].as_ref()?.effect.as_ref()?.difference();
        Some(Difference {
            index: row.index,
            name: &row.arm,
            value,
            interval,
        })
    });
    rows.collect()
}

fn rates(group: &Group) -> String {
    let metrics = group.metrics.iter();
    let head: String = metrics
        .map(|metric| format!("<th>{}</th><th>difference</th>", escape(&metric.label())))
        .collect();
    let head = format!("<tr><th>arm</th>{head}<th>seeds</th></tr>");
    let mut rows = String::new();
    for (place, row) in group.rows.iter().enumerate() {
        let role = if place == 0 { "<em>reference</em>, " } else { "" };
        let _ = write!(
            rows,
            "<tr><th scope=\"row\"><i class=\"chip k{}\"></i>{}<small>{role}{}</small></th>",
            row.index % COLOURS,
            escape(&row.arm),
            authored(&row.why)
        );
        if let Some(absence) = &row.absence {
            let _ = writeln!(
                rows,
                "<td class=\"missing\" colspan=\"{}\">{}</td></tr>",
                2 * group.metrics.len() + 1,
                escape(absence)
            );
            continue;
        }
        for cell in &row.cells {
            rows.push_str(&cell.as_ref().map_or_else(
                || "<td class=\"missing\">missing</td>".repeat(2),
                |cell| numbers(cell, row, place == 0),
            ));
        }
        let _ = writeln!(rows, "<td>{}</td></tr>", row.seeds);
    }
    table(&head, &rows)
}

/// A rate, and its difference with what that says.
fn numbers(cell: &Cell, row: &Row, is_reference: bool) -> String {
    let difference = match &cell.effect {
        _ if is_reference => "<td></td>".to_owned(),
        None => "<td class=\"missing\">nothing to compare with</td>".to_owned(),
        Some(effect) => {
            let (by, interval) = effect.difference();
            let shared = effect.shared_seeds(row);
            let shared = shared.map_or_else(String::new, |seeds| format!(", of {}", of_seeds(seeds)));
            let class = match effect.outcome {
                Outcome::Better => "yes",
                Outcome::Worse => "no",
                Outcome::Inconclusive => "open",
            };
            format!(
                "<td><span class=\"{class}\">{}</span>{shared}<small>{}</small></td>",
                effect.outcome.label(),
                signed(by, &interval),
            )
        }
    };
    number(&cell.rate) + &difference
}
