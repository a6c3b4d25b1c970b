//! Decoding against the tensor path, its bound, and what the parts of the model have to do with one another.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, IndexOp, Tensor};
use sandhi_conformer::ConformerConfig;
use sandhi_core::{Labels, Lengths, Padded, Result};
use sandhi_model::{JointConfig, JointModel};
use sandhi_nn::{AttentionContext, Mode, Params};
use sandhi_testkit::{Tolerance, assert_close, uniform};
use sandhi_transducer::{Beam, Emission, Greedy, Hypothesis, Normalize, joiner_arc_scores, transducer_loss};

const VOCABULARY: usize = 7;

fn config() -> JointConfig {
    let block = ConformerConfig {
        dim: 8,
        heads: 2,
        kernel: 3,
        feed_forward: 16,
        dropout: 0.1,
        recompute: false,
        context: AttentionContext::Full,
    };
    JointConfig {
        num_bins: 11,
        channels: 3,
        block,
        speech_blocks: 1,
        shared_blocks: 1,
        text_blocks: 1,
        predictor_dim: 6,
        predictor_layers: 2,
        joiner_dim: 5,
    }
}

fn model(seed: u64, dtype: DType) -> Result<(Params, JointModel)> {
    let params = Params::seeded(seed, dtype, &Device::Cpu);
    let model = JointModel::new(&config(), VOCABULARY, 0, &params)?;
    Ok((params, model))
}

fn encoded(model: &JointModel, seed: u64, dtype: DType, lengths: &[usize]) -> Result<Padded> {
    let extent = lengths.iter().copied().max().unwrap_or(0);
    let x = uniform(seed, &[lengths.len(), extent, 11], -3.0, 3.0)?.to_dtype(dtype)?;
    let features = Padded::new(x, Lengths::new(lengths.to_vec()))?;
    model.share(&model.encode_speech(&features, Mode::Eval)?, Mode::Eval)
}

fn greedy(model: &JointModel, shared: &Padded, most: usize) -> Result<Vec<Hypothesis>> {
    let greedy = Greedy {
        emission: Emission::UpTo(most),
        ..Greedy::default()
    };
    greedy.decode(&model.decoder().steps(shared)?)
}

/// The same search by the training path: the logits of the labels so far, recomputed from the start at every node.
fn by_logits(model: &JointModel, shared: &Padded, max_symbols: usize) -> Result<Hypothesis> {
    let mut hypothesis = Hypothesis::default();
    for t in 0..shared.lengths().get(0) {
        for _ in 0..max_symbols {
            let labels = Labels::new(vec![hypothesis.labels.clone()], 0)?;
            let logits = model.decoder().join(shared, &labels, Mode::Eval)?.logits()?;
            let row: Vec<f32> = logits.i((0, t, hypothesis.labels.len()))?.to_vec1()?;
            let best = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            if best == 0 {
                break;
            }
            hypothesis.labels.push(best as u32);
            hypothesis.frames.push(t);
        }
    }
    Ok(hypothesis)
}

#[test]
fn greedy_equals_the_search_by_logits() -> Result<()> {
    let mut emitted = 0;
    for seed in 0..12 {
        let (_, model) = model(seed, DType::F32)?;
        let shared = encoded(&model, seed, DType::F32, &[40])?;
        let got = greedy(&model, &shared, 2)?;
        assert_eq!(got[0], by_logits(&model, &shared, 2)?, "seed {seed}");
        emitted += got[0].labels.len();
    }
    assert!(
        emitted > 10,
        "the comparison says little: {emitted} labels in all"
    );
    Ok(())
}

#[test]
fn beam_scores_equal_the_loss_of_the_training_path() -> Result<()> {
    let (_, model) = model(2, DType::F32)?;
    let shared = encoded(&model, 4, DType::F32, &[11, 15])?;
    assert_eq!(shared.lengths().as_slice(), [2, 3]);
    let beam = Beam {
        width: 100_000,
        emission: Emission::UpTo(2),
        ..Beam::default()
    };
    for (b, candidates) in beam.decode(&model.decoder().steps(&shared)?)?.iter().enumerate() {
        let n = shared.lengths().get(b);
        // Every sequence of up to 2 labels a frame is there; with 2 labels in all the bound denies the loss no path.
        assert_eq!(
            candidates.len(),
            (0..=2 * n as u32).map(|u| 6usize.pow(u)).sum::<usize>()
        );
        let values = shared.values().narrow(0, b, 1)?.narrow(1, 0, n)?.contiguous()?;
        let alone = Padded::new(values, Lengths::new(vec![n]))?;
        for candidate in candidates.iter().filter(|c| c.hypothesis.labels.len() <= 2) {
            let labels = Labels::new(vec![candidate.hypothesis.labels.clone()], 0)?;
            let inputs = model.decoder().join(&alone, &labels, Mode::Eval)?;
            let arcs = joiner_arc_scores(
                &inputs.speech,
                &inputs.predicted,
                &inputs.weight,
                &inputs.bias,
                &labels,
                alone.lengths(),
                Normalize::Softmax,
            )?;
            let loss = f64::from(transducer_loss(&arcs)?.to_vec1::<f32>()?[0]);
            assert!((candidate.log_p + loss).abs() < 1e-4, "{candidate:?}: {loss}");
        }
    }
    Ok(())
}

