//! What a frame sees, and utterances that come piece by piece.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor};
use sandhi_conformer::{Conformer, ConformerConfig, ConvSubsampling, frames_after};
use sandhi_core::{Lengths, Padded, Result};
use sandhi_nn::{AttentionContext, Mode, Params};
use sandhi_testkit::{Tolerance, assert_close, uniform};

const DIM: usize = 8;
const BLOCKS: usize = 3;
const FRAMES: usize = 23;

const fn chunks(size: usize, left: Option<usize>, right: usize) -> AttentionContext {
    AttentionContext::Chunked { size, left, right }
}

fn conformer(context: AttentionContext) -> Result<Conformer> {
    let params = Params::seeded(4, DType::F64, &Device::Cpu);
    let config = ConformerConfig {
        dim: DIM,
        heads: 2,
        kernel: 5,
        feed_forward: 16,
        dropout: 0.1,
        recompute: false,
        context,
    };
    let conformer = Conformer::new(&config, BLOCKS, &params)?;
    // Biases start at zero and scales at one, where mistakes hide.
    let moved = params.vars().into_iter().enumerate().map(|(i, (name, var))| {
        let noise = uniform(50 + i as u64, var.dims(), -0.3, 0.3)?;
        Ok((name, (var.as_tensor() + noise)?))
    });
    params.restore(&moved.collect::<Result<_>>()?)?;
    Ok(conformer)
}

fn encode(conformer: &Conformer, x: &Tensor) -> Result<Tensor> {
    let padded = Padded::new(x.unsqueeze(0)?, Lengths::new(vec![x.dims()[0]]))?;
    Ok(conformer.encode(&padded, Mode::Eval)?.values().squeeze(0)?)
}

/// The last frame that frame t sees through all blocks.
fn reach(context: AttentionContext, t: usize) -> usize {
    (0..BLOCKS).fold(t, |t, _| context.visible(t, FRAMES).end - 1)
}

#[test]
fn conformer_sees_nothing_beyond_its_context() -> Result<()> {
    let x = uniform(1, &[FRAMES, DIM], -1.0, 1.0)?;
    for context in [
        AttentionContext::CAUSAL,
        chunks(4, Some(3), 0),
        chunks(3, Some(4), 2),
    ] {
        let conformer = conformer(context)?;
        let whole = encode(&conformer, &x)?;
        for t in [0, 5, 7, 12, FRAMES - 1] {
            let seen = reach(context, t) + 1;
            // Other frames beyond what is seen, or none at all.
            let other = uniform(2, &[FRAMES - seen, DIM], -1.0, 1.0)?;
            let changed = encode(&conformer, &Tensor::cat(&[&x.narrow(0, 0, seen)?, &other], 0)?)?;
            assert_close("frame", &changed.get(t)?, &whole.get(t)?, Tolerance::PROOF)?;
            // And the last frame that is seen is seen.
            let mut values = x.flatten_all()?.to_vec1::<f64>()?;
            values[(seen - 1) * DIM] += 1.0;
            let changed = encode(
                &conformer,
                &Tensor::from_vec(values, (FRAMES, DIM), &Device::Cpu)?,
            )?;
            let difference = (changed.get(t)? - whole.get(t)?)?
                .abs()?
                .max_all()?
                .to_scalar::<f64>()?;
            assert!(
                difference > 1e-6,
                "{context:?}: frame {t} does not see frame {}",
                seen - 1
            );
        }
    }
    Ok(())
}

#[test]
fn conformer_stream_equals_the_whole_utterance() -> Result<()> {
    let x = uniform(3, &[FRAMES, DIM], -1.0, 1.0)?;
    let contexts = [
        AttentionContext::CAUSAL,
        chunks(1, Some(6), 0),
        chunks(4, Some(3), 0),
        chunks(5, None, 0),
        chunks(3, Some(0), 0),
        chunks(40, Some(8), 0),
        chunks(1, Some(2), 1),
        chunks(4, Some(3), 2),
        chunks(3, None, 5),
        chunks(2, Some(0), 40),
    ];
    for context in contexts {
        let conformer = conformer(context)?;
        let whole = encode(&conformer, &x)?;
        for pieces in [vec![FRAMES], vec![1; FRAMES], vec![2, 9, 0, 1, 7, 4]] {
            let mut stream = conformer.stream()?;
            let (mut parts, mut start) = (vec![], 0);
            for n in pieces {
                parts.extend(stream.push(&x.narrow(0, start, n)?)?);
                start += n;
            }
            parts.extend(stream.finish()?);
            assert_close("stream", &Tensor::cat(&parts, 0)?, &whole, Tolerance::PROOF)?;
        }
    }
    Ok(())
}

/// Frame by frame, an output is there as soon as the last frame that it sees is, and not before.
#[test]
fn conformer_stream_waits_for_what_it_sees_and_no_longer() -> Result<()> {
    let x = uniform(3, &[FRAMES, DIM], -1.0, 1.0)?;
    for context in [chunks(4, Some(3), 0), chunks(4, Some(3), 2), chunks(2, None, 3)] {
        let mut stream = conformer(context)?.stream()?;
        let mut out = 0;
        for t in 0..FRAMES - 1 {
            out += stream.push(&x.narrow(0, t, 1)?)?.map_or(0, |y| y.dims()[0]);
            // Of an utterance that goes on forever.
            let sees = |i: usize| (0..BLOCKS).fold(i, |i, _| context.visible(i, usize::MAX).end - 1);
            assert_eq!(context.reach(out, usize::MAX, BLOCKS), sees(out));
            let ready = (0..FRAMES).take_while(|&i| sees(i) <= t).count();
            assert_eq!(out, ready, "{context:?} at frame {t}");
        }
        out += stream.finish()?.map_or(0, |y| y.dims()[0]);
        // The last frame was not pushed.
        assert_eq!(out, FRAMES - 1);
    }
    Ok(())
}

#[test]
fn conformer_stream_refuses_to_wait_for_the_end() -> Result<()> {
    let error = conformer(AttentionContext::Full)?
        .stream()
        .unwrap_err()
        .to_string();
    assert!(error.contains("expected attention in chunks"), "{error}");
    Ok(())
}

#[test]
fn subsampling_stream_equals_the_whole_utterance() -> Result<()> {
    let (bins, frames) = (11, 61);
    let params = Params::seeded(5, DType::F64, &Device::Cpu);
    let subsampling = ConvSubsampling::new(bins, 3, DIM, &params)?;
    let x = uniform(6, &[frames, bins], -1.0, 1.0)?;
    let whole = subsampling.forward(&Padded::new(x.unsqueeze(0)?, Lengths::new(vec![frames]))?)?;
    let whole = whole.values().squeeze(0)?;
    assert_eq!(whole.dims()[0], frames_after(frames));
    for pieces in [vec![frames], vec![1; frames], vec![3, 20, 6, 0, 4, 28]] {
        let mut stream = subsampling.stream();
        let (mut parts, mut start) = (vec![], 0);
        for n in pieces {
            parts.extend(stream.push(&x.narrow(0, start, n)?)?);
            start += n;
        }
        assert_close("frames", &Tensor::cat(&parts, 0)?, &whole, Tolerance::PROOF)?;
    }
    Ok(())
}
