use std::fmt::Write;

use crate::format_duration;
use crate::report::examples::Piece;
use crate::report::rates::reading;
use crate::report::resample::SAMPLES;
use crate::report::table::{Table, bracketed, signed};
use crate::report::verdict::{Judged, NONE_TESTED, any_tested};
use crate::report::{Report, ablation, layers};

/// How many of the worst utterances are shown; the page has more.
const EXAMPLES: usize = 5;

/// Typesets a report as Markdown.
pub(crate) fn write(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    section(&mut text, "## Claims", &claims(report));
    rates(&mut text, report);
    ablations(&mut text, report);
    section(&mut text, "## Other measures", &report.measures.markdown());
    pictures(&mut text, report);
    examples(&mut text, report);
    readings(&mut text, report);
    making(&mut text, report);
    let reference = &report.plan.reference;
    let _ = writeln!(text, "## Reference\n\n```bibtex\n{}\n```", reference.bibtex);
    text
}

fn head(text: &mut String, report: &Report) {
    let (reference, setting) = (&report.plan.reference, &report.plan.setting);
    let _ = writeln!(text, "# {}\n", plain(&reference.title));
    let arxiv = match reference.arxiv.as_str() {
        "" => String::new(),
        id => format!(", [arXiv:{id}](https://arxiv.org/abs/{id})"),
    };
    let _ = writeln!(
        text,
        "{}. {}{arxiv}.\n",
        plain(&reference.authors),
        plain(&reference.venue)
    );
    let _ = writeln!(
        text,
        "Reproduced at scale *{}* on corpus *{}*. Written by `cargo xtask report`; do not edit.\n",
        setting.scale, setting.corpus
    );
    for caution in &report.facts.cautions {
        let _ = writeln!(text, "> **Note:** {}\n", plain(caution));
    }
}

/// The claims with their verdicts; empty if the paper makes none.
pub(crate) fn claims(report: &Report) -> String {
    if report.judged.is_empty() {
        return String::new();
    }
    if !any_tested(&report.judged) {
        return format!("{NONE_TESTED}\n\n");
    }
    let mut text = "| claim | source | verdict | evidence |\n|---|---|---|---|\n".to_owned();
    for judged in &report.judged {
        let claim = &judged.claim;
        let _ = writeln!(
            text,
            "| {} | {} | **{}** | {} |",
            cell(&claim.statement),
            cell(&claim.source),
            judged.verdict.label(),
            cell(&evidence(judged))
        );
    }
    let _ = writeln!(
        text,
        "\nA positive difference is as claimed. A claim is *reproduced* if the whole 95 % interval of the difference is on its side, which for a claim to match is above minus its margin, *not reproduced* if it is \
         on the other, else *inconclusive*. Paired bootstrap over utterances, and over seeds where there are several, \
         {SAMPLES} resamples.\n"
    );
    text
}

/// So many seeds, in words.
pub(crate) fn of_seeds(count: usize) -> String {
    format!("{count} {}", if count == 1 { "seed" } else { "seeds" })
}

/// The numbers behind a verdict, in a sentence.
pub(crate) fn evidence(judged: &Judged) -> String {
    let claim = &judged.claim;
    let numbers = judged.comparison.as_ref().map(|comparison| {
        let difference = comparison.paired.difference;
        let by = comparison.worse - comparison.better;
        let seeds = of_seeds(comparison.seeds);
        format!(
            "{} {:.1} against {} {:.1} on {}: a difference of {} points, {seeds}, {} utterances",
            claim.better,
            comparison.better,
            claim.worse,
            comparison.worse,
            claim.metric,
            signed(by, &difference),
            comparison.utterances,
        )
    });
    match (numbers, judged.verdict.reason()) {
        (Some(numbers), Some(reason)) => format!("{numbers}; {reason}"),
        (Some(only), None) => only,
        (None, reason) => reason.unwrap_or_default().to_owned(),
    }
}

fn rates(text: &mut String, report: &Report) {
    text.push_str("## Error rates\n\n");
    let table = &report.table;
    if table.splits.is_empty() {
        text.push_str("No run is complete.\n\n");
    } else {
        text.push_str(&rates_table(table));
        if !table.rows.iter().all(|row| row.absence.is_some()) {
            text.push_str("![Word error rates with intervals](rates.svg)\n\n");
        }
        for signature in table.signatures() {
            let _ = writeln!(text, "- `{signature}`");
        }
        text.push('\n');
    }
    if !report.facts.not_run.is_empty() {
        let _ = writeln!(text, "Arms not run: `{}`.\n", report.facts.not_run.join("`, `"));
    }
}

/// The rates of all arms, and how they are to be read.
pub(crate) fn rates_table(table: &Table) -> String {
    let mut text = "| arm |".to_owned();
    for split in &table.splits {
        let _ = write!(text, " {split} WER | {split} CER |");
    }
    text.push_str(" seeds |\n|---|");
    text.push_str(&"---:|".repeat(2 * table.splits.len() + 1));
    text.push('\n');
    for row in &table.rows {
        let absence = row
            .absence
            .as_deref()
            .map(|absence| format!(" *({absence})*"))
            .unwrap_or_default();
        let _ = write!(text, "| `{}`: {}{} |", row.arm, cell(&row.why), cell(&absence));
        for cell in &row.cells {
            match cell {
                Some(cell) => {
                    let _ = write!(
                        text,
                        " {} | {} |",
                        bracketed(&cell.word),
                        bracketed(&cell.character)
                    );
                }
                None => text.push_str(" missing | missing |"),
            }
        }
        let seeds = row
            .cells
            .iter()
            .flatten()
            .map(|cell| cell.word.seeds.len())
            .max()
            .unwrap_or(0);
        let _ = writeln!(text, " {seeds} |");
    }
    let _ = writeln!(text, "\n{}\n", reading());
    text
}

