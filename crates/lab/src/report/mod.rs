//! The report of a setting: what is claimed, what the runs say, and how to make them again.
//!
//! Made from a [`Plan`] and the run directories alone; no model is built for it. The Markdown is meant to be
//! committed, so that a changed number is a difference under review; the page is meant to be read.

mod ablation;
mod alignment;
mod axis;
mod contrast;
mod curves;
mod evidence;
mod examples;
mod facts;
mod html;
mod intervals;
mod layers;
mod level_lines;
mod markdown;
mod measures;
mod page;
mod paths;
mod rates;
mod resample;
mod results;
mod spectrogram;
mod svg;
mod table;
mod verdict;
mod verify;

use std::path::{Path, PathBuf};

pub use alignment::{Alignment, TimedWord};
pub use contrast::across_settings;
pub use paths::{LayerPaths, Level};
pub use verify::{Check, verify};

use crate::files::write_atomic;
use crate::{Error, Plan, Result, Scale};
use evidence::Evidence;
use facts::Facts;
use measures::Measures;
use table::Table;
use verdict::Judged;

/// Everything a report says, before it is typeset.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    evidence: Evidence,
    judged: Vec<Judged>,
    ablations: Vec<ablation::Group>,
    /// The main arms.
    table: Table,
    measures: Measures,
    facts: Facts,
    figures: Vec<alignment::Figure>,
    panels: Vec<curves::Panel>,
    layers: Vec<layers::Panel>,
    /// A figure, its size, and what was said in it.
    paths: Option<(svg::Svg, f64, f64, String)>,
    examples: Vec<examples::Example>,
}

/// Where a report was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page, beside the runs.
    pub html: PathBuf,
    /// The Markdown; for the smoke scale beside the runs too, as there is nothing to conclude from it.
    pub markdown: PathBuf,
}

impl Report {
    /// Reads the runs of a plan's setting and judges its claims by them.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] for a run that cannot be read, [`Error::NotComparable`] for runs that were scored on
    /// different utterances. Runs that are missing are no error; the report shows them as missing.
    pub fn collect(plan: &Plan, runs: &Path) -> Result<Self> {
        let evidence = Evidence::read(plan, runs)?;
        let judged = verdict::judge(plan, &evidence)?;
        // The arm the claims are about, else the last that was run.
        let subject = judged
            .iter()
            .map(|judged| judged.claim.better.as_str())
            .find(|arm| !evidence.done(arm).is_empty());
        let last = evidence
            .arms
            .iter()
            .rev()
            .find(|arm| !arm.done.is_empty())
            .map(|arm| arm.name.as_str());
        let examples = subject
            .or(last)
            .map_or_else(Vec::new, |arm| examples::worst(&evidence, arm, 10));
        Ok(Self {
            table: Table::of(&evidence)?,
            measures: Measures::of(&evidence),
            ablations: ablation::groups(plan, &evidence)?,
            facts: Facts::of(plan, &evidence),
            figures: alignment::figures(&evidence)?,
            panels: curves::panels(&evidence),
            layers: layers::panels(&evidence),
            paths: paths::sheet(&evidence)?,
            judged,
            examples,
            plan: plan.clone(),
            evidence,
        })
    }

    /// The report as Markdown. Refers to the figures by the names [`Report::write`] gives them.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// The report as one page that needs nothing else.
    pub fn html(&self) -> String {
        page::write(self)
    }

    /// The table of error rates as comma-separated values: all digits, for programs.
    pub fn csv(&self) -> String {
        self.table.csv()
    }

    /// The table of word error rates for a terminal.
    pub fn terminal_table(&self) -> String {
        self.table.terminal()
    }

    /// The ablations for a terminal; empty if none has two arms that were run.
    pub fn terminal_ablations(&self) -> String {
        ablation::lines(&self.ablations)
    }

    /// What the file of all results says of this setting, as Markdown; `None` where there is nothing to conclude from: no
    /// run is complete, or the scale is smoke.
    pub fn results(&self) -> Option<String> {
        let concluded = self.plan.setting.scale > Scale::Smoke && !self.facts.runs.is_empty();
        concluded.then(|| results::write(self))
    }

    /// Writes the page to `runs/<paper>/<setting>/` and the Markdown with its figures to
    /// `reports/<paper>/<setting>/`, for the smoke scale beside the page.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn write(&self, runs: &Path, reports: &Path) -> Result<Written> {
        let place = Path::new(&self.plan.reference.key).join(self.plan.setting.name());
        let beside_runs = runs.join(&place);
        let folder = markdown_folder(&self.plan, runs, reports);
        for dir in [&beside_runs, &folder] {
            std::fs::create_dir_all(dir).map_err(Error::io("cannot create", dir))?;
        }
        let written = Written {
            html: beside_runs.join("report.html"),
            markdown: folder.join("README.md"),
        };
        for (name, content) in self.files() {
            let path = folder.join(name);
            match content {
                Some(content) => write_atomic(&path, content.as_bytes())?,
                // A figure of an earlier report that has no ground any more.
                None if path.exists() => {
                    std::fs::remove_file(&path).map_err(Error::io("cannot remove", &path))?
                }
                None => {}
            }
        }
        write_atomic(&written.html, self.html().as_bytes())?;
        Ok(written)
    }

    /// The committed files by name; `None` for a figure there is nothing to draw for.
    fn files(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("README.md", Some(self.markdown())),
            ("table.csv", Some(self.csv())),
            ("rates.svg", self.rates_svg()),
            ("curves.svg", curves::sheet(&self.panels)),
            ("alignment.svg", self.alignment_svg()),
            ("layers.svg", self.layers_svg()),
            ("paths.svg", self.paths_svg()),
            (
                "references.bib",
                Some(format!("{}\n", self.plan.reference.bibtex)),
            ),
        ]
    }

    fn rates_svg(&self) -> Option<String> {
        let figures = self.table.figures();
        if figures.is_empty() {
            return None;
        }
        let mut sheet = svg::Svg::default();
        let height = figures.iter().map(|(_, height)| *height).fold(0.0, f64::max);
        for (index, (figure, _)) in figures.iter().enumerate() {
            sheet.place(
                (index % 2) as f64 * intervals::WIDTH,
                (index / 2) as f64 * height,
                figure,
            );
        }
        let columns = figures.len().min(2) as f64;
        let rows = figures.len().div_ceil(2) as f64;
        Some(sheet.standalone(
            columns * intervals::WIDTH,
            rows * height,
            "word error rates with 95 % intervals",
        ))
    }

    fn layers_svg(&self) -> Option<String> {
        let (figure, width, height) = layers::sheet(&self.layers)?;
        Some(figure.standalone(width, height, layers::LABEL))
    }

    fn paths_svg(&self) -> Option<String> {
        let (figure, width, height, _) = self.paths.as_ref()?;
        Some(figure.standalone(*width, *height, layers::PATHS_LABEL))
    }

    fn alignment_svg(&self) -> Option<String> {
        let figure = self.figures.first()?;
        Some(figure.svg.standalone(
            alignment::WIDTH,
            figure.height,
            "alignment posteriors under the spectrogram",
        ))
    }
}

/// Where the Markdown of a plan's setting goes.
fn markdown_folder(plan: &Plan, runs: &Path, reports: &Path) -> PathBuf {
    let base = if plan.setting.scale == Scale::Smoke {
        runs
    } else {
        reports
    };
    base.join(&plan.reference.key).join(plan.setting.name())
}
