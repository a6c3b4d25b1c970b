//! Greedy decoding.

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use sandhi_core::{Padded, Result};
use sandhi_nn::{Linear, Lstm};

use crate::JointModel;

/// One utterance's labels, and the frame that emitted each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hypothesis {
    /// Label ids.
    pub labels: Vec<u32>,
    /// The frame of each label, non-decreasing.
    pub frames: Vec<usize>,
}

/// Takes the best arc at each node: the blank moves to the next frame, a label stays on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greedy {
    /// Labels a frame may emit before it is left; without a bound an untrained model might never end.
    pub max_symbols: usize,
}

impl Greedy {
    /// Decodes a batch of shared encodings, one utterance per thread.
    ///
    /// Ties go to the lower id.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] on a wrong width.
    pub fn decode(&self, model: &JointModel, shared: &Padded) -> Result<Vec<Hypothesis>> {
        let network = Network::new(model)?;
        let projected = model
            .joiner()
            .project_speech(shared)?
            .to_dtype(DType::F32)?
            .to_vec3::<f32>()?;
        let lengths = shared.lengths().as_slice();
        Ok(projected
            .par_iter()
            .zip(lengths)
            .map(|(rows, &n)| self.decode_one(&network, &rows[..n]))
            .collect())
    }

    fn decode_one(&self, network: &Network, frames: &[Vec<f32>]) -> Hypothesis {
        let mut hypothesis = Hypothesis::default();
        let mut state = network.start();
        for (t, frame) in frames.iter().enumerate() {
            for _ in 0..self.max_symbols {
                let label = network.best(frame, &state);
                if label == network.blank {
                    break;
                }
                hypothesis.labels.push(label);
                hypothesis.frames.push(t);
                network.advance(&mut state, label);
            }
        }
        hypothesis
    }
}

/// An affine map on the host, one vector at a time.
struct Affine {
    weight: Vec<Vec<f32>>,
    bias: Vec<f32>,
}

impl Affine {
    fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let weight = weight.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        let bias = match bias {
            Some(bias) => bias.to_dtype(DType::F32)?.to_vec1()?,
            None => vec![0.0; weight.len()],
        };
        Ok(Self { weight, bias })
    }

    fn of(linear: &Linear) -> Result<Self> {
        Self::new(linear.weight(), Some(linear.bias()))
    }

    fn row(&self, i: usize, x: &[f32]) -> f32 {
        let mut lanes = [0f32; 8];
        let (xs, ws) = (x.chunks_exact(8), self.weight[i].chunks_exact(8));
        let rest: f32 = xs
            .remainder()
            .iter()
            .zip(ws.remainder())
            .map(|(a, b)| a * b)
            .sum();
        for (x, w) in xs.zip(ws) {
            for k in 0..8 {
                lanes[k] += x[k] * w[k];
            }
        }
        lanes.iter().sum::<f32>() + rest + self.bias[i]
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        (0..self.weight.len()).map(|i| self.row(i, x)).collect()
    }
}

/// Predictor and joiner as host arrays: a decoder takes one small step at a time, and a graph would cost more than it.
struct Network {
    embedding: Vec<Vec<f32>>,
    layers: Vec<(Affine, Affine)>,
    predicted: Affine,
    output: Affine,
    start: u32,
    blank: u32,
}

/// The predictor's memory, and its output projected for the joiner.
struct State {
    /// (h, c) of each layer.
    memory: Vec<(Vec<f32>, Vec<f32>)>,
    predicted: Vec<f32>,
}

impl Network {
    fn new(model: &JointModel) -> Result<Self> {
        let predictor = model.predictor();
        let layer = |l: &Lstm| Ok((Affine::of(l.input())?, Affine::new(l.recurrent(), None)?));
        Ok(Self {
            embedding: predictor.embedding().table().to_dtype(DType::F32)?.to_vec2()?,
            layers: predictor.layers().iter().map(layer).collect::<Result<_>>()?,
            predicted: Affine::of(model.joiner().predicted())?,
            output: Affine::of(model.joiner().output())?,
            start: predictor.start(),
            blank: model.blank(),
        })
    }

    fn start(&self) -> State {
        let zeros = |(_, r): &(Affine, Affine)| (vec![0.0; r.bias.len() / 4], vec![0.0; r.bias.len() / 4]);
        let mut state = State {
            memory: self.layers.iter().map(zeros).collect(),
            predicted: vec![],
        };
        self.advance(&mut state, self.start);
        state
    }

    fn advance(&self, state: &mut State, label: u32) {
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let mut x = self.embedding[label as usize].clone();
        for ((input, recurrent), (h, c)) in self.layers.iter().zip(&mut state.memory) {
            let (a, r, n) = (input.apply(&x), recurrent.apply(h), h.len());
            for k in 0..n {
                let gate = |part: usize| a[part * n + k] + r[part * n + k];
                c[k] = sigmoid(gate(1)) * c[k] + sigmoid(gate(0)) * gate(2).tanh();
                h[k] = sigmoid(gate(3)) * c[k].tanh();
            }
            x.clone_from(h);
        }
        state.predicted = self.predicted.apply(&x);
    }

    fn best(&self, frame: &[f32], state: &State) -> u32 {
        let hidden: Vec<f32> = frame
            .iter()
            .zip(&state.predicted)
            .map(|(a, b)| (a + b).tanh())
            .collect();
        let mut best = (0, f32::NEG_INFINITY);
        for i in 0..self.output.bias.len() {
            let score = self.output.row(i, &hidden);
            if score > best.1 {
                best = (i as u32, score);
            }
        }
        best.0
    }
}
