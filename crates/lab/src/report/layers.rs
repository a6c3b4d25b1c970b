use std::collections::{BTreeMap, BTreeSet};

use crate::report::Report;
use crate::report::axis::{Axis, tick_label};
use crate::report::evidence::{ArmEvidence, Evidence, RunEvidence};
use crate::report::html::{emphasized, table};
use crate::report::svg::{Anchor, Svg, escape};

/// What the figure of levels shows, for readers who do not see it.
pub(crate) const LABEL: &str = "distance of speech and text at every level";
/// What the figure of paths shows.
pub(crate) const PATHS_LABEL: &str = "best alignments over the distances of speech and text";
/// Under the figure of levels.
pub(crate) const CAPTION: &str = "How far a label is from its frame, in the mean over dev, along the best alignment, an even pace \
                                  (framewise), a random alignment, and where it was spoken (gold). Thin lines: the best alignment \
                                  at earlier validations.";
/// Under the table.
const TABLE_CAPTION: &str = "Distances as in the figure. *error ms*: by how much the best alignment misses the times at which labels were \
                             spoken. What is in %: in how many percent of the utterances of dev a linear probe, fitted to the training \
                             speech, reads that off the mean of an utterance's speech. Means over seeds, at the last validation.";
/// Under the figure of paths, after what was said.
pub(crate) const PATHS_CAPTION: &str = "near frames and labels bright, with the best alignment over them; time to the right, labels \
                                        upwards, ends of words dotted.";

/// Phases whose values are named `<what>/<level>`, levels of an encoder: how far speech and text are apart there, in the mean along an
/// alignment; and what a probe can read there.
pub(crate) const PHASES: [&str; 2] = ["layers", "probes"];

/// Alignments with their colours: what the figure draws. The table has everything.
const ALIGNMENTS: [(&str, usize); 4] = [("best", 0), ("framewise", 1), ("random", 8), ("gold", 2)];
/// The one that is also drawn as it was earlier in the training.
const OVER_TRAINING: &str = "best";

const WIDTH: f64 = 252.0;
const HEIGHT: f64 = 200.0;
const COLUMNS: usize = 3;

/// The distances of one arm, in the mean over its seeds.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) arm: String,
    /// For each alignment its colour and the mean at each level, at the last validation.
    last: Vec<(&'static str, usize, Vec<f64>)>,
    /// The best alignment's at each earlier validation.
    earlier: Vec<Vec<f64>>,
    /// Everything that is known at each level, by what it is.
    all: Vec<(String, Vec<f64>)>,
}

/// A panel for each main arm that logged distances.
pub(crate) fn panels(evidence: &Evidence) -> Vec<Panel> {
    let main = evidence.arms.iter().filter(|arm| arm.main);
    main.filter_map(panel).collect()
}

fn panel(arm: &ArmEvidence) -> Option<Panel> {
    let of = |alignment: &str, back: usize| mean_over_runs(&arm.done, PHASES[0], alignment, back);
    let last: Vec<_> = ALIGNMENTS
        .iter()
        .filter_map(|&(name, colour)| Some((name, colour, of(name, 0)?)))
        .collect();
    let earlier = (1..).map_while(|back| of(OVER_TRAINING, back)).collect();
    let all = PHASES.iter().flat_map(|phase| {
        let names = names(&arm.done, phase).into_iter();
        let unit = if *phase == PHASES[1] { " %" } else { "" };
        names.filter_map(move |name| {
            let means = mean_over_runs(&arm.done, phase, &name, 0)?;
            Some((format!("{}{unit}", name.replace('_', " ")), means))
        })
    });
    (!last.is_empty()).then(|| Panel {
        arm: arm.name.clone(),
        all: all.collect(),
        last,
        earlier,
    })
}

/// What any run has by level in a phase.
fn names(runs: &[RunEvidence], phase: &str) -> BTreeSet<String> {
    let logged = runs.iter().flat_map(|run| &run.metrics);
    let values = logged
        .filter(|metric| metric.phase == phase)
        .flat_map(|metric| metric.values.keys());
    values
        .filter_map(|name| Some(name.split_once('/')?.0.to_owned()))
        .collect()
}

/// At each level, `back` validations before the last; `None` where no run has it.
fn mean_over_runs(runs: &[RunEvidence], phase: &str, name: &str, back: usize) -> Option<Vec<f64>> {
    let found: Vec<Vec<f64>> = runs
        .iter()
        .filter_map(|run| levels(run, phase, name, back))
        .collect();
    let levels = found.iter().map(Vec::len).min()?;
    let mean = |level| found.iter().map(|run| run[level]).sum::<f64>() / found.len() as f64;
    Some((0..levels).map(mean).collect())
}

fn levels(run: &RunEvidence, phase: &str, wanted: &str, back: usize) -> Option<Vec<f64>> {
    let logged = run.metrics.iter().rev().filter(|metric| metric.phase == phase);
    let values = &logged.into_iter().nth(back)?.values;
    let by_level: BTreeMap<usize, f64> = values
        .iter()
        .filter_map(|(name, value)| {
            let (kind, level) = name.split_once('/')?;
            Some((level.parse().ok().filter(|_| kind == wanted)?, (*value)?))
        })
        .collect();
    (!by_level.is_empty()).then(|| by_level.into_values().collect())
}

