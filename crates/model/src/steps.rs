//! The model one step at a time, for a search.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Tensor};
use sandhi_core::{Lengths, Padded, Result, Stepwise};
use sandhi_nn::{Linear, Lstm};

use crate::Decoder;

/// A decoder as host arrays, made once for all the utterances it decodes.
#[derive(Clone)]
pub struct HostDecoder {
    network: Arc<Network>,
    decoder: Decoder,
}

impl HostDecoder {
    /// The transducer over encoded frames, as a search sees it.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] on a wrong width.
    pub fn steps(&self, encoded: &Padded) -> Result<Steps> {
        let speech = self
            .decoder
            .joiner()
            .project_speech(encoded)?
            .to_dtype(DType::F32)?;
        Ok(Steps {
            speech: speech.flatten_all()?.to_vec1()?,
            frames: encoded.lengths().clone(),
            extent: encoded.dims().1,
            network: self.network.clone(),
        })
    }
}

impl Decoder {
    /// Copies predictor and joiner to the host.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] if a weight cannot be read.
    pub fn on_host(&self) -> Result<HostDecoder> {
        Ok(HostDecoder {
            network: Arc::new(Network::new(self)?),
            decoder: self.clone(),
        })
    }

    /// The transducer over encoded frames, as a search sees it, in one go.
    ///
    /// # Errors
    ///
    /// As [`on_host`](Self::on_host) and [`HostDecoder::steps`].
    pub fn steps(&self, encoded: &Padded) -> Result<Steps> {
        self.on_host()?.steps(encoded)
    }
}

/// A batch of encoded utterances with predictor and joiner as host arrays: a search takes one small step at a time, and a
/// graph would cost more than it.
///
/// Steps are computed in f32, whatever the model's dtype; the logits of a node do not depend on the batch around it.
///
/// # Proved by
///
/// `greedy_equals_the_search_by_logits`, `beam_scores_equal_the_loss_of_the_training_path`.
pub struct Steps {
    /// Projected encoder frames, row-major `[B, T, H]`.
    speech: Vec<f32>,
    frames: Lengths,
    extent: usize,
    network: Arc<Network>,
}

impl Stepwise for Steps {
    type State = State;

    fn frames(&self) -> &Lengths {
        &self.frames
    }

    fn vocabulary(&self) -> usize {
        self.network.output.bias.len()
    }

    fn blank(&self) -> u32 {
        self.network.blank
    }

    fn start(&self) -> State {
        let zeros = |(_, r): &(Affine, Affine)| (vec![0.0; r.bias.len() / 4], vec![0.0; r.bias.len() / 4]);
        let empty = State {
            memory: self.network.layers.iter().map(zeros).collect(),
            predicted: vec![],
        };
        self.advance(&empty, self.network.start)
    }

    fn advance(&self, state: &State, label: u32) -> State {
        self.network.advance(state, label)
    }

    fn scores(&self, utterance: usize, frame: usize, state: &State, scores: &mut [f64]) {
        let width = state.predicted.len();
        let frame = &self.speech[(utterance * self.extent + frame) * width..][..width];
        let sums = frame.iter().zip(&state.predicted);
        let hidden: Vec<f32> = sums.map(|(a, b)| (a + b).tanh()).collect();
        for (i, score) in scores.iter_mut().enumerate() {
            *score = f64::from(self.network.output.row(i, &hidden));
        }
    }
}

/// The predictor's memory, and its output projected for the joiner.
#[derive(Clone)]
pub struct State {
    /// (h, c) of each layer.
    memory: Vec<(Vec<f32>, Vec<f32>)>,
    predicted: Vec<f32>,
}

/// An affine map on the host, one vector at a time.
struct Affine {
    /// Row-major, a row per output.
    weight: Vec<f32>,
    columns: usize,
    bias: Vec<f32>,
}

impl Affine {
    fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (rows, columns) = weight.dims2()?;
        let weight = weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let bias = match bias {
            Some(bias) => bias.to_dtype(DType::F32)?.to_vec1()?,
            None => vec![0.0; rows],
        };
        Ok(Self {
            weight,
            columns,
            bias,
        })
    }

    fn of(linear: &Linear) -> Result<Self> {
        Self::new(linear.weight(), Some(linear.bias()))
    }

    fn row(&self, i: usize, x: &[f32]) -> f32 {
        let weight = &self.weight[i * self.columns..][..self.columns];
        let mut lanes = [0f32; 8];
        let (xs, ws) = (x.chunks_exact(8), weight.chunks_exact(8));
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
        (0..self.bias.len()).map(|i| self.row(i, x)).collect()
    }
}

/// Predictor and output layer.
struct Network {
    embedding: Vec<Vec<f32>>,
    /// What the input map of the first layer makes of each label, once it has been asked.
    first: Vec<OnceLock<Vec<f32>>>,
    /// Input and recurrent map of each layer.
    layers: Vec<(Affine, Affine)>,
    predicted: Affine,
    output: Affine,
    start: u32,
    blank: u32,
}

impl Network {
    fn new(decoder: &Decoder) -> Result<Self> {
        let predictor = decoder.predictor();
        let layer = |l: &Lstm| Ok((Affine::of(l.input())?, Affine::new(l.recurrent(), None)?));
        let embedding = predictor.embedding().table().to_dtype(DType::F32)?;
        let embedding: Vec<Vec<f32>> = embedding.to_vec2()?;
        Ok(Self {
            first: vec![OnceLock::new(); embedding.len()],
            embedding,
            layers: predictor.layers().iter().map(layer).collect::<Result<_>>()?,
            predicted: Affine::of(decoder.joiner().predicted())?,
            output: Affine::of(decoder.joiner().output())?,
            start: predictor.start(),
            blank: decoder.blank(),
        })
    }

    fn advance(&self, state: &State, label: u32) -> State {
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let mut memory = state.memory.clone();
        let mut x = self.embedding[label as usize].clone();
        for (i, ((input, recurrent), (h, c))) in self.layers.iter().zip(&mut memory).enumerate() {
            let a = match i {
                0 => Cow::from(self.first[label as usize].get_or_init(|| input.apply(&x))),
                _ => Cow::from(input.apply(&x)),
            };
            let (r, n) = (recurrent.apply(h), h.len());
            for k in 0..n {
                let gate = |part: usize| a[part * n + k] + r[part * n + k];
                c[k] = sigmoid(gate(1)) * c[k] + sigmoid(gate(0)) * gate(2).tanh();
                h[k] = sigmoid(gate(3)) * c[k].tanh();
            }
            x.clone_from(h);
        }
        State {
            memory,
            predicted: self.predicted.apply(&x),
        }
    }
}