fn ablations(text: &mut String, report: &Report) {
    let mut body = ablation::sections(&report.ablations, "###");
    if let Some(skipped) = ablation::skipped(&report.ablations, &report.plan) {
        body.push_str(&format!("{skipped}\n\n"));
    }
    section(text, "## Ablations", &body);
}

/// A heading and what stands under it; nothing if that is empty.
pub(crate) fn section(text: &mut String, heading: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(text, "{heading}\n\n{body}");
    }
}

/// The figures of levels, which lie in `folder`, and the numbers behind them; empty if no run looked at them.
pub(crate) fn levels(report: &Report, folder: &str) -> String {
    let mut text = String::new();
    if !report.layers.is_empty() {
        let _ = writeln!(
            text,
            "![Distances at every level]({folder}layers.svg)\n\n{}\n\n{}",
            layers::CAPTION,
            layers::markdown(&report.layers)
        );
    }
    if let Some((.., said)) = &report.paths {
        let _ = writeln!(
            text,
            "![Best alignments]({folder}paths.svg)\n\n*{}*, {}\n",
            plain(said),
            layers::PATHS_CAPTION
        );
    }
    text
}

fn pictures(text: &mut String, report: &Report) {
    section(text, "## Levels", &levels(report, ""));
    if !report.panels.is_empty() {
        text.push_str("## Learning curves\n\n![Learning curves](curves.svg)\n\n");
    }
    if let Some(figure) = report.figures.first() {
        let _ = writeln!(
            text,
            "## Alignments\n\n![Alignment posteriors](alignment.svg)\n\n*{}*, its spectrogram, the words where the corpus \
             has them (dotted), and when each arm emits each label.\n",
            plain(&figure.text)
        );
    }
}

fn examples(text: &mut String, report: &Report) {
    if report.examples.is_empty() {
        return;
    }
    text.push_str("## Worst errors\n\nHeard wrong in **bold** (with what was said), missed words ~~struck~~, words nobody said *added*.\n\n");
    for example in report.examples.iter().take(EXAMPLES) {
        let _ = writeln!(
            text,
            "- {} `{}`: {}",
            example.split,
            example.id,
            plain(&example.reference)
        );
        for (arm, errors, pieces) in &example.heard {
            let heard: Vec<String> = pieces.iter().map(piece).collect();
            let _ = writeln!(text, "  - `{arm}` ({errors}): {}", heard.join(" "));
        }
    }
    text.push('\n');
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Same(word) => plain(word),
        Piece::Substituted(said, heard) => format!("**{}** ({})", plain(heard), plain(said)),
        Piece::Deleted(said) => format!("~~{}~~", plain(said)),
        Piece::Inserted(heard) => format!("*{}*", plain(heard)),
    }
}

fn readings(text: &mut String, report: &Report) {
    if !report.plan.departures.is_empty() {
        text.push_str("## Departures from the paper\n\n");
        for departure in &report.plan.departures {
            let _ = writeln!(text, "- {}: {}", cell(&departure.what), cell(&departure.why));
        }
        text.push('\n');
    }
    if !report.plan.unknowns.is_empty() {
        text.push_str("## What the paper does not say\n\n");
        for unknown in &report.plan.unknowns {
            let _ = writeln!(text, "- {}: {}", cell(&unknown.what), cell(&unknown.reading));
        }
        text.push('\n');
    }
}

fn making(text: &mut String, report: &Report) {
    let facts = &report.facts;
    let _ = writeln!(text, "## How it was made\n\n```sh\n{}\n```\n", facts.command);
    if !facts.runs.is_empty() {
        text.push_str("| run | wall time | configuration | commit |\n|---|---:|---|---|\n");
        for run in &facts.runs {
            let sessions = if run.sessions > 1 {
                format!(" in {} sessions", run.sessions)
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "| `{}` seed {} | {}{sessions} | `{}` | `{}` |",
                run.arm,
                run.seed,
                format_duration(run.wall_seconds),
                run.config_hash,
                run.commit
            );
        }
        text.push('\n');
    }
    for line in facts.machines.iter().chain(&facts.versions) {
        let _ = writeln!(text, "- {}", plain(line));
    }
    for (key, value) in &facts.records {
        let _ = writeln!(text, "- {}: {}", plain(key), plain(value));
    }
    if !(facts.machines.is_empty() && facts.records.is_empty()) {
        text.push('\n');
    }
}

/// Text that Markdown takes as it stands.
pub(crate) fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(
            character,
            '*' | '_' | '`' | '[' | ']' | '<' | '>' | '|' | '~' | '\\' | '#'
        ) {
            escaped.push('\\');
        }
        escaped.push(if character == '\n' { ' ' } else { character });
    }
    escaped
}

/// Text an experiment's author wrote, as Markdown of one line; only what would end a table cell is taken out.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
