//! Tables that can be read as they are.

use super::measure::Row;

/// Three digits.
pub(crate) fn time(ms: f64) -> String {
    match ms {
        ms if ms < 0.1 => format!("{ms:.4}"),
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

/// Megabytes, with a digit more for a few.
pub(crate) fn size(megabytes: f64) -> String {
    let digits = if megabytes < 10.0 { 1 } else { 0 };
    format!("{megabytes:.digits$}")
}

pub(crate) fn number(x: Option<f64>, digits: usize) -> String {
    x.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"))
}

/// Rows under a head, in columns: the first and the last to the left, numbers to the right.
pub(crate) fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let last = head.len() - 1;
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count(), 3]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cell = |(column, text): (usize, &String)| {
            let width = widths[column];
            if column == 0 || column == last {
                format!("{text:<width$}")
            } else {
                format!("{text:>width$}")
            }
        };
        let cells: Vec<String> = cells.iter().enumerate().map(cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| {
            if column == 0 || column == last {
                "-".repeat(*width)
            } else {
                format!("{}:", "-".repeat(width - 1))
            }
        })
        .collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{}{body}", line(&head), line(&rule))
}

/// A difference, to one digit.
pub(crate) fn error(x: Option<f64>) -> String {
    match x {
        None => "-".to_owned(),
        Some(x) if x >= 1e300 => "not finite".to_owned(),
        Some(x) => format!("{x:.0e}"),
    }
}

/// What there is to say about a contender.
pub(crate) fn remark(row: &Row) -> String {
    let parts = [Some(row.version.as_str()), row.remark.as_deref()];
    let parts: Vec<&str> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    // A bar would end the cell.
    parts.join("; ").replace('|', "/")
}

/// The processor, as far as it is known.
pub(crate) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).map(str::trim);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({cores} cores)", name.unwrap_or("an unknown processor"))
}
