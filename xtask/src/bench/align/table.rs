//! What was found, as Markdown that can be read as it is.

use super::contenders::Task;
use super::shape::Shape;
use crate::bench::Setting;
use crate::bench::markdown::{aligned, error, machine, number, remark, size, time};
use crate::bench::measure::Row;

const HEAD: [&str; 8] = [
    "contender",
    "median ms",
    "least ms",
    "x ours",
    "x floor",
    "cost error",
    "gradient error",
    "",
];

pub(crate) fn heading(setting: &Setting) -> String {
    format!(
        "# Alignments side by side\n\n{} rounds, {} threads, the default allocator, on {}.\n\n{ABOUT}",
        setting.rounds,
        setting.threads,
        machine()
    )
}

const ABOUT: &str = "\
Everyone is given the same costs: f32, squared differences of two random series. Who computes in f64 has them in f64 before the
clock starts; dtaidistance takes the series themselves. Errors are the largest differences from plain recursions in f64, as
parts of the largest cost and gradient; of a path its cost is compared, since paths may tie. The floor reads the costs once, in
f32, from wherever the call before left them: small ones from a cache.
";

/// The table of one shape, and what it comes to.
pub(crate) fn shape(task: Task, shape: Shape, rows: &[Row]) -> String {
    let (ours, floor) = (rows.first().and_then(Row::median), floor(rows));
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, ours, floor)).collect();
    let title = format!(
        "## {shape}: {}\n\nThe costs are {}; an utterance is {:.2} s of speech at 40 ms a frame.\n",
        task.title(),
        amount(shape.bytes()),
        shape.seconds()
    );
    format!("{title}\n{}{}", aligned(&HEAD, &cells), comes_to(shape, rows))
}

fn cells(row: &Row, ours: Option<f64>, floor: Option<f64>) -> Vec<String> {
    let median = row.median();
    let times = |of: Option<f64>| number(median.zip(of).map(|(median, of)| median / of), 2);
    let relative = row.relative();
    // What has no gradient has no error of it.
    let gradient = relative.filter(|_| row.compared.is_some_and(|values| values > 0));
    vec![
        row.name.to_owned(),
        median.map_or_else(|| "-".to_owned(), time),
        row.least().map_or_else(|| "-".to_owned(), time),
        times(ours),
        times(floor),
        error(relative.map(|r| r.0)),
        error(gradient.map(|r| r.1)),
        remark(row),
    ]
}

/// What reading the costs takes.
fn floor(rows: &[Row]) -> Option<f64> {
    rows.iter().find(|row| row.floor).and_then(Row::median)
}

/// The fastest that is neither ours nor the floor.
fn fastest(rows: &[Row]) -> Option<(&'static str, f64)> {
    let others = rows
        .iter()
        .filter(|row| !row.floor && !row.name.starts_with("ours"));
    others
        .filter_map(|row| Some((row.name, row.median()?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The sentence below a table.
fn comes_to(shape: Shape, rows: &[Row]) -> String {
    let Some(ours) = rows.first().and_then(Row::median) else {
        return String::new();
    };
    let mut parts = Vec::new();
    if let Some(floor) = floor(rows) {
        parts.push(format!(
            "{:.1} times as long as reading the costs once, which takes {} ms ({:.1} GB/s)",
            ours / floor,
            time(floor),
            shape.bytes() / floor / 1e6
        ));
    }
    if let Some((name, other)) = fastest(rows) {
        parts.push(format!(
            "{name}, the fastest of the others, {:.2} times as long as ours",
            other / ours
        ));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("\nOurs takes {} ms: {}.\n", time(ours), parts.join("; ")),
    }
}

/// Bytes, in a unit that suits them.
fn amount(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1e5 => format!("{bytes} bytes"),
        bytes => format!("{} MB", size(bytes / 1e6)),
    }
}

/// The medians of a task, a line for each shape.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    contenders: Vec<&'static str>,
    lines: Vec<Vec<String>>,
}

impl Summary {
    pub(crate) fn add(&mut self, shape: Shape, rows: &[Row]) {
        self.contenders = rows.iter().map(|row| row.name).collect();
        let ours = rows.first().and_then(Row::median);
        let beside = fastest(rows).zip(ours);
        let medians = rows
            .iter()
            .map(|row| row.median().map_or_else(|| "-".to_owned(), time));
        let speech = [shape.to_string(), format!("{:.2}", shape.seconds())];
        let ratio = beside.map_or_else(
            || "-".to_owned(),
            |((name, other), ours)| format!("{name}: {:.2}", other / ours),
        );
        self.lines
            .push(speech.into_iter().chain(medians).chain([ratio]).collect());
    }

    pub(crate) fn table(&self, task: Task) -> String {
        let head: Vec<&str> = ["B,T,U", "seconds"]
            .into_iter()
            .chain(self.contenders.iter().copied())
            .chain(["fastest of the others / ours"])
            .collect();
        format!(
            "## All shapes: {}\n\nMedian ms.\n\n{}",
            task.title(),
            aligned(&head, &self.lines)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Row; 4] {
        let row = |name, floor, times: &[f64], remark: Option<&str>| Row {
            name,
            floor,
            times: times.to_vec(),
            differences: (!floor && !times.is_empty()).then_some((2e-6, 0.0)),
            scale: (!floor && !times.is_empty()).then_some((2.0, 0.0)),
            compared: Some(0),
            remark: remark.map(str::to_owned),
            ..Row::default()
        };
        [
            row("ours", false, &[2.0], None),
            row("librosa", false, &[29.0, 30.0, 32.0], None),
            row("tslearn", false, &[], Some("not installed: no | network")),
            row("floor: read the costs once", true, &[0.5], None),
        ]
    }

    #[test]
    fn table_says_what_was_found_and_what_was_not() {
        let text = shape(Task::Warping, Shape([1, 1500, 720]), &rows());
        for part in [
            "The costs are 4.3 MB; an utterance is 60.00 s",
            "| librosa                    |      30.0 |     29.0 |  15.00 |   60.00 |       1e-6 |              - |",
            "not installed: no / network",
            "Ours takes 2.00 ms: 4.0 times as long as reading the costs once, which takes 0.500 ms (8.6 GB/s); librosa, the \
             fastest of the others, 15.00 times as long as ours.",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn shapes_are_summed_up_in_lines() {
        let mut summary = Summary::default();
        summary.add(Shape([1, 25, 12]), &rows());
        summary.add(Shape([1, 250, 120]), &rows());
        let text = summary.table(Task::Warping);
        for part in [
            "| 1,25,12   |    1.00 | 2.00 |",
            "| 1,250,120 |   10.00 |",
            "| librosa: 15.00",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
