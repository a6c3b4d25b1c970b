//! The cascade: what its passes have to do with one another, and what a decoder knows by itself.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use sandhi_conformer::ConformerConfig;
use sandhi_core::{Labels, Lengths, Padded, Result};
use sandhi_model::{CascadeConfig, CascadeModel, Decoder, DecoderConfig};
use sandhi_nn::{AttentionContext, Mode, Params};
use sandhi_testkit::{Tolerance, assert_close, poison_padding, uniform};
use sandhi_transducer::{Greedy, Hypothesis, Normalize};

const VOCABULARY: usize = 7;
const BINS: usize = 11;

fn config(context: AttentionContext) -> CascadeConfig {
    CascadeConfig {
        num_bins: BINS,
        channels: 3,
        block: ConformerConfig {
            dim: 8,
            heads: 2,
            kernel: 3,
            feed_forward: 16,
            dropout: 0.1,
            recompute: false,
            context,
        },
        speech_blocks: 1,
        text_blocks: 1,
        streaming_blocks: 2,
        full_blocks: 1,
        predictor_dim: 6,
        predictor_layers: 2,
        joiner_dim: 5,
    }
}

const SAME: Tolerance = Tolerance { rtol: 0.0, atol: 0.0 };

const CHUNKS: AttentionContext = AttentionContext::Chunked {
    size: 3,
    left: Some(4),
    right: 0,
};

fn model(seed: u64) -> Result<(Params, CascadeModel)> {
    let params = Params::seeded(seed, DType::F32, &Device::Cpu);
    let config = config(CHUNKS);
    let model = CascadeModel::new(&config, VOCABULARY, 0, &params)?.with_text(&config, 9, &params)?;
    Ok((params, model))
}

fn features(seed: u64, lengths: &[usize]) -> Result<Padded> {
    let extent = lengths.iter().copied().max().unwrap_or(0);
    let x = uniform(seed, &[lengths.len(), extent, BINS], -3.0, 3.0)?.to_dtype(DType::F32)?;
    Padded::new(x, Lengths::new(lengths.to_vec()))
}

/// Makes the blank unlikely in the streaming decoder, so that a model that was never trained writes something.
fn talkative(params: &Params) -> Result<()> {
    let bias = "streaming-decoder.joiner.output.bias";
    let (_, bias) = params.vars().into_iter().find(|(name, _)| name == bias).unwrap();
    let quiet = (0..VOCABULARY).map(|v| if v == 0 { -1.6f32 } else { 0.0 });
    Ok(bias.set(&Tensor::from_iter(quiet, &Device::Cpu)?)?)
}

#[test]
fn cascade_streams_what_it_computes_at_once() -> Result<()> {
    let greedy = Greedy {
        normalize: Normalize::Hat,
        ..Greedy::default()
    };
    let mut written = 0;
    for (seed, frames) in [(1, 90), (2, 61), (3, 7), (4, 200), (5, 133)] {
        let (params, model) = model(seed)?;
        talkative(&params)?;
        let features = features(seed, &[frames])?;
        let level = model.streaming_level();
        let speech = model.encode_speech(&features, Mode::Eval)?;
        let levels = model.levels(&speech, usize::MAX, Mode::Eval)?;
        let decoder = model.streaming_decoder();
        let whole = greedy.decode(&decoder.steps(&levels[level])?)?.remove(0);

        for piece in [1, 10, 64] {
            let (mut stream, host, mut search) = (model.stream()?, decoder.on_host()?, greedy.stream());
            let (mut pieces, mut heard) = (vec![], Hypothesis::default());
            let mut hear = |frames: Option<Padded>| -> Result<()> {
                if let Some(frames) = frames {
                    heard = search.push(&host.steps(&frames)?)?.clone();
                    pieces.push(frames.values().clone());
                }
                Ok(())
            };
            for start in (0..frames).step_by(piece) {
                let count = piece.min(frames - start);
                let next = features.values().squeeze(0)?.narrow(0, start, count)?;
                hear(stream.push(&next)?)?;
            }
            hear(stream.finish()?)?;
            let streamed = Tensor::cat(&pieces, 1)?;
            let close = Tolerance::SINGLE;
            assert_close("streaming level", &streamed, levels[level].values(), close)?;
            assert_eq!(heard, whole, "seed {seed} in pieces of {piece}");
            let lengths = Lengths::new(vec![streamed.dims()[1]]);
            let last = model.second_pass(&Padded::new(streamed, lengths)?, Mode::Eval)?;
            assert_close("second pass", last.values(), levels[level + 1].values(), close)?;
        }
        written += whole.labels.len();
    }
    assert!(written > 5, "the comparison says little: {written} labels in all");
    Ok(())
}

