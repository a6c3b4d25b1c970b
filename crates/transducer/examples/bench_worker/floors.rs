//! What no loss can be faster than: the traffic over the logits by itself, and the softmax by itself.
//!
//! A loss has to read all valid logits before it knows any gradient, then read them again and write the gradient. The
//! floors do that and nothing else, an utterance after another, so that what the cache can keep for the second pass it
//! does keep; frames are shared by the threads. They are vectorised with the widest instructions the machine has.

use std::array::from_fn;
use std::hint::black_box;

use anyhow::{Context, Result};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::inputs::Inputs;
use crate::protocol::Work;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Read, then read and write, into a buffer that is there already.
    ReadWrite,
    /// The same into pages that come fresh from the system.
    Fresh,
    /// The normaliser of each node, then `e^(x − normaliser)`, into a buffer that is there already.
    Softmax,
}

pub(crate) struct Floor {
    kind: Kind,
    logits: Vec<f32>,
    gradient: Vec<f32>,
    /// One number per node.
    norms: Vec<f32>,
    lengths: Vec<(usize, usize)>,
    /// Padded frames, nodes of a frame, logits of a node.
    extents: [usize; 3],
}

/// So many numbers are worth another thread.
const WORTH_A_THREAD: usize = 1 << 14;
/// Numbers handled side by side: four of the widest registers.
const LANES: usize = 64;

impl Floor {
    pub(crate) fn new(mut inputs: Inputs, kind: Kind) -> Result<Self> {
        let logits = inputs.take("logits")?;
        let (batch, frames, columns, vocabulary) = logits.dims4()?;
        let length = |b| (inputs.frames.get(b), inputs.labels.lengths().get(b) + 1);
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        // Written, so that its pages are there.
        let gradient = match kind {
            Kind::Fresh => Vec::new(),
            _ => logits.clone(),
        };
        Ok(Self {
            kind,
            norms: vec![1.0; batch * frames * columns],
            lengths: (0..batch).map(length).collect(),
            extents: [frames, columns, vocabulary],
            logits,
            gradient,
        })
    }
}

impl Work for Floor {
    fn call(&mut self) -> Result<()> {
        if self.kind == Kind::Fresh {
            self.gradient = vec![0.0; self.logits.len()];
        }
        let [frames, columns, vocabulary] = self.extents;
        let (frame, softmax) = (columns * vocabulary, self.kind == Kind::Softmax);
        let at_once = (WORTH_A_THREAD / frame).max(1);
        for (b, &(valid, nodes)) in self.lengths.iter().enumerate() {
            let logits = &self.logits[b * frames * frame..][..valid * frame];
            let norms = &mut self.norms[b * frames * columns..][..valid * columns];
            let gradient = self.gradient.get_mut(b * frames * frame..);
            let gradient = &mut gradient.context("a gradient as long as the logits")?[..valid * frame];
            let rows = || logits.par_chunks(frame).with_min_len(at_once);
            rows()
                .zip(norms.par_chunks_mut(columns))
                .for_each(|(logits, norms)| {
                    let (logits, norms) = (&logits[..nodes * vocabulary], &mut norms[..nodes]);
                    pulp::Arch::new().dispatch(First {
                        logits,
                        norms,
                        softmax,
                    });
                });
            rows()
                .zip(norms.par_chunks(columns))
                .zip(gradient.par_chunks_mut(frame))
                .for_each(|((logits, norms), gradient)| {
                    let (logits, norms) = (&logits[..nodes * vocabulary], &norms[..nodes]);
                    let gradient = &mut gradient[..nodes * vocabulary];
                    pulp::Arch::new().dispatch(Second {
                        logits,
                        norms,
                        gradient,
                        softmax,
                    });
                });
        }
        black_box(&self.gradient);
        Ok(())
    }

    fn release(&mut self) {
        if self.kind == Kind::Fresh {
            self.gradient = Vec::new();
        }
    }
}

/// The first pass over a frame: a number for each of its nodes.
struct First<'a> {
    logits: &'a [f32],
    norms: &'a mut [f32],
    softmax: bool,
}

impl WithSimd for First<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if !self.softmax {
            // One number for the frame is enough to have read it.
            self.norms[0] = sum(self.logits);
            return;
        }
        let vocabulary = self.logits.len() / self.norms.len();
        for (row, norm) in self.logits.chunks_exact(vocabulary).zip(self.norms) {
            let max = max(row);
            *norm = max + sum_exp(row, max).ln();
        }
    }
}

/// The second pass over a frame: its part of the gradient.
struct Second<'a> {
    logits: &'a [f32],
    norms: &'a [f32],
    gradient: &'a mut [f32],
    softmax: bool,
}

impl WithSimd for Second<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if !self.softmax {
            let scale = self.norms[0];
            for (g, x) in self.gradient.iter_mut().zip(self.logits) {
                *g = scale * x;
            }
            return;
        }
        let vocabulary = self.logits.len() / self.norms.len();
        let rows = self.logits.chunks_exact(vocabulary);
        let gradients = self.gradient.chunks_exact_mut(vocabulary);
        for ((row, gradient), norm) in rows.zip(gradients).zip(self.norms) {
            for (g, x) in gradient.iter_mut().zip(row) {
                *g = exp(x - norm);
            }
        }
    }
}

/// Combines all numbers, in lanes of four registers, so that no addition waits for the one before. A last piece that does
/// not fill them is filled up with `nothing`.
#[inline(always)]
fn fold(row: &[f32], start: f32, nothing: f32, combine: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut lanes = [start; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = combine(*lane, *x);
        }
    }
    if !rest.is_empty() {
        let mut last = [nothing; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (lane, x) in lanes.iter_mut().zip(last) {
            *lane = combine(*lane, x);
        }
    }
    lanes
}

#[inline(always)]
fn max(row: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    halves(fold(row, f32::NEG_INFINITY, f32::NEG_INFINITY, greater), greater)
}

#[inline(always)]
fn sum(row: &[f32]) -> f32 {
    halves(fold(row, 0.0, 0.0, |sum, x| sum + x), |a, b| a + b)
}

#[inline(always)]
fn sum_exp(row: &[f32], max: f32) -> f32 {
    let sums = fold(row, 0.0, f32::NEG_INFINITY, |sum, x| sum + exp(x - max));
    halves(sums, |a, b| a + b)
}

/// Halves onto halves: a chain of single additions would take longer than a short row.
#[inline(always)]
fn halves(lanes: [f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let a: [f32; 32] = from_fn(|i| combine(lanes[i], lanes[i + 32]));
    let a: [f32; 16] = from_fn(|i| combine(a[i], a[i + 16]));
    let a: [f32; 8] = from_fn(|i| combine(a[i], a[i + 8]));
    let a: [f32; 4] = from_fn(|i| combine(a[i], a[i + 4]));
    combine(combine(a[0], a[1]), combine(a[2], a[3]))
}

/// `e^x` for x ≤ 0: Cody and Waite's reduction and the polynomial of Cephes, with fused multiply-adds.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.987_569_2e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let p = p.mul_add(r * r, r) + 1.0;
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}