#[test]
fn greedy_emits_at_most_its_bound_per_frame_and_treats_a_batch_as_singles() -> Result<()> {
    let (params, model) = model(3, DType::F32)?;
    // A bias that never lets the blank win: without a bound this would not end.
    let (_, bias) = params
        .vars()
        .into_iter()
        .find(|(name, _)| name == "joiner.output.bias")
        .unwrap();
    bias.set(&Tensor::new(
        &[-50f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        &Device::Cpu,
    )?)?;
    let shared = encoded(&model, 9, DType::F32, &[40, 7, 21])?;
    let batch = greedy(&model, &shared, 3)?;
    for (b, hypothesis) in batch.iter().enumerate() {
        let n = shared.lengths().get(b);
        assert_eq!(hypothesis.labels.len(), 3 * n);
        assert!(hypothesis.frames.windows(2).all(|w| w[0] <= w[1]));
        let values = shared.values().narrow(0, b, 1)?.narrow(1, 0, n)?.contiguous()?;
        let alone = Padded::new(values, Lengths::new(vec![n]))?;
        assert_eq!(&greedy(&model, &alone, 3)?[0], hypothesis);
    }
    Ok(())
}

#[test]
fn joint_model_batch_equals_singles_on_both_sides() -> Result<()> {
    let (_, model) = model(5, DType::F64)?;
    let rows = vec![vec![1u32, 2, 3, 4], vec![5], vec![6, 6]];
    let labels = Labels::new(rows.clone(), 0)?;
    let text = model.share(&model.encode_text(&labels, Mode::Eval)?, Mode::Eval)?;
    let logits = model.decoder().join(&text, &labels, Mode::Eval)?.logits()?;
    for (b, row) in rows.iter().enumerate() {
        let single = Labels::new(vec![row.clone()], 0)?;
        let alone = model.share(&model.encode_text(&single, Mode::Eval)?, Mode::Eval)?;
        let alone = model.decoder().join(&alone, &single, Mode::Eval)?.logits()?;
        let within = logits
            .narrow(0, b, 1)?
            .narrow(1, 0, row.len())?
            .narrow(2, 0, row.len() + 1)?;
        assert_close("alone", &alone, &within.contiguous()?, Tolerance::PROOF)?;
    }
    Ok(())
}

#[test]
fn ctc_logits_come_with_their_layer_and_leave_the_rest_as_it_starts() -> Result<()> {
    let (params, model) = model(7, DType::F64)?;
    let shared = encoded(&model, 1, DType::F64, &[40, 20])?;
    let error = model.ctc_logits(&shared).unwrap_err().to_string();
    assert_eq!(error, "CTC output layer: this model was built without one");

    let before: Vec<String> = params.vars().into_iter().map(|(name, _)| name).collect();
    let with = model.clone().with_ctc(&config(), &params)?;
    let logits = with.ctc_logits(&shared)?;
    let (batch, frames, _) = shared.dims();
    assert_eq!(logits.dims(), (batch, frames, VOCABULARY));
    assert_eq!(logits.lengths(), shared.lengths());
    let added: Vec<String> = params.vars().into_iter().map(|(name, _)| name).collect();
    let added: Vec<&String> = added.iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(added, ["ctc.bias", "ctc.weight"]);
    assert_eq!(greedy(&with, &shared, 3)?, greedy(&model, &shared, 3)?);
    Ok(())
}

#[test]
fn text_encoder_leaves_the_speech_side_as_it_starts() -> Result<()> {
    let (whole, _) = model(4, DType::F32)?;
    let alone = Params::seeded(4, DType::F32, &Device::Cpu);
    let speech = JointModel::speech_only(&config(), VOCABULARY, 0, &alone)?;
    for (name, var) in alone.vars() {
        let (_, other) = whole.vars().into_iter().find(|(n, _)| *n == name).unwrap();
        assert_eq!(
            var.flatten_all()?.to_vec1::<f32>()?,
            other.flatten_all()?.to_vec1::<f32>()?,
            "{name}"
        );
    }
    let error = speech
        .encode_text(&Labels::new(vec![vec![1]], 0)?, Mode::Eval)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "text encoder: this model was built without one");
    Ok(())
}

#[test]
fn joiner_names_a_label_outside_the_vocabulary() -> Result<()> {
    let (_, model) = model(6, DType::F32)?;
    let shared = encoded(&model, 1, DType::F32, &[20])?;
    let error = model
        .decoder()
        .join(&shared, &Labels::new(vec![vec![1, 7]], 0)?, Mode::Eval)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "utterance 0, label 1: 7 is not a label (the vocabulary has 7 entries)"
    );
    Ok(())
}