#[test]
fn cascade_levels_hold_what_its_decoders_read() -> Result<()> {
    let (_, model) = model(3)?;
    let speech = model.encode_speech(&features(3, &[80, 41])?, Mode::Eval)?;
    let all = model.levels(&speech, usize::MAX, Mode::Eval)?;
    assert_eq!((all.len(), model.streaming_level()), (4, 2));
    // Fewer levels are the beginning of all of them.
    for blocks in 0..=3 {
        let some = model.levels(&speech, blocks, Mode::Eval)?;
        assert_eq!(some.len(), blocks + 1);
        for (one, other) in some.iter().zip(&all) {
            assert_close("level", one.values(), other.values(), SAME)?;
        }
    }
    let last = model.second_pass(&all[2], Mode::Eval)?;
    assert_close("last level", last.values(), all[3].values(), SAME)?;
    // Text goes through the same blocks.
    let text = model.encode_text(&Labels::new(vec![vec![8, 3, 5], vec![2]], 0)?, Mode::Eval)?;
    let text = model.levels(&text, usize::MAX, Mode::Eval)?;
    assert_eq!(text[3].lengths().as_slice(), [3, 1]);
    Ok(())
}

#[test]
fn cascade_of_a_batch_equals_its_utterances_whatever_the_padding_holds() -> Result<()> {
    let (_, model) = model(6)?;
    let lengths = [90, 41, 66];
    let all = features(6, &lengths)?;
    let levels = |features: &Padded| -> Result<Vec<Padded>> {
        let speech = model.encode_speech(features, Mode::Eval)?;
        model.levels(&speech, usize::MAX, Mode::Eval)
    };
    for poison in [f64::NAN, f64::INFINITY, 1e30] {
        let poisoned = poison_padding(all.values(), all.lengths(), poison)?;
        let together = levels(&all.with_values(poisoned)?)?;
        for (b, &frames) in lengths.iter().enumerate() {
            let own = all.values().narrow(0, b, 1)?.narrow(1, 0, frames)?.contiguous()?;
            let alone = levels(&Padded::new(own, Lengths::new(vec![frames]))?)?;
            for (one, many) in alone.iter().zip(&together) {
                let count = one.lengths().get(0);
                assert_eq!(many.lengths().get(b), count);
                let many = many.values().narrow(0, b, 1)?.narrow(1, 0, count)?;
                let one = one.values().narrow(1, 0, count)?;
                assert_close("level", &many, &one, Tolerance::SINGLE)?;
            }
        }
    }
    Ok(())
}

#[test]
fn cascade_without_chunks_or_without_text_says_so() -> Result<()> {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let full = CascadeModel::new(&config(AttentionContext::Full), VOCABULARY, 0, &params)?;
    let error = full.stream().unwrap_err().to_string();
    assert!(error.contains("stream"), "{error}");
    let error = full
        .encode_text(&Labels::new(vec![vec![1]], 0)?, Mode::Eval)
        .unwrap_err()
        .to_string();
    assert!(error.contains("without one"), "{error}");
    Ok(())
}

fn decoder_config() -> DecoderConfig {
    DecoderConfig {
        encoder_dim: 8,
        predictor_dim: 6,
        predictor_layers: 1,
        joiner_dim: 5,
        dropout: 0.0,
    }
}

fn decoder(seed: u64) -> Result<Decoder> {
    let params = Params::seeded(seed, DType::F64, &Device::Cpu);
    Decoder::new(&decoder_config(), VOCABULARY, 2, &params)
}

