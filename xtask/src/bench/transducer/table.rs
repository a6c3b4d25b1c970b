//! What was found, as Markdown that can be read as it is.

use super::contenders::Task;
use super::recorded;
use super::shape::Shape;
use crate::bench::Setting;
use crate::bench::markdown::{aligned, error, machine, number, remark, size, time};
use crate::bench::measure::Row;

const HEAD: [&str; 8] = [
    "contender",
    "median ms",
    "x ours",
    "peak MB",
    "x logits",
    "loss error",
    "gradient error",
    "",
];

pub(crate) fn heading(setting: &Setting, keep_pages: bool) -> String {
    let allocator = if keep_pages {
        "an allocator that keeps freed pages"
    } else {
        "the default allocator"
    };
    format!(
        "# RNN-T losses side by side\n\n{} rounds, {} threads, {allocator}, on {}. f32 logits, ragged lengths, blank 0. Errors \
         are the largest\nabsolute differences from ours in f64; the peak is what memory grew by in a first call.\n",
        setting.rounds,
        setting.threads,
        machine()
    )
}

/// The table of one shape, and what it comes to.
/// Those no package index has were recorded under `as_recorded` conditions only.
pub(crate) fn shape(task: Task, shape: Shape, rows: &[Row], as_recorded: bool) -> String {
    let ours = rows.first().and_then(Row::median);
    let logits = shape.megabytes();
    let mut cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, ours, logits)).collect();
    let torchaudio = rows
        .iter()
        .find(|row| row.name == "torchaudio")
        .and_then(Row::median);
    if let Some(now) = torchaudio
        && as_recorded
    {
        for (name, ms, peak) in recorded::scaled(shape, now) {
            let peak = peak.map(|multiple| multiple * logits);
            cells.push(vec![
                name.to_owned(),
                time(ms),
                number(ours.map(|ours| ms / ours), 2),
                peak.map_or_else(|| "-".to_owned(), size),
                number(peak.map(|peak| peak / logits), 2),
                "-".to_owned(),
                "-".to_owned(),
                "recorded on another day, scaled by torchaudio's time in this run".to_owned(),
            ]);
        }
    }
    let title = format!(
        "## {shape}: {}\n\nThe padded logits are {} MB.\n",
        task.title(),
        size(logits)
    );
    format!("{title}\n{}{}", aligned(&HEAD, &cells), comes_to(task, rows))
}

fn cells(row: &Row, ours: Option<f64>, logits: f64) -> Vec<String> {
    let median = row.median();
    let ratio = median.zip(ours).map(|(median, ours)| median / ours);
    vec![
        row.name.to_owned(),
        median.map_or_else(|| "-".to_owned(), time),
        number(ratio, 2),
        row.peak.map_or_else(|| "-".to_owned(), size),
        number(row.peak.map(|peak| peak / logits), 2),
        error(row.differences.map(|d| d.0)),
        error(row.differences.map(|d| d.1)),
        remark(row),
    ]
}

/// The sentence below a table.
fn comes_to(task: Task, rows: &[Row]) -> String {
    let Some((first, ours)) = rows.first().and_then(|row| Some((row, row.median()?))) else {
        return String::new();
    };
    let mut parts = Vec::new();
    for row in rows.iter().filter(|row| row.floor) {
        if let Some(floor) = row.median() {
            let name = row.name.trim_start_matches("floor: ");
            parts.push(format!("{:.1}x the floor \"{name}\"", ours / floor));
        }
    }
    let others = rows.iter().skip(1).filter(|row| !row.floor);
    let best = others
        .filter_map(|row| Some((row.name, row.median()?)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((name, best)) = best {
        parts.push(match task {
            Task::Expected => format!("{name} takes {:.2}x that", best / ours),
            Task::Loss | Task::Joiner => {
                format!("{:.1}x as fast as {name}, the best of the others", best / ours)
            }
        });
    }
    if parts.is_empty() {
        return String::new();
    }
    format!(
        "\n{} takes {}: {}.\n",
        first.name,
        format_args!("{} ms", time(ours)),
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_says_what_was_found_and_what_was_not() {
        let row = |name, floor, times: &[f64], remark: Option<&str>| Row {
            name,
            floor,
            times: times.to_vec(),
            peak: (!times.is_empty()).then_some(16.0),
            differences: (!floor && !times.is_empty()).then_some((2e-6, 1e-7)),
            remark: remark.map(str::to_owned),
            ..Row::default()
        };
        let rows = [
            row("ours: tensors", false, &[2.0], None),
            row("torchaudio", false, &[9.0, 10.0, 11.0], None),
            row("paddle", false, &[], Some("not installed: no | network")),
            row("floor: softmax", true, &[0.5], None),
        ];
        let text = shape(Task::Loss, Shape([8, 200, 40, 1024]), &rows, true);
        for part in [
            "| torchaudio                      |      10.0 |   5.00 |",
            "not installed: no / network",
            "scaled by torchaudio's time in this run",
            "4.0x the floor \"softmax\"",
            "5.0x as fast as torchaudio",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let lines: Vec<usize> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.chars().count())
            .collect();
        assert!(
            lines.len() == 10 && lines.iter().all(|n| *n == lines[0]),
            "{text}"
        );
    }
}
