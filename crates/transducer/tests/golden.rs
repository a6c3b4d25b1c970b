//! The losses against torchaudio and torch, from `golden/*.safetensors`, which `golden/make.py` made.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use common::values;
use safetensors::SafeTensors;
use sandhi_core::{Labels, Lengths, Padded};
use sandhi_transducer::{Scoring, arc_scores, ctc_loss, transducer_loss};
use serde::Deserialize;

/// Differences allowed: of a loss, relative to it, and of a component of the gradient.
struct Allowed {
    loss: f64,
    gradient: f64,
}

/// torchaudio computes in f32.
const TORCHAUDIO: Allowed = Allowed {
    loss: 1e-5,
    gradient: 1e-5,
};
/// torch's CTC was run in f64, and so is ours here.
const TORCH: Allowed = Allowed {
    loss: 1e-12,
    gradient: 1e-11,
};

/// What a case was computed with.
#[derive(Deserialize)]
struct Settings {
    blank: u32,
    /// The largest component the gradient may have; negative: any.
    clamp: f64,
    frames: Vec<usize>,
    labels: Vec<usize>,
}

struct Case {
    name: String,
    settings: Settings,
    logits: Var,
    labels: Labels,
    loss: Vec<f64>,
    gradient: Vec<f64>,
}

impl Case {
    fn new(name: String, settings: Settings, tensors: &HashMap<String, Tensor>) -> Self {
        let tensor = |part: &str| &tensors[&format!("{name}.{part}")];
        let targets = values(tensor("targets"));
        let row = |(b, &n): (usize, &usize)| {
            let columns = targets.len() / settings.labels.len();
            targets[b * columns..][..n].iter().map(|&x| x as u32).collect()
        };
        let rows = settings.labels.iter().enumerate().map(row).collect();
        Self {
            logits: Var::from_tensor(tensor("logits")).unwrap(),
            labels: Labels::new(rows, settings.blank).unwrap(),
            loss: values(tensor("loss")),
            gradient: values(tensor("gradient")),
            name,
            settings,
        }
    }

    fn frames(&self) -> Lengths {
        Lengths::new(self.settings.frames.clone())
    }

    /// Compares a loss, and the gradient of its sum.
    fn check(&self, loss: &Tensor, allowed: &Allowed) {
        let name = &self.name;
        let worst = values(loss)
            .iter()
            .zip(&self.loss)
            .map(|(got, expected)| (got - expected).abs() / expected.abs())
            .fold(0.0, f64::max);
        let gradients = loss.sum_all().unwrap().backward().unwrap();
        let got = values(gradients.get(&self.logits).unwrap());
        assert_eq!(got.len(), self.gradient.len(), "{name}");
        let gradient = got
            .iter()
            .zip(&self.gradient)
            .map(|(got, expected)| (got - expected).abs())
            .fold(0.0, f64::max);
        println!("{name}: loss differs by {worst:.1e} of it, gradient by {gradient:.1e}");
        assert!(worst <= allowed.loss, "{name}: loss differs by {worst:.1e} of it");
        assert!(
            gradient <= allowed.gradient,
            "{name}: gradient differs by {gradient:.1e}"
        );
    }
}

fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    let bytes = std::fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let settings = &metadata.metadata().as_ref().unwrap()["settings"];
    let settings: BTreeMap<String, Settings> = serde_json::from_str(settings).unwrap();
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    settings
        .into_iter()
        .map(|(name, settings)| Case::new(name, settings, &tensors))
        .collect()
}

#[test]
fn transducer_loss_equals_torchaudio() {
    let cases = cases("rnnt.safetensors");
    assert_eq!(cases.len(), 12);
    for case in cases {
        let logits = case.logits.as_tensor();
        // torchaudio clamps where the limit is positive.
        let scoring = Scoring {
            gradient_clamp: Some(case.settings.clamp).filter(|clamp| *clamp > 0.0),
            ..Scoring::default()
        };
        let arcs = arc_scores(logits, &case.labels, &case.frames(), scoring).unwrap();
        case.check(&transducer_loss(&arcs).unwrap(), &TORCHAUDIO);
    }
}

#[test]
fn ctc_loss_equals_torch() {
    let cases = cases("ctc.safetensors");
    assert_eq!(cases.len(), 7);
    for case in cases {
        let logits = Padded::new(case.logits.as_tensor().clone(), case.frames()).unwrap();
        case.check(&ctc_loss(&logits, &case.labels).unwrap(), &TORCH);
    }
}
