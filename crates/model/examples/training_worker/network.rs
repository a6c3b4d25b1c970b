//! The model, or a piece of it, from its inputs to losses.

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor, Var};
use sandhi_core::{Labels, Padded};
use sandhi_model::{Joiner, JoinerInputs, JointModel, Predictor};
use sandhi_nn::{Mode, Params};
use sandhi_transducer::{Normalize, joiner_arc_scores, transducer_loss};

use crate::inputs::Inputs;
use crate::piece::Piece;
use crate::protocol::Found;
use crate::size::{BLANK, DROPOUT, Size};

/// Makes the losses `[B]` of its inputs.
type Losses = Box<dyn Fn(Mode) -> Result<Tensor>>;

pub(crate) struct Network {
    pub(crate) params: Params,
    /// What gradients are taken of: parameters, and inputs that come from other pieces.
    pub(crate) wanted: Vec<(String, Var)>,
    losses: Losses,
}

impl Network {
    /// With the parameters of the inputs.
    pub(crate) fn new(piece: Piece, size: &Size, inputs: &Inputs, dtype: DType) -> Result<Self> {
        let params = Params::seeded(1, dtype, &Device::Cpu);
        let (leaves, losses) = build(piece, size, inputs, &params)?;
        let mut wanted = restore(&params, inputs)?;
        wanted.extend(leaves);
        Ok(Self {
            params,
            wanted,
            losses,
        })
    }

    pub(crate) fn losses(&self, mode: Mode) -> Result<Tensor> {
        (self.losses)(mode)
    }

    /// Losses and gradients without dropout.
    pub(crate) fn found(&self) -> Result<Found> {
        let wanted = self.wanted.iter().map(|(name, var)| (name.as_str(), var));
        Found::new(self.losses(Mode::Eval)?, wanted)
    }
}

/// Name, shape and initial value of the parameters of a piece.
pub(crate) fn initial(piece: Piece, size: &Size) -> Result<Vec<(String, Vec<usize>, Tensor)>> {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let prefixes: &[&str] = match piece {
        Piece::Step | Piece::Optimizer => &[""],
        Piece::Encoder => &["speech.", "shared."],
        Piece::Predictor => &["predictor."],
        Piece::Joiner => &["joiner."],
        Piece::Data | Piece::Product => &[],
    };
    JointModel::speech_only(&size.config(), size.vocabulary, BLANK, &params)?;
    let ours = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let vars = params.vars().into_iter().filter(|(name, _)| ours(name));
    Ok(vars
        .map(|(name, var)| (name, var.dims().to_vec(), var.as_tensor().clone()))
        .collect())
}

/// Sets the parameters that the inputs have, and returns them.
pub(crate) fn restore(params: &Params, inputs: &Inputs) -> Result<Vec<(String, Var)>> {
    let vars = params.vars();
    let one = |(name, value): (&str, &Tensor)| {
        let var = vars.iter().find(|(known, _)| known == name);
        let (_, var) = var.with_context(|| format!("no parameter {name}"))?;
        var.set(&value.to_dtype(params.dtype())?)?;
        Ok((name.to_owned(), var.clone()))
    };
    inputs.of("parameter").into_iter().map(one).collect()
}

fn build(
    piece: Piece,
    size: &Size,
    inputs: &Inputs,
    params: &Params,
) -> Result<(Vec<(String, Var)>, Losses)> {
    let given = |name: &str| -> Result<Tensor> { Ok(inputs.get(name)?.to_dtype(params.dtype())?) };
    let features = || {
        Ok::<_, anyhow::Error>(Padded::new(
            given("features")?,
            inputs.lengths("feature_lengths")?,
        )?)
    };
    let model = || JointModel::speech_only(&size.config(), size.vocabulary, BLANK, params);
    let dim = size.predictor_dim;
    Ok(match piece {
        Piece::Step => {
            let (model, features, labels) = (model()?, features()?, inputs.labels()?);
            let losses = move |mode| {
                let shared = model.share(&model.encode_speech(&features, mode)?, mode)?;
                transduce(&model.decoder().join(&shared, &labels, mode)?, &labels, &shared)
            };
            (Vec::new(), Box::new(losses))
        }
        Piece::Encoder => {
            let (model, features, slope) = (model()?, features()?, given("slope")?);
            let losses = move |mode| {
                let shared = model.share(&model.encode_speech(&features, mode)?, mode)?;
                let valid = shared
                    .lengths()
                    .mask(shared.dims().1, slope.dtype(), slope.device())?;
                along(shared.values(), &slope.broadcast_mul(&valid.unsqueeze(2)?)?)
            };
            (Vec::new(), Box::new(losses))
        }
        Piece::Predictor => {
            let layers = size.predictor_layers;
            let scope = params.scope("predictor");
            let predictor = Predictor::new(size.vocabulary, BLANK, dim, layers, DROPOUT, &scope)?;
            let (labels, slope) = (inputs.labels()?, given("slope")?);
            let rows = sandhi_core::Lengths::new(labels.lengths().as_slice().iter().map(|n| n + 1).collect());
            let valid = rows.mask(size.labels + 1, slope.dtype(), slope.device())?;
            let slope = slope.broadcast_mul(&valid.unsqueeze(2)?)?;
            let losses = move |mode| along(&predictor.forward(&labels, mode)?, &slope);
            (Vec::new(), Box::new(losses))
        }
        Piece::Joiner => {
            let scope = params.scope("joiner");
            let joiner = Joiner::new(size.dim, dim, size.joiner_dim, size.vocabulary, &scope)?;
            let leaf =
                |name: &str| Ok::<_, anyhow::Error>((name.to_owned(), Var::from_tensor(&given(name)?)?));
            let leaves = vec![leaf("encoded")?, leaf("predicted")?];
            let encoded = Padded::new(
                leaves[0].1.as_tensor().clone(),
                inputs.lengths("encoded_lengths")?,
            )?;
            let (predicted, labels) = (leaves[1].1.as_tensor().clone(), inputs.labels()?);
            let losses = move |_| transduce(&joiner.join(&encoded, &predicted)?, &labels, &encoded);
            (leaves, Box::new(losses))
        }
        Piece::Optimizer | Piece::Data | Piece::Product => bail!("{piece:?} has no losses"),
    })
}

/// The RNN-T losses, as training takes them.
fn transduce(joint: &JoinerInputs, labels: &Labels, encoded: &Padded) -> Result<Tensor> {
    let JoinerInputs {
        speech,
        predicted,
        weight,
        bias,
    } = joint;
    let frames = encoded.lengths();
    let arcs = joiner_arc_scores(
        speech,
        predicted,
        weight,
        bias,
        labels,
        frames,
        Normalize::Softmax,
    )?;
    Ok(transducer_loss(&arcs)?)
}

/// Σ slope · values of each utterance: a loss whose gradient is any we like. (The sum of squares behind a layer norm has none.)
fn along(values: &Tensor, slope: &Tensor) -> Result<Tensor> {
    Ok((values * slope)?.flatten_from(1)?.sum(1)?)
}
