//! The training objective: (E1) + λ_match (E2) + λ_text (E3).

use sandhi_align::{BestAlignment, Moves, Upsampled};
use sandhi_core::{ArcScores, Consistency, Labels, Ledger, Padded, Pair, Result};
use sandhi_model::JointModel;
use sandhi_nn::Mode;
use sandhi_text::repeat;
use sandhi_transducer::{Alignment, ExpectedCost, Normalize, SoftCost, joiner_arc_scores, transducer_loss};

use crate::config::{Config, Matching, Placement};

/// What one step trains on.
pub(crate) struct Batch {
    /// Paired speech, `[B, T0, F]`.
    pub(crate) features: Padded,
    /// Its transcripts.
    pub(crate) transcript: Labels,
    /// Unpaired text: the labels to predict, and the masked labels the text encoder sees.
    pub(crate) text: Option<(Labels, Labels)>,
}

/// The consistency loss of an arm.
pub(crate) fn consistency(config: &Config) -> Option<Box<dyn Consistency + Send + Sync>> {
    let distance = config.metric.distance();
    Some(match config.matching {
        Matching::Off => return None,
        // The text encoder has seen each label `repeat` times already, so its positions meet frames one to one.
        Matching::Upsampled => Box::new(Upsampled { distance, repeat: 1 }),
        Matching::BestAlignment => Box::new(BestAlignment {
            distance,
            moves: Moves::EveryLabel,
        }),
        Matching::Learned => Box::new(ExpectedCost {
            distance,
            alignment: Alignment::Learned,
        }),
        Matching::Held => Box::new(ExpectedCost {
            distance,
            alignment: Alignment::Held,
        }),
        Matching::Soft => Box::new(SoftCost {
            distance,
            alignment: Alignment::Learned,
        }),
    })
}

/// The transducer lattice of encoded frames and labels, straight from the joiner's projections.
pub(crate) fn lattice(model: &JointModel, shared: &Padded, labels: &Labels, mode: Mode) -> Result<ArcScores> {
    let joint = model.join(shared, labels, mode)?;
    let frames = shared.lengths();
    joiner_arc_scores(
        &joint.speech,
        &joint.predicted,
        &joint.weight,
        &joint.bias,
        labels,
        frames,
        Normalize::Softmax,
    )
}

/// Labels as the text encoder sees them: each one `times` over.
fn upsampled(labels: &Labels, times: usize) -> Result<Labels> {
    Labels::new(
        labels.rows().iter().map(|row| repeat(row, times)).collect(),
        labels.blank(),
    )
}

/// L = L_rnnt(speech) + λ_match L_c(speech, text) / U + λ_text L_rnnt(text).
pub(crate) fn objective(
    config: &Config,
    matching: Option<&dyn Consistency>,
    model: &JointModel,
    batch: &Batch,
    mode: Mode,
    step: u64,
) -> Result<Ledger> {
    let mut loss = Ledger::default();

    // (E1) Paired speech: the transducer lattice over (frame, label).
    let speech = model.encode_speech(&batch.features, mode)?; // [B, T, D]
    let shared = model.share(&speech, mode)?; // [B, T, D]
    let arcs = lattice(model, &shared, &batch.transcript, mode)?;
    loss.add("rnnt/speech", 1.0, transducer_loss(&arcs)?)?;

    // (E2) Paired text, matched under the alignments the lattice already holds, per label.
    if let Some(matching) = matching {
        let text = model.encode_text(&upsampled(&batch.transcript, config.repeat)?, mode)?; // [B, U·repeat, D]
        let sides = match config.placement {
            Placement::Encoders => (speech, text),
            Placement::Shared => (shared, model.share(&text, mode)?),
        };
        let cost = matching.loss(Pair {
            speech: &sides.0,
            text: &sides.1,
            arcs: &arcs,
        })?;
        let labels = batch
            .transcript
            .lengths()
            .as_slice()
            .iter()
            .map(|&n| n.max(1) as f32);
        let labels = candle_core::Tensor::from_iter(labels, cost.device())?;
        let ramp = (step as f64 / config.match_warmup.max(1) as f64).min(1.0);
        loss.add("consistency", config.lambda_match * ramp, (cost / labels)?)?;
    }

    // (E3) Unpaired text: the masked text takes the place of speech.
    if let Some((text, masked)) = &batch.text {
        let encoded = model.encode_text(&upsampled(masked, config.repeat)?, mode)?; // [B, U·repeat, D]
        let arcs = lattice(model, &model.share(&encoded, mode)?, text, mode)?;
        loss.add("rnnt/text", config.lambda_text, transducer_loss(&arcs)?)?;
    }
    Ok(loss)
}
