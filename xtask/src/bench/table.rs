//! What was found, as Markdown that can be read as it is.

use super::Setting;
use super::contender::Task;
use super::measure::Row;
use super::recorded;
use super::shape::Shape;

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

pub(crate) fn heading(setting: &Setting) -> String {
    let allocator = if setting.keep_pages {
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
pub(crate) fn shape(setting: &Setting, task: Task, shape: Shape, rows: &[Row]) -> String {
    let ours = rows.first().and_then(Row::median);
    let logits = shape.megabytes();
    let mut cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, ours, logits)).collect();
    let torchaudio = rows
        .iter()
        .find(|row| row.name == "torchaudio")
        .and_then(Row::median);
    if let Some(now) = torchaudio
        && setting.threads == 2
        && !setting.keep_pages
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
    format!("{title}\n{}{}", aligned(&cells), comes_to(task, rows))
}

fn cells(row: &Row, ours: Option<f64>, logits: f64) -> Vec<String> {
    let median = row.median();
    let error = |x: Option<f64>| match x {
        None => "-".to_owned(),
        Some(x) if x >= 1e300 => "not finite".to_owned(),
        Some(x) => format!("{x:.0e}"),
    };
    let ratio = median.zip(ours).map(|(median, ours)| median / ours);
    let remark = [Some(row.version.clone()), row.remark.clone()];
    let remark: Vec<String> = remark
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    vec![
        row.name.to_owned(),
        median.map_or_else(|| "-".to_owned(), time),
        number(ratio, 2),
        row.peak.map_or_else(|| "-".to_owned(), size),
        number(row.peak.map(|peak| peak / logits), 2),
        error(row.differences.map(|d| d.0)),
        error(row.differences.map(|d| d.1)),
        // A bar would end the cell.
        remark.join("; ").replace('|', "/"),
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

/// Three digits.
fn time(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

/// Megabytes, with a digit more for a few.
fn size(megabytes: f64) -> String {
    let digits = if megabytes < 10.0 { 1 } else { 0 };
    format!("{megabytes:.digits$}")
}

fn number(x: Option<f64>, digits: usize) -> String {
    x.map_or_else(|| "-".to_owned(), |x| format!("{x:.digits$}"))
}

/// Rows under [`HEAD`], in columns.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len(), 3]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cell = |(column, text): (usize, &String)| {
            let width = widths[column];
            match column {
                0 | 7 => format!("{text:<width$}"),
                _ => format!("{text:>width$}"),
            }
        };
        let cells: Vec<String> = cells.iter().enumerate().map(cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let head: Vec<String> = HEAD.iter().map(ToString::to_string).collect();
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| match column {
            0 | 7 => "-".repeat(*width),
            _ => format!("{}:", "-".repeat(width - 1)),
        })
        .collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{}{body}", line(&head), line(&rule))
}

/// The processor, as far as it is known.
pub(crate) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).map(str::trim);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} ({cores} cores)", name.unwrap_or("an unknown processor"))
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
        let setting = Setting {
            root: std::path::Path::new("."),
            program: std::path::PathBuf::new(),
            folder: std::path::PathBuf::new(),
            rounds: 3,
            threads: 2,
            limit: std::time::Duration::from_secs(1),
            keep_pages: false,
        };
        let text = shape(&setting, Task::Loss, Shape([8, 200, 40, 1024]), &rows);
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
