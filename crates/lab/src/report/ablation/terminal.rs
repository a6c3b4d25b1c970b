use super::{Group, Row};
use crate::report::table::{bracketed, signed};

/// The groups that compare something, in columns; nothing if there are none.
pub(crate) fn lines(groups: &[Group]) -> String {
    let shown: Vec<String> = groups
        .iter()
        .filter(|group| group.done() > 1)
        .map(group_lines)
        .collect();
    shown.join("\n\n")
}

fn group_lines(group: &Group) -> String {
    let mut rows = vec![vec![format!("against {}", group.reference())]];
    rows[0].extend(group.metrics.iter().map(super::Metric::label));
    rows.extend(group.rows.iter().map(columns));
    let columns = group.metrics.len() + 1;
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            // What says in a row of its own that an arm is missing need not fit a column.
            let cells = cells.filter(|cell| column == 0 || !cell.starts_with("missing:"));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    });
    let head = format!("{}: {}", group.ablation.name, group.ablation.question);
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

fn columns(row: &Row) -> Vec<String> {
    let mut columns = vec![row.arm.clone()];
    if let Some(absence) = &row.absence {
        columns.push(absence.clone());
        return columns;
    }
    columns.extend(row.cells.iter().map(|cell| {
        cell.as_ref().map_or_else(
            || "missing".to_owned(),
            |cell| match &cell.effect {
                None => bracketed(&cell.rate),
                Some(effect) => {
                    let (by, interval) = effect.difference();
                    let difference = signed(by, &interval);
                    format!(
                        "{}  {difference} {}",
                        bracketed(&cell.rate),
                        effect.outcome.label()
                    )
                }
            },
        )
    }));
    columns
}
