//! From features to codes, by a projection and codebooks that nobody trains.

use candle_core::{DType, Device};
use rayon::prelude::*;
use sandhi_core::{Error, Lengths, Padded, Result, host};
use sandhi_nn::{Init, Params};
use serde::{Deserialize, Serialize};

use crate::labelling::{Columns, label};
use crate::{Stacking, Targets};

/// Frames that one task labels: the codes are read from memory once for all of them.
const TASK: usize = 32;

/// The sizes of a [`RandomProjectionQuantizer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizerConfig {
    /// Width F of a feature frame.
    pub num_bins: usize,
    /// The feature frames of each target.
    pub stacking: Stacking,
    /// Codebooks, each with a projection of its own; 1 in the paper.
    pub num_codebooks: usize,
    /// Codes of each codebook; 8192 in the paper.
    pub codebook_size: usize,
    /// Width of a code; 16 in the paper.
    pub code_dim: usize,
}

impl QuantizerConfig {
    /// The paper's quantizer for features of `num_bins`: 8192 codes of width 16, four feature frames each.
    pub fn paper(num_bins: usize) -> Self {
        Self {
            num_bins,
            stacking: Stacking::BY_FOUR,
            num_codebooks: 1,
            codebook_size: 8192,
            code_dim: 16,
        }
    }

    /// Checks the ranges, for configurations that come from a user.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming a size that is 0 or does not fit 32 bits.
    pub fn check(&self) -> Result<()> {
        self.stacking.check()?;
        let sizes = [
            ("bins", self.num_bins),
            ("codebooks", self.num_codebooks),
            ("codes", self.codebook_size),
            ("values of a code", self.code_dim),
        ];
        // Codes are u32, and block indices must not wrap.
        match sizes.into_iter().find(|&(_, n)| n == 0 || n > i32::MAX as usize) {
            Some((what, n)) => Err(Error::Invalid {
                what: "quantizer",
                why: format!("expected a number of {what} of at least 1 and below 2^31, got {n}"),
            }),
            None => Ok(()),
        }
    }

    /// Width of a stacked frame.
    fn stacked(&self) -> usize {
        self.stacking.stack * self.num_bins
    }
}

/// Labels frames by the nearest of random codes, after a random projection. Neither is ever trained.
///
/// Projection and codebooks are a function of the seed and of the codebook's number: the first codebooks of two quantizers
/// with the same seed are the same, however many there are. They are not in any [`Params`], so no checkpoint holds them:
/// the seed and the configuration make them again.
///
/// # Equation
///
/// ```text
/// y(t, c) = argmin_i ‖ ê(c, i) − n(P_c x(t)) ‖ = argmax_i ê(c, i) · P_c x(t),    n(v) = v / ‖v‖,  ê = n(e)
///
/// P_c: Xavier (uniform in ±√(6 / (stack·F + code_dim)))    e(c, i): standard normal
/// ```
///
/// Both sides have length 1, so the nearest code is that of the largest cosine, and the length of the projection, which
/// divides all scores of a frame, need not be computed. **Ties** go to the smallest index; a stack of zeros, which has no
/// direction, ties with everything and gets code 0.
///
/// # Source
///
/// Chiu et al. 2022, arXiv:2202.01855, section 3.1. More than one codebook: Zhang et al. 2023 (USM), arXiv:2303.01037.
///
/// # Proved by
///
/// `quantizer_equals_plain_loops`, `quantizer_ignores_positive_scale`, `quantizer_is_a_function_of_its_seed`,
/// `quantizer_of_a_batch_equals_its_utterances`, `quantizer_ties_go_to_the_smallest_index`,
/// `quantizer_is_drawn_as_documented`.
#[derive(Clone, Debug)]
pub struct RandomProjectionQuantizer {
    config: QuantizerConfig,
    /// `[stack·F, codebooks · code_dim]`.
    projection: Columns,
    /// For each codebook `[code_dim, codebook_size]`, columns of length 1.
    codebooks: Vec<Columns>,
}

