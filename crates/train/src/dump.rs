//! What a training leaves to look at when it ended over values that are not finite.

use std::path::{Path, PathBuf};

use candle_core::Result as TensorResult;
use sandhi_nn::Params;
use serde::Serialize;

use crate::part::Seen;
use crate::{Error, Gradients, Result};

/// One file: the data of the step.
#[derive(Serialize)]
struct Batch<'a> {
    step: u64,
    what: &'a str,
    parts: Vec<Vec<Term<'a>>>,
}

#[derive(Serialize)]
struct Term<'a> {
    term: &'a str,
    utterances: Vec<Utterance>,
}

#[derive(Serialize)]
struct Utterance {
    name: String,
    loss: f64,
}

/// The other: the state of the network.
#[derive(Serialize)]
struct Network {
    parameters: Vec<Parameter>,
}

#[derive(Serialize)]
struct Parameter {
    name: String,
    norm: f64,
    not_finite: usize,
    /// Of the parts before the loss was not finite; missing if there was none.
    gradient_norm: Option<f64>,
    gradient_not_finite: Option<usize>,
}

/// Writes `not-finite/step-<n>/batch.toml` and `parameters.toml` into the run directory and returns the directory.
pub(crate) fn write(
    run: &Path,
    step: u64,
    what: &str,
    seen: &[Seen],
    params: &Params,
    gradients: &Gradients,
) -> Result<PathBuf> {
    let dir = run.join("not-finite").join(format!("step-{step:08}"));
    std::fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
    let parts = seen.iter().map(terms).collect();
    save(&dir.join("batch.toml"), &Batch { step, what, parts })?;
    let parameters = params.vars().into_iter().map(|(name, var)| {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        let gradient = gradients.get(&name);
        Ok(Parameter {
            norm: norm(&values),
            not_finite: not_finite(&values),
            gradient_norm: gradient.map(norm),
            gradient_not_finite: gradient.map(not_finite),
            name,
        })
    });
    let parameters = parameters.collect::<TensorResult<_>>()?;
    save(&dir.join("parameters.toml"), &Network { parameters })?;
    Ok(dir)
}

/// The variables that hold a value that is not finite.
pub(crate) fn broken(params: &Params) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, var) in params.vars() {
        if not_finite(&var.flatten_all()?.to_vec1::<f32>()?) > 0 {
            names.push(name);
        }
    }
    Ok(names)
}

/// The first few names, and how many more there are.
pub(crate) fn listed(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 6;
    let first: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn terms(seen: &Seen) -> Vec<Term<'_>> {
    let utterance = |term: &str, (row, &loss): (usize, &f64)| Utterance {
        name: seen.name(term, row),
        loss,
    };
    let terms = seen.terms.iter().map(|(term, losses)| Term {
        term,
        utterances: losses
            .iter()
            .enumerate()
            .map(|loss| utterance(term, loss))
            .collect(),
    });
    terms.collect()
}

fn norm(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|&x| f64::from(x) * f64::from(x))
        .sum::<f64>()
        .sqrt()
}

fn not_finite(values: &[f32]) -> usize {
    values.iter().filter(|value| !value.is_finite()).count()
}

fn save(path: &Path, content: &impl Serialize) -> Result<()> {
    let text = toml::to_string(content).map_err(|error| Error::corrupt(path, error.to_string()))?;
    Ok(sandhi_lab::write_atomic(path, text.as_bytes())?)
}
