//! What was found, as Markdown that can be read as it is.

use super::pieces::{AS_INSTALLED, Piece, UNLOCKED};
use super::size::{Preset, Size};
use crate::bench::Setting;
use crate::bench::markdown::{aligned, error, machine, number, remark, size, time};
use crate::bench::measure::Row;

const HEAD: [&str; 10] = [
    "contender",
    "median ms",
    "least ms",
    "x ours",
    "GFLOP/s",
    "% of peak",
    "peak MB",
    "loss error",
    "gradient error",
    "",
];

pub(crate) fn heading(setting: &Setting) -> String {
    let busy = load().map_or_else(String::new, |load| {
        format!(" The load average before it was {load}: what else ran counts against whom it met.")
    });
    format!(
        "# Training side by side\n\n{} rounds, {} threads, on {}.{busy}\n\n{ABOUT}",
        setting.rounds,
        setting.threads,
        machine()
    )
}

const ABOUT: &str = "\
f32, AdamW, dropout 0.1, the same initial weights. Ours has the allocator's settings we train with (`.cargo/config.toml`).
PyTorch is eager, with torchaudio's RNN-T loss; the other loss for torch that pip installs without fetching sources from
elsewhere, `warprnnt_numba`, is slower on a CPU (`cargo xtask bench transducer`). MKL keeps its AVX-512 kernels to processors
of Intel's; *unlocked* it uses them here, and *pages kept* is with our allocator's settings on top.

Errors are the largest differences from ours in f64, without dropout, as parts of the largest loss and gradient; the peak is
what memory grew by in a first call. GFLOP/s counts products and convolutions of the padded batch; the share is of the best
product here.
";

/// The processes that ran or waited in the last minute, as far as the system says.
fn load() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

/// The best product of any contender, in GFLOP/s.
pub(crate) fn peak(rows: &[Row]) -> Option<f64> {
    let least = rows.iter().filter_map(Row::least).min_by(f64::total_cmp);
    least.map(|ms| Size::of_product().gigaflops(Piece::Product) / ms * 1e3)
}

/// The table of one piece, and what it comes to.
pub(crate) fn piece(preset: Option<Preset>, piece: Piece, rows: &[Row], peak: Option<f64>) -> String {
    let of = preset.map_or_else(Size::of_product, Preset::size);
    let work = of.gigaflops(piece);
    let ours = rows.first().and_then(Row::median);
    let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row, ours, work, peak)).collect();
    let title = match preset {
        Some(preset) => format!("## {}: {}\n", preset.name(), piece.title()),
        None => format!("## {}\n", piece.title()),
    };
    let about = match (preset, piece) {
        (Some(_), Piece::Step) => {
            let compared = rows.first().and_then(|row| row.compared).unwrap_or(0);
            format!(
                "\n{}; {compared} parameters, {work:.0} GFLOP a step.\n",
                of.describe()
            )
        }
        _ => String::new(),
    };
    let comes_to = comes_to(preset.and_then(|preset| piece.target(preset)), rows);
    format!("{title}{about}\n{}{comes_to}", aligned(&HEAD, &cells))
}

fn cells(row: &Row, ours: Option<f64>, work: f64, peak: Option<f64>) -> Vec<String> {
    let median = row.median();
    let done = median.filter(|_| work > 0.0).map(|ms| work / ms * 1e3);
    let share = done.zip(peak).map(|(done, peak)| 100.0 * done / peak);
    vec![
        row.name.to_owned(),
        median.map_or_else(|| "-".to_owned(), time),
        row.least().map_or_else(|| "-".to_owned(), time),
        number(median.zip(ours).map(|(median, ours)| median / ours), 2),
        number(done, 0),
        number(share, 0),
        row.peak.map_or_else(|| "-".to_owned(), size),
        error(row.relative().map(|d| d.0)),
        error(row.relative().map(|d| d.1)),
        remark(row),
    ]
}

/// How many times as fast as torch ours is, beside what it is to be.
fn comes_to(target: Option<(f64, f64)>, rows: &[Row]) -> String {
    let Some(ours) = rows.first().and_then(Row::median) else {
        return String::new();
    };
    let part = |name: &str, target: Option<f64>| {
        let theirs = rows.iter().find(|row| row.name == name)?.median()?;
        let target = target.map_or_else(String::new, |target| format!(" (target {target:.1})"));
        Some(format!("{:.2} times as fast as {name}{target}", theirs / ours))
    };
    let parts = [
        part(AS_INSTALLED, target.map(|t| t.0)),
        part(UNLOCKED, target.map(|t| t.1)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("\nOurs takes {} ms: {}.\n", time(ours), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, times: &[f64]) -> Row {
        Row {
            name,
            times: times.to_vec(),
            peak: (!times.is_empty()).then_some(512.0),
            differences: (!times.is_empty()).then_some((4e-3, 5e-4)),
            scale: (!times.is_empty()).then_some((200.0, 500.0)),
            compared: Some(1234),
            ..Row::default()
        }
    }

    #[test]
    fn peak_is_the_best_product_of_all() {
        let rows = [row("ours", &[50.0, 40.0]), row(UNLOCKED, &[45.0, 43.0])];
        assert!((peak(&rows).unwrap() - 2.0 * 2048f64.powi(3) / 1e9 / 0.040).abs() < 1e-9);
        assert_eq!(peak(&[row("ours", &[])]), None);
    }

    #[test]
    fn table_says_times_shares_and_targets() {
        let failed = Row {
            remark: Some("not the same computation: losses | differ".to_owned()),
            ..row("torch, AVX-512 unlocked, pages kept", &[])
        };
        let rows = [
            row("ours", &[100.0, 120.0, 90.0]),
            row(AS_INSTALLED, &[250.0]),
            row(UNLOCKED, &[130.0]),
            failed,
        ];
        // Half of what the step reaches is the peak's double.
        let reached = Preset::Mini.size().gigaflops(Piece::Step) / 0.1;
        let text = piece(Some(Preset::Mini), Piece::Step, &rows, Some(2.0 * reached));
        for part in [
            "## mini: a training step",
            "1234 parameters",
            "|       100 |     90.0 |   1.00 |",
            "|        50 |     512 |       2e-5 |",
            "not the same computation: losses / differ",
            "Ours takes 100 ms: 2.50 times as fast as torch, as installed (target 2.0), 1.30 times as fast as torch, AVX-512 \
             unlocked (target 1.2).",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let lines = text.lines().filter(|line| line.starts_with('|'));
        let widths: Vec<usize> = lines.map(|line| line.chars().count()).collect();
        assert!(
            widths.len() == 6 && widths.iter().all(|n| *n == widths[0]),
            "{text}"
        );
    }

    #[test]
    fn what_multiplies_nothing_has_no_share() {
        let text = piece(
            Some(Preset::Base),
            Piece::Optimizer,
            &[row("ours", &[3.0])],
            Some(400.0),
        );
        assert!(text.contains("|   1.00 |       - |         - |"), "{text}");
        assert!(!text.contains("target") && !text.contains("Ours takes"), "{text}");
    }
}