impl RandomProjectionQuantizer {
    /// Draws projections and codebooks.
    ///
    /// # Errors
    ///
    /// As [`QuantizerConfig::check`].
    pub fn new(config: &QuantizerConfig, seed: u64) -> Result<Self> {
        config.check()?;
        // These parameters are a generator that is thrown away: draws by (seed, name), as everywhere.
        let params = Params::seeded(seed, DType::F32, &Device::Cpu).scope("bestrq");
        let draw = |name: String, shape: [usize; 2], init| -> Result<Vec<f32>> {
            Ok(params.get(&name, &shape, init)?.flatten_all()?.to_vec1()?)
        };
        let books = 0..config.num_codebooks;
        let projections: Vec<Vec<f32>> = books
            .clone()
            .map(|c| {
                let shape = [config.stacked(), config.code_dim];
                draw(format!("projection{c}"), shape, Init::XavierUniform)
            })
            .collect::<Result<_>>()?;
        let codebooks: Vec<Vec<f32>> = books
            .map(|c| {
                let shape = [config.codebook_size, config.code_dim];
                draw(format!("codebook{c}"), shape, Init::Normal { std: 1.0 })
            })
            .collect::<Result<_>>()?;
        Self::from_matrices(config, &projections, &codebooks)
    }

    /// Takes projections `[stack·F, code_dim]` and codebooks `[codebook_size, code_dim]`, one of each for every codebook and
    /// row-major, from elsewhere. Codes are brought to length 1.
    ///
    /// # Errors
    ///
    /// As [`QuantizerConfig::check`]; [`Error::Invalid`] if the numbers of values are others, or a code has no direction
    /// (zeros, NaN, infinity).
    ///
    /// # Proved by
    ///
    /// `quantizer_from_its_matrices_is_the_same`, `quantizer_refuses_matrices_it_cannot_use`.
    pub fn from_matrices(
        config: &QuantizerConfig,
        projections: &[Vec<f32>],
        codebooks: &[Vec<f32>],
    ) -> Result<Self> {
        config.check()?;
        let QuantizerConfig {
            num_codebooks,
            codebook_size,
            code_dim,
            ..
        } = *config;
        let sizes = [
            ("projections", projections, config.stacked()),
            ("codebooks", codebooks, codebook_size),
        ];
        for (what, matrices, rows) in sizes {
            let got: Vec<usize> = matrices.iter().map(Vec::len).collect();
            if got != vec![rows * code_dim; num_codebooks] {
                return Err(Error::Shape {
                    what,
                    expected: format!("{num_codebooks} of {rows} x {code_dim} values"),
                    got,
                });
            }
        }
        let codebooks = codebooks
            .iter()
            .enumerate()
            .map(|(c, book)| unit_codes(c, book, code_dim));
        Ok(Self {
            config: config.clone(),
            projection: Columns::new(config.stacked(), num_codebooks * code_dim, |i, j| {
                projections[j / code_dim][i * code_dim + j % code_dim]
            }),
            codebooks: codebooks.collect::<Result<_>>()?,
        })
    }

    /// The sizes.
    pub fn config(&self) -> &QuantizerConfig {
        &self.config
    }

    /// The projection of codebook `c`, `[stack·F, code_dim]`, row-major.
    ///
    /// # Panics
    ///
    /// If there is no such codebook.
    pub fn projection(&self, c: usize) -> Vec<f32> {
        assert!(c < self.config.num_codebooks, "there is no codebook {c}");
        let dim = self.config.code_dim;
        let row = |i| (c * dim..(c + 1) * dim).map(move |j| self.projection.get(i, j));
        (0..self.config.stacked()).flat_map(row).collect()
    }

    /// The codes of codebook `c`, each of length 1, `[codebook_size, code_dim]`, row-major.
    ///
    /// # Panics
    ///
    /// If there is no such codebook.
    pub fn codebook(&self, c: usize) -> Vec<f32> {
        let book = &self.codebooks[c];
        let code = |j| (0..self.config.code_dim).map(move |i| book.get(i, j));
        (0..self.config.codebook_size).flat_map(code).collect()
    }