impl Panel {
    fn draw(&self, y: &Axis, levels: usize) -> Svg {
        let (left, right, bottom) = (40.0, WIDTH - 66.0, HEIGHT - 36.0);
        let mut svg = Svg::default();
        svg.text(left, 16.0, Anchor::Start, "title", &self.arm);
        let x = Axis::linear((0.0, (levels - 1) as f64), (left, right));
        for tick in y.ticks(4) {
            svg.line((left, y.at(tick)), (right, y.at(tick)), "grid");
            let text = tick_label(tick);
            svg.text(left - 6.0, y.at(tick) + 3.5, Anchor::End, "tick", &text);
        }
        for level in 0..levels {
            let at = x.at(level as f64);
            svg.text(at, bottom + 15.0, Anchor::Middle, "tick", &level.to_string());
        }
        svg.line((left, bottom), (right, bottom), "axis");
        let middle = (left + right) / 2.0;
        svg.text(
            middle,
            bottom + 29.0,
            Anchor::Middle,
            "tick",
            "level (0: before the shared encoder)",
        );
        let points = |values: &[f64]| -> Vec<(f64, f64)> {
            let each = values.iter().enumerate();
            each.map(|(level, value)| (x.at(level as f64), y.at(*value)))
                .collect()
        };
        for values in &self.earlier {
            svg.polyline(&points(values), "s0 thin");
        }
        let mut ends: Vec<(&str, usize, f64)> = Vec::new();
        for (name, colour, values) in &self.last {
            svg.polyline(&points(values), &format!("s{colour}"));
            ends.extend(values.last().map(|value| (*name, *colour, y.at(*value))));
        }
        ends.sort_by(|a, b| a.2.total_cmp(&b.2));
        let mut next = 0.0;
        for (name, colour, at) in ends {
            let at = f64::max(at, next);
            svg.text(right + 6.0, at + 3.5, Anchor::Start, &format!("f{colour}"), name);
            next = at + 12.0;
        }
        svg
    }
}

/// All panels on the same scale; `None` if there are none.
pub(crate) fn sheet(panels: &[Panel]) -> Option<(Svg, f64, f64)> {
    let all = || {
        let lines = panels.iter().flat_map(|panel| {
            panel
                .last
                .iter()
                .map(|(_, _, values)| values)
                .chain(&panel.earlier)
        });
        lines.flatten().copied()
    };
    let levels = panels
        .iter()
        .flat_map(|panel| panel.last.iter().map(|(_, _, values)| values.len()))
        .max()?;
    let y = Axis::linear((0.0, all().fold(0.0, f64::max) * 1.05), (HEIGHT - 36.0, 30.0));
    let mut svg = Svg::default();
    for (index, panel) in panels.iter().enumerate() {
        let (column, row) = ((index % COLUMNS) as f64, (index / COLUMNS) as f64);
        svg.place(column * WIDTH, row * HEIGHT, &panel.draw(&y, levels));
    }
    let (columns, rows) = (panels.len().min(COLUMNS), panels.len().div_ceil(COLUMNS));
    Some((svg, columns as f64 * WIDTH, rows as f64 * HEIGHT))
}

/// The numbers behind the figure and what else is known by level, a row for each arm and quantity; empty if there are none.
pub(crate) fn markdown(panels: &[Panel]) -> String {
    let (heads, rows) = table_of(panels);
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "| {} |\n|---|---|{}\n",
        heads.join(" | "),
        "---:|".repeat(heads.len() - 2)
    );
    for row in rows {
        text.push_str(&format!("| `{}` | {} |\n", row[0], row[1..].join(" | ")));
    }
    text.push_str(&format!("\n{TABLE_CAPTION}\n\n"));
    text
}

/// Heads and rows of the table: arm, quantity, a value for each level.
fn table_of(panels: &[Panel]) -> (Vec<String>, Vec<Vec<String>>) {
    let each = || {
        panels
            .iter()
            .flat_map(|panel| panel.all.iter().map(move |row| (panel, row)))
    };
    let levels = each().map(|(_, (_, values))| values.len()).max().unwrap_or(0);
    let mut heads = vec!["arm".to_owned(), "at each level".to_owned()];
    heads.extend((0..levels).map(|level| format!("level {level}")));
    let rows = each().map(|(panel, (name, values))| {
        let digits = if values.iter().any(|value| value.abs() >= 10.0) {
            1
        } else {
            3
        };
        let mut row = vec![panel.arm.clone(), name.clone()];
        row.extend(values.iter().map(|value| format!("{value:.digits$}")));
        row.resize(heads.len(), "–".to_owned());
        row
    });
    let rows = rows.collect();
    (heads, rows)
}

/// Both figures for the page; empty if there are none.
pub(crate) fn html(report: &Report) -> String {
    let mut text = String::new();
    let mut figure = |svg: String, caption: String| {
        text.push_str(&format!(
            "<figure class=\"wide\"><div class=\"scroll\">{svg}</div>\n<figcaption>{caption}</figcaption></figure>\n"
        ));
    };
    if let Some((svg, width, height)) = sheet(&report.layers) {
        figure(svg.inline(width, height, LABEL), emphasized(CAPTION));
    }
    if let Some((svg, width, height, said)) = &report.paths {
        let caption = format!("<q>{}</q>: {}", escape(said), emphasized(PATHS_CAPTION));
        figure(svg.inline(*width, *height, PATHS_LABEL), caption);
    }
    let (heads, rows) = table_of(&report.layers);
    if !rows.is_empty() {
        let cells = |tag: &str, row: &[String]| -> String {
            row.iter()
                .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
                .collect()
        };
        let head = format!("<tr>{}</tr>", cells("th", &heads));
        let rows: String = rows
            .iter()
            .map(|row| format!("<tr>{}</tr>\n", cells("td", row)))
            .collect();
        text.push_str(&table(&head, &rows));
        text.push_str(&format!("<p class=\"fine\">{}</p>\n", emphasized(TABLE_CAPTION)));
    }
    text
}
