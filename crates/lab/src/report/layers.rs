use std::collections::BTreeSet;

use crate::report::Report;
use crate::report::evidence::{ArmEvidence, Evidence, RunEvidence};
use crate::report::html::{emphasized, table};
use crate::report::level_lines::{Chart, Line, sheet_of};
use crate::report::svg::{Svg, escape};

/// What the figure of levels shows, for readers who do not see it.
pub(crate) const LABEL: &str = "distance of speech and text at every level";
/// What the figure of paths shows.
pub(crate) const PATHS_LABEL: &str = "best alignments over the distances of speech and text";
/// Under the figure of levels.
pub(crate) const CAPTION: &str = "How far a label is from its frame, in the mean over dev, along the best alignment, an even pace \
                                  (framewise: each label in the middle of its share), a random alignment, and where it was spoken (gold). First at every level, thin lines \
                                  the best alignment at earlier validations; then at the last level over the training. Gold is of the \
                                  utterances whose words have times.";
/// Under the table.
const TABLE_CAPTION: &str = "Distances as in the figure. *error ms*: by how much the best alignment misses the times at which labels were \
                             spoken, where that is known. Rows in %: how often a linear probe, fitted to the training speech, tells voice or language from \
                             the mean of an utterance of dev. Means over seeds: distances at the last validation, probes with the weights that \
                             are judged.";
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

/// The distances of one arm, in the mean over its seeds.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) arm: String,
    /// For each alignment its colour and the mean at each level, at the last validation.
    last: Vec<(&'static str, usize, Vec<f64>)>,
    /// The best alignment's at each earlier validation.
    earlier: Vec<Vec<f64>>,
    /// For each alignment the mean at the last level at each validation.
    over_training: Vec<Line>,
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
    let steps = steps(arm.done.first()?);
    let validations = |name| -> Vec<(f64, f64)> {
        let known = |value: &f64| value.is_finite();
        let last =
            |(back, &step): (usize, &f64)| Some((step, of(name, back)?.last().copied().filter(known)?));
        steps.iter().rev().enumerate().filter_map(last).collect()
    };
    let over_training = ALIGNMENTS.iter().map(|&(name, colour)| Line {
        name,
        colour,
        points: validations(name),
    });
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
        over_training: over_training.filter(|line| line.points.len() > 1).collect(),
        last,
        earlier,
    })
}

/// When a run was validated.
fn steps(run: &RunEvidence) -> Vec<f64> {
    let logged = run.metrics.iter().filter(|metric| metric.phase == PHASES[0]);
    logged.map(|metric| metric.step as f64).collect()
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

/// At each level, `back` validations before the last; `None` where no run has it, and no number where one of those that have it
/// has none.
fn mean_over_runs(runs: &[RunEvidence], phase: &str, name: &str, back: usize) -> Option<Vec<f64>> {
    let found: Vec<Vec<f64>> = runs
        .iter()
        .filter_map(|run| levels(run, phase, name, back))
        .collect();
    let levels = found.iter().map(Vec::len).max()?;
    let value = |run: &Vec<f64>, level: usize| run.get(level).copied().unwrap_or(f64::NAN);
    let mean = |level| found.iter().map(|run| value(run, level)).sum::<f64>() / found.len() as f64;
    Some((0..levels).map(mean).collect())
}

fn levels(run: &RunEvidence, phase: &str, wanted: &str, back: usize) -> Option<Vec<f64>> {
    let logged = run.metrics.iter().rev().filter(|metric| metric.phase == phase);
    let values = &logged.into_iter().nth(back)?.values;
    let mut by_level = Vec::new();
    for (name, value) in values {
        if let Some((kind, level)) = name.split_once('/')
            && let Ok(level) = level.parse::<usize>()
            && kind == wanted
        {
            by_level.resize(by_level.len().max(level + 1), f64::NAN);
            by_level[level] = value.unwrap_or(f64::NAN);
        }
    }
    (!by_level.is_empty()).then_some(by_level)
}

impl Panel {
    fn over_levels(&self) -> Chart {
        let points = |values: &Vec<f64>| -> Vec<(f64, f64)> {
            let each = values.iter().enumerate();
            let known = each.filter(|(_, value)| value.is_finite());
            known.map(|(level, &value)| (level as f64, value)).collect()
        };
        let levels = self.last.iter().map(|(_, _, values)| values.len());
        let ticks = (0..levels.max().unwrap_or(0)).map(|level| level as f64);
        let lines = self.last.iter();
        Chart {
            title: self.arm.clone(),
            x_label: "level (0: before the shared encoder)",
            x_ticks: Some(ticks.collect()),
            thin: self.earlier.iter().map(points).collect(),
            lines: lines
                .map(|&(name, colour, ref values)| Line {
                    name,
                    colour,
                    points: points(values),
                })
                .collect(),
        }
    }

    fn over_training(&self) -> Chart {
        Chart {
            title: format!("{}, last level", self.arm),
            x_label: "optimizer step",
            x_ticks: None,
            thin: Vec::new(),
            lines: self.over_training.clone(),
        }
    }
}

/// All panels on the same scale, over the levels and then over the training; `None` if there are none.
pub(crate) fn sheet(panels: &[Panel]) -> Option<(Svg, f64, f64)> {
    let rows = [
        panels.iter().map(Panel::over_levels).collect(),
        panels.iter().map(Panel::over_training).collect(),
    ];
    sheet_of(&rows)
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
        row.extend(values.iter().map(|value| match value.is_finite() {
            true => format!("{value:.digits$}"),
            false => "–".to_owned(),
        }));
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