    /// The codes of every encoder frame. Work is shared among threads, and the codes are the same for any number of them.
    ///
    /// # Shapes
    ///
    /// * `features`: `[B, T0, F]`, f32, each utterance normalized to mean 0 and variance 1: otherwise few codes are ever
    ///   used, see [`codebook_usage`](crate::codebook_usage). Not masked: these are the targets.
    /// * `frames`: the number of encoder frames of each utterance.
    /// * returns a code for each encoder frame and codebook.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] on another width, [`Error::BatchSize`] or [`Error::TooShort`] if the features do not reach to the
    /// end of the last target, [`Error::Invalid`] for another dtype or naming utterance and frame of features that are NaN,
    /// infinite or too large to multiply.
    ///
    /// # Proved by
    ///
    /// `quantizer_equals_plain_loops`, `quantizer_ignores_padding`, `quantizer_names_features_that_are_not_finite`.
    pub fn targets(&self, features: &Padded, frames: &Lengths) -> Result<Targets> {
        let stacking = self.config.stacking;
        let (_, extent, bins) = features.dims();
        if bins != self.config.num_bins {
            return Err(Error::Shape {
                what: "features",
                expected: format!("[B, T0, {}]", self.config.num_bins),
                got: features.values().dims().to_vec(),
            });
        }
        check_dtype(features)?;
        stacking.check_fits(features.lengths(), frames)?;
        let places: Vec<(usize, usize)> = frames
            .as_slice()
            .iter()
            .enumerate()
            .flat_map(|(b, &n)| (0..n).map(move |t| (b, t)))
            .collect();
        let books = self.config.num_codebooks;
        let found: Vec<Result<Vec<u32>>> = host::read(features.values(), |values: &[f32]| {
            let task = |places: &[(usize, usize)]| {
                let stacked = |&(b, t): &(usize, usize)| {
                    let range = stacking.range(t);
                    &values[(b * extent + range.start) * bins..][..range.len() * bins]
                };
                let stacks: Vec<&[f32]> = places.iter().map(stacked).collect();
                let mut codes = vec![0; places.len() * books];
                match label(&stacks, &self.projection, &self.codebooks, &mut codes) {
                    Ok(()) => Ok(codes),
                    Err(frame) => Err(not_finite(places[frame], stacking)),
                }
            };
            places.par_chunks(TASK).map(task).collect()
        })?;
        let mut codes = Vec::with_capacity(places.len() * books);
        // In order, so that the error is that of the first bad frame, whatever thread found it.
        for found in found {
            codes.extend(found?);
        }
        let mut rest = codes.as_slice();
        let mut row = |&n: &usize| {
            let (row, after) = rest.split_at(n * books);
            rest = after;
            row.to_vec()
        };
        let rows = frames.as_slice().iter().map(&mut row).collect();
        Targets::new(rows, books, self.config.codebook_size)
    }
}

/// Features are read as f32, which is what front ends make.
pub(crate) fn check_dtype(features: &Padded) -> Result<()> {
    match features.values().dtype() {
        DType::F32 => Ok(()),
        other => Err(Error::Invalid {
            what: "features",
            why: format!("expected f32, got {}", other.as_str()),
        }),
    }
}

/// Codes of length 1, as columns.
fn unit_codes(c: usize, book: &[f32], code_dim: usize) -> Result<Columns> {
    let length = |code: &[f32]| code.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let lengths: Vec<f64> = book.chunks_exact(code_dim).map(length).collect();
    if let Some(code) = lengths.iter().position(|n| !(n.is_finite() && *n > 0.0)) {
        return Err(Error::Invalid {
            what: "codebooks",
            why: format!(
                "code {code} of codebook {c} has length {}, so no direction",
                lengths[code]
            ),
        });
    }
    Ok(Columns::new(code_dim, lengths.len(), |i, j| {
        (f64::from(book[j * code_dim + i]) / lengths[j]) as f32
    }))
}

fn not_finite((utterance, t): (usize, usize), stacking: Stacking) -> Error {
    let range = stacking.range(t);
    Error::Invalid {
        what: "features",
        why: format!(
            "utterance {utterance}, feature frames {}..{}: a value is NaN, infinite or too large to multiply",
            range.start, range.end
        ),
    }
}
