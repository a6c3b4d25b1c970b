use std::fmt::Write;

use sandhi_score::{Interval, Unit};

use crate::Result;
use crate::report::evidence::Evidence;
use crate::report::intervals;
use crate::report::rates::{Rate, rate};
use crate::report::svg::{Svg, minus};

/// The error rates of all arms on all splits.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) splits: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// An arm's row.
#[derive(Debug)]
pub(crate) struct Row {
    /// Place among all arms of the plan, for its colour.
    pub(crate) index: usize,
    pub(crate) arm: String,
    pub(crate) why: String,
    /// By split, word and character rate; `None` where there is no number.
    pub(crate) cells: Vec<Option<Cell>>,
    /// Why there is none, if there is none at all.
    pub(crate) absence: Option<String>,
}

/// The rates of an arm on a split.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) word: Rate,
    pub(crate) character: Rate,
}

impl Table {
    /// The main arms that were run.
    pub(crate) fn of(evidence: &Evidence) -> Result<Self> {
        let mut rows = Vec::new();
        let arms = evidence.arms.iter().enumerate();
        for (index, arm) in arms.filter(|(_, arm)| arm.main && arm.was_run()) {
            let mut cells = Vec::new();
            for split in &evidence.splits {
                let word = rate(&arm.done, split, Unit::Word)?;
                let character = rate(&arm.done, split, Unit::Character)?;
                cells.push(
                    word.zip(character)
                        .map(|(word, character)| Cell { word, character }),
                );
            }
            let absence = arm
                .done
                .is_empty()
                .then(|| format!("missing: {}", arm.open.join("; ")));
            rows.push(Row {
                index,
                arm: arm.name.clone(),
                why: arm.why.clone(),
                cells,
                absence,
            });
        }
        Ok(Self {
            splits: evidence.splits.clone(),
            rows,
        })
    }

    /// The signatures the rates were made under, each once.
    pub(crate) fn signatures(&self) -> Vec<&str> {
        let rates = self.rows.iter().flat_map(|row| &row.cells).flatten();
        let mut signatures: Vec<&str> = rates
            .flat_map(|cell| [cell.word.signature.as_str(), cell.character.signature.as_str()])
            .collect();
        signatures.sort_unstable();
        signatures.dedup();
        signatures
    }

    /// A figure per split, with its height.
    pub(crate) fn figures(&self) -> Vec<(Svg, f64)> {
        let mut figures = Vec::new();
        for (place, split) in self.splits.iter().enumerate() {
            let rows: Vec<intervals::Row<'_>> = self
                .rows
                .iter()
                .filter_map(|row| Some((row.index, row.arm.as_str(), &row.cells[place].as_ref()?.word)))
                .collect();
            if !rows.is_empty() {
                let figure = intervals::rates(&format!("{split}, word error rate"), &rows);
                figures.push((figure, intervals::rates_height(rows.len())));
            }
        }
        figures
    }

    /// All digits, one rate per line.
    pub(crate) fn csv(&self) -> String {
        let mut csv = "arm,split,metric,percent,low,high,substitutions,deletions,insertions,hits,reference,seeds,signature\n".to_owned();
        for (row, split, cell) in self.cells() {
            for (metric, rate) in [("wer", &cell.word), ("cer", &cell.character)] {
                let edits = rate.score.edits;
                let _ = writeln!(
                    csv,
                    "{},{split},{metric},{},{},{},{},{},{},{},{},{},{}",
                    row.arm,
                    rate.score.value,
                    rate.interval.low,
                    rate.interval.high,
                    edits.substitutions,
                    edits.deletions,
                    edits.insertions,
                    edits.hits,
                    edits.reference_len,
                    rate.seeds.len(),
                    rate.signature,
                );
            }
        }
        csv
    }

    /// Word error rates in columns.
    pub(crate) fn terminal(&self) -> String {
        let name = self
            .rows
            .iter()
            .map(|row| row.arm.chars().count())
            .max()
            .unwrap_or(0)
            .max(3);
        let width = self
            .splits
            .iter()
            .map(|split| split.chars().count() + 5)
            .max()
            .unwrap_or(0)
            .max(20);
        let mut lines = format!("{:<name$}", "arm");
        for split in &self.splits {
            let _ = write!(lines, "  {:>width$}", format!("{split} WER"));
        }
        for row in &self.rows {
            let _ = write!(lines, "\n{:<name$}", row.arm);
            if let Some(absence) = &row.absence {
                let _ = write!(lines, "  {absence}");
                continue;
            }
            for cell in &row.cells {
                let text = cell
                    .as_ref()
                    .map_or_else(|| "missing".to_owned(), |cell| bracketed(&cell.word));
                let _ = write!(lines, "  {text:>width$}");
            }
        }
        lines
    }

    /// The cells there are, with their arm and split.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&Row, &str, &Cell)> {
        self.rows.iter().flat_map(|row| {
            let cells = self.splits.iter().zip(&row.cells);
            cells.filter_map(move |(split, cell)| Some((row, split.as_str(), cell.as_ref()?)))
        })
    }
}

/// A difference in points, as `+1.2 [−0.3, +2.6]`.
pub(crate) fn signed(by: f64, interval: &Interval) -> String {
    minus(&format!("{by:+.1} [{:+.1}, {:+.1}]", interval.low, interval.high))
}

/// `12.3 [11.0, 13.7]`.
pub(crate) fn bracketed(rate: &Rate) -> String {
    format!(
        "{:.1} [{:.1}, {:.1}]",
        rate.score.value, rate.interval.low, rate.interval.high
    )
}