/// −Σ_u ln p(y_u), with the logits of a joiner that hears nothing, in plain arithmetic.
fn by_hand(decoder: &Decoder, row: &[u32]) -> Result<f64> {
    let labels = Labels::new(vec![row.to_vec()], 2)?;
    let frame = Padded::new(
        Tensor::zeros((1, 1, 8), DType::F64, &Device::Cpu)?,
        Lengths::new(vec![1]),
    )?;
    let inputs = decoder.join(&frame, &labels, Mode::Eval)?;
    let predicted: Vec<Vec<f64>> = inputs.predicted.squeeze(0)?.to_vec2()?;
    let (weight, bias): (Vec<Vec<f64>>, Vec<f64>) = (inputs.weight.to_vec2()?, inputs.bias.to_vec1()?);
    let nats = row.iter().zip(&predicted).map(|(&label, g)| {
        let logit = |v: usize| -> f64 {
            let products = weight[v].iter().zip(g).map(|(w, g)| w * g.tanh());
            products.sum::<f64>() + bias[v]
        };
        let total: f64 = (0..VOCABULARY).filter(|&v| v != 2).map(|v| logit(v).exp()).sum();
        total.ln() - logit(label as usize)
    });
    Ok(nats.sum())
}

#[test]
fn internal_language_model_is_the_chain_rule_without_blank() -> Result<()> {
    let decoder = decoder(4)?;
    let rows = [vec![1, 6, 3, 3], vec![], vec![5, 0]];
    let together = decoder.internal_lm(&Labels::new(rows.to_vec(), 2)?, Mode::Eval)?;
    for (row, got) in rows.iter().zip(together.to_vec1::<f64>()?) {
        let expected = by_hand(&decoder, row)?;
        assert!(
            (got - expected).abs() < 1e-10,
            "{row:?}: {got}, expected {expected}"
        );
    }
    // A distribution: over all sequences of two labels the probabilities add up to one.
    let pairs: Vec<Vec<u32>> = (0..VOCABULARY as u32)
        .flat_map(|a| (0..VOCABULARY as u32).map(move |b| vec![a, b]))
        .filter(|pair| !pair.contains(&2))
        .collect();
    let nats = decoder.internal_lm(&Labels::new(pairs, 2)?, Mode::Eval)?;
    let total: f64 = nats.to_vec1::<f64>()?.iter().map(|nats| (-nats).exp()).sum();
    assert!((total - 1.0).abs() < 1e-10, "{total}");
    Ok(())
}

#[test]
fn internal_language_model_gradient_equals_differences() -> Result<()> {
    let labels = Labels::new(vec![vec![1, 6, 3], vec![5]], 2)?;
    let params = Params::seeded(7, DType::F64, &Device::Cpu);
    let decoder = Decoder::new(&decoder_config(), VOCABULARY, 2, &params)?;
    let (_, table) = params
        .vars()
        .into_iter()
        .find(|(name, _)| name == "predictor.embedding.table" || name.ends_with("embedding.weight"))
        .unwrap();
    // The parameter takes each of the values that are tried; its gradient is read off the parameter.
    let loss = || decoder.internal_lm(&labels, Mode::Eval);
    let gradient = loss()?.sum_all()?.backward()?;
    let gradient: Vec<Vec<f64>> = gradient.get(&table).unwrap().to_vec2()?;
    let start: Vec<Vec<f64>> = table.to_vec2()?;
    for (row, column) in [(2, 0), (1, 3), (6, 5), (4, 1)] {
        let at = |moved: f64| -> Result<f64> {
            let mut values = start.clone();
            values[row][column] += moved;
            table.set(&Tensor::new(values, &Device::Cpu)?)?;
            Ok(loss()?.sum_all()?.to_scalar::<f64>()?)
        };
        let h = 1e-5;
        let expected = (at(h)? - at(-h)?) / (2.0 * h);
        let got = gradient[row][column];
        assert!(
            (got - expected).abs() < 1e-8,
            "({row}, {column}): {got}, expected {expected}"
        );
    }
    Ok(())
}
