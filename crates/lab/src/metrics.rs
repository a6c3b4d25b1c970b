use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{read_if_present, write_atomic};
use crate::{Error, Result};

/// The name of the file in a run directory.
pub(crate) const FILE: &str = "metrics.jsonl";

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Optimizer step.
    pub step: u64,
    /// `train`, `dev`, or what the experiment calls it.
    pub phase: String,
    /// The values by name; one that was not finite is `None`.
    #[serde(flatten)]
    pub values: BTreeMap<String, Option<f64>>,
}

/// Reads `metrics.jsonl` of a run directory; empty if there is none. A last line cut short by a kill is dropped.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Corrupt`] with the line's number.
pub fn read_metrics(dir: &Path) -> Result<Vec<Metric>> {
    let path = dir.join(FILE);
    let Some(text) = read_if_present(&path)? else {
        return Ok(Vec::new());
    };
    whole_lines(&text)
        .enumerate()
        .map(|(index, line)| parse(line, index, &path))
        .collect()
}

/// Appends lines to `metrics.jsonl`.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    file: File,
}

impl Writer {
    /// Continues the file of a run directory, without the line a kill may have cut short.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        if let Some(text) = read_if_present(&path)?
            && !text.is_empty()
            && !text.ends_with('\n')
        {
            let end = text.rfind('\n').map_or(0, |newline| newline + 1);
            write_atomic(&path, &text.as_bytes()[..end])?;
        }
        let file = append(&path)?;
        Ok(Self { path, file })
    }

    pub(crate) fn write(&mut self, step: u64, phase: &str, values: &[(&str, f64)]) -> Result<()> {
        let mut line = format!("{{\"step\":{step},\"phase\":{}", quoted(phase));
        for (name, value) in values {
            let number = if value.is_finite() {
                value.to_string()
            } else {
                "null".to_owned()
            };
            line.push_str(&format!(",{}:{number}", quoted(name)));
        }
        line.push_str("}\n");
        // One call, so that a line is either there or not.
        self.file
            .write_all(line.as_bytes())
            .map_err(Error::io("cannot write", &self.path))
    }

    /// Drops the lines after `step`: what a run did between its last checkpoint and its end is done again.
    pub(crate) fn rewind(&mut self, step: u64) -> Result<()> {
        let Some(text) = read_if_present(&self.path)? else {
            return Ok(());
        };
        let mut kept = String::with_capacity(text.len());
        for (index, line) in whole_lines(&text).enumerate() {
            if parse(line, index, &self.path)?.step <= step {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        write_atomic(&self.path, kept.as_bytes())?;
        // The old handle still points at the file that was replaced.
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(Error::io("cannot open", path))
}

fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let end = text.rfind('\n').map_or(0, |newline| newline + 1);
    text[..end].lines()
}

fn parse(line: &str, index: usize, path: &Path) -> Result<Metric> {
    serde_json::from_str(line).map_err(|error| Error::Corrupt {
        path: path.to_owned(),
        what: format!("line {}: {error}", index + 1),
    })
}

/// A string as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(dir: &Path) -> Vec<u64> {
        read_metrics(dir)
            .unwrap()
            .iter()
            .map(|metric| metric.step)
            .collect()
    }

    #[test]
    fn metrics_survive_a_cut_line_and_rewind() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        for step in [10, 20, 30] {
            writer
                .write(step, "train", &[("loss", 1.5), ("rnnt/speech", f64::NAN)])
                .unwrap();
        }
        drop(writer);
        let mut file = append(&dir.path().join(FILE)).unwrap();
        file.write_all(b"{\"step\":40,\"pha").unwrap();
        assert_eq!(steps(dir.path()), [10, 20, 30]);

        let mut writer = Writer::open(dir.path()).unwrap();
        writer.rewind(20).unwrap();
        writer.write(25, "dev", &[("wer", 0.25)]).unwrap();
        assert_eq!(steps(dir.path()), [10, 20, 25]);

        let metrics = read_metrics(dir.path()).unwrap();
        assert_eq!(metrics[0].values["loss"], Some(1.5));
        assert_eq!(metrics[0].values["rnnt/speech"], None);
        assert_eq!(metrics[2].phase, "dev");
    }

    #[test]
    fn corrupt_metrics_name_the_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(FILE),
            "{\"step\":1,\"phase\":\"train\"}\nnot json\n",
        )
        .unwrap();
        let error = read_metrics(dir.path()).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
