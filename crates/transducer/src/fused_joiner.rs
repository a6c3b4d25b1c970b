//! Joiner and arc scores in one: projections straight to scores, in tiles, recomputed in the backward pass.

use std::cmp::Ordering;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result as TensorResult, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::{ArcScores, Error, Labels, Lengths, Result, check_memory, host};

use crate::arc_scores::{Nodes, wrong_dtype};
use crate::node::Norm;
use crate::product::{Matrix, add_product};
use crate::real::Real;
use crate::tile::{Join, LogitGradients, SplitGradient, Tile, TileScores};
use crate::{Bounds, Scoring};

/// Arc scores of the joiner `tanh(speech + predicted) Wᵀ + bias`, without its `[B, T, U+1, V]` logits.
///
/// Nodes are handled in tiles of a few hundred: hidden layer, logits and normaliser of a tile stay in the cache, and only
/// two scores and the normaliser of each node are kept. The backward pass recomputes them, leaving out nodes whose gradient
/// is below ε² of their utterance's largest (ε of the dtype: 1e-14 in f32), as it cannot count. Padding is skipped, not
/// computed and masked. Gradients are summed in an order that depends on the shapes alone, so any number of threads
/// gives the same bits.
///
/// # Equation
///
/// ```text
/// x(t,u) = W tanh(speech(t) + predicted(u)) + bias        then as arc_scores
/// ```
///
/// # Shapes
///
/// * `speech`: `[B, T, H]`, `predicted`: `[B, U+1, H]` (row u has seen u labels), `weight`: `[V, H]`, `bias`: `[V]`, all of
///   one dtype, f32 or f64.
/// * `labels`: one row per utterance, at most U labels; `frames`: one length per utterance, at most T.
/// * returns blank `[B, T, U+1]` and label `[B, T, U]`, nats; 0 in the padding, which is never read and gets gradient 0.
///
/// Memory beyond arguments, results and gradients: O(B T U), one tile per thread, and in the backward pass at most 8
/// partial sums of the weight's gradient.
///
/// # Errors
///
/// [`Error::Shape`] if the tensors disagree; otherwise as [`arc_scores`](crate::arc_scores).
///
/// # Proved by
///
/// `fused_joiner_equals_the_composition`, `fused_joiner_gradient_equals_differences`,
/// `fused_joiner_gives_the_same_bits_for_any_thread_count`, `fused_joiner_of_a_confident_lattice_equals_the_composition`,
/// `fused_joiner_ignores_padding`.
pub fn joiner_arc_scores(
    speech: &Tensor,
    predicted: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    labels: &Labels,
    frames: &Lengths,
    scoring: impl Into<Scoring>,
) -> Result<ArcScores> {
    let parameters = (weight, bias);
    join(
        (speech, predicted),
        parameters,
        (labels, frames),
        scoring.into(),
        None,
    )
}

/// [`joiner_arc_scores`] of the nodes inside a band: the second half of a pruned RNN-T.
///
/// Nodes outside of the band score −∞: no path goes through them, nothing is computed for them. The loss of the result is
/// an upper bound of the full one, and equal to it if the band holds everything.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use sandhi_core::{Labels, Lengths};
/// use sandhi_transducer::{Normalize, joiner_arc_scores_within, pruning_bounds, simple_arc_scores, transducer_loss};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let random = |shape: &[usize]| Tensor::rand(-1f32, 1.0, shape, &Device::Cpu);
/// let (labels, frames) = (Labels::new(vec![vec![3, 1, 2]], 0)?, Lengths::new(vec![6]));
/// // Two small layers make the simple joiner's sides `[B, T, V]` and `[B, U+1, V]`; its loss is part of the objective.
/// let simple = simple_arc_scores(&random(&[1, 6, 5])?, &random(&[1, 4, 5])?, &labels, &frames)?;
/// let bounds = pruning_bounds(&simple, 2)?;
/// // The joiner proper, on two nodes a frame.
/// let (speech, predicted) = (random(&[1, 6, 8])?, random(&[1, 4, 8])?);
/// let (weight, bias) = (random(&[5, 8])?, random(&[5])?);
/// let within = joiner_arc_scores_within(
///     &bounds, (&speech, &predicted), (&weight, &bias), &labels, &frames, Normalize::Softmax)?;
/// let objective = ((transducer_loss(&simple)? * 0.5)? + transducer_loss(&within)?)?;
/// # assert!(objective.to_vec1::<f32>()?[0].is_finite());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`joiner_arc_scores`]; [`Error::Invalid`] if the bounds are those of other lengths.
///
/// # Source
///
/// Kuang et al. 2022, arXiv:2206.13236.
///
/// # Proved by
///
/// `pruned_joiner_equals_enumeration_within_the_band`, `a_band_as_wide_as_the_lattice_keeps_everything`,
/// `pruned_joiner_gradient_equals_differences`.
pub fn joiner_arc_scores_within(
    bounds: &Bounds,
    sides: (&Tensor, &Tensor),
    parameters: (&Tensor, &Tensor),
    labels: &Labels,
    frames: &Lengths,
    scoring: impl Into<Scoring>,
) -> Result<ArcScores> {
    bounds.check(frames, labels)?;
    join(
        sides,
        parameters,
        (labels, frames),
        scoring.into(),
        Some(bounds.clone()),
    )
}

fn join(
    (speech, predicted): (&Tensor, &Tensor),
    (weight, bias): (&Tensor, &Tensor),
    (labels, frames): (&Labels, &Lengths),
    scoring: Scoring,
    band: Option<Bounds>,
) -> Result<ArcScores> {
    let shape = |what, expected: &str, tensor: &Tensor| Error::Shape {
        what,
        expected: expected.into(),
        got: tensor.dims().to_vec(),
    };
    let (batch, num_frames, hidden) = speech.dims3().map_err(|_| shape("speech", "[B, T, H]", speech))?;
    let (vocabulary, _) = weight
        .dims2()
        .map_err(|_| shape("joiner weight", "[V, H]", weight))?;
    let columns = predicted
        .dims3()
        .map_err(|_| shape("predicted", "[B, U+1, H]", predicted))?
        .1;
    let dtype = speech.dtype();
    let expected = [
        ("predicted", predicted, vec![batch, columns, hidden]),
        ("joiner weight", weight, vec![vocabulary, hidden]),
        ("joiner bias", bias, vec![vocabulary]),
    ];
    for (what, tensor, dims) in expected {
        if tensor.dims() != dims || tensor.dtype() != dtype {
            return Err(shape(what, &format!("{dims:?} {dtype:?}"), tensor));
        }
    }
    let nodes = Nodes::new(labels, frames, scoring, (batch, num_frames, columns, vocabulary))?;
    // Scores, normalizers and their gradients.
    let grid = [("B", batch), ("T", num_frames), ("U+1", columns), ("numbers", 6)];
    check_memory("lattice of the joiner", &grid, dtype.size_in_bytes())?;
    // An operation takes three tensors, so weight and bias travel as one, flat and behind each other.
    let parameters = Tensor::cat(&[&weight.flatten_all()?, bias], 0)?;
    let (speech, predicted) = (speech.contiguous()?, predicted.contiguous()?);
    let extents = Extents {
        num_frames,
        columns,
        hidden,
        vocabulary,
    };
    let scores = match dtype {
        DType::F32 => speech.apply_op3(
            &predicted,
            &parameters,
            FusedJoiner::<f32>::new(nodes, extents, band),
        )?,
        DType::F64 => speech.apply_op3(
            &predicted,
            &parameters,
            FusedJoiner::<f64>::new(nodes, extents, band),
        )?,
        other => return Err(wrong_dtype("speech", other)),
    };
    ArcScores::from_nodes(scores, frames.clone(), labels.lengths().clone())
}

#[derive(Clone, Copy)]
struct Extents {
    num_frames: usize,
    columns: usize,
    hidden: usize,
    vocabulary: usize,
}

/// Partial sums of the weight's gradient, each over a fixed run of tiles. More would cost memory, fewer idle threads.
const RUNS: usize = 8;

/// Hidden layer and logits of a tile should fit the second-level cache: this many elements.
const TILE_ELEMENTS: usize = 1 << 17;

struct FusedJoiner<F> {
    nodes: Nodes,
    extents: Extents,
    /// The nodes to compute, if not all.
    band: Option<Bounds>,
    /// `[B, T, U+1]`, left by the forward pass for the backward pass.
    norms: OnceLock<Vec<Norm<F>>>,
}

/// The three arguments of the operation.
struct Arguments<'a, F> {
    speech: &'a [F],
    predicted: &'a [F],
    weight: &'a [F],
    bias: &'a [F],
}

/// Room for one tile, reused from tile to tile.
struct Scratch<F> {
    hidden: Vec<F>,
    logits: Vec<F>,
    grad_hidden: Vec<F>,
}

impl<F: Real> Scratch<F> {
    fn new() -> Self {
        Self {
            hidden: Vec::new(),
            logits: Vec::new(),
            grad_hidden: Vec::new(),
        }
    }
}

/// What a run of tiles adds to the gradients.
struct Partial<F> {
    /// Weight, then bias.
    parameters: Vec<F>,
    /// Complete rows of the speech gradient, with the offset of the first.
    speech: Vec<(usize, Vec<F>)>,
    /// Sums over frames for the predictor's rows of an utterance.
    predicted: Vec<(usize, Vec<F>)>,
}

impl<F: Real> FusedJoiner<F> {
    fn new(nodes: Nodes, extents: Extents, band: Option<Bounds>) -> Self {
        Self {
            nodes,
            extents,
            band,
            norms: OnceLock::new(),
        }
    }

    fn within(&self, b: usize, t: usize, u: usize) -> bool {
        self.band.as_ref().is_none_or(|band| band.contains(b, t, u))
    }

    /// Whole frames, in order, until a tile holds enough of the nodes inside the band that `keep(b, t, u)` asks for.
    fn tiles(&self, keep: impl Fn(usize, usize, usize) -> bool) -> Vec<Tile> {
        let enough = (TILE_ELEMENTS / (self.extents.hidden + self.extents.vocabulary)).clamp(32, 512);
        let mut tiles = Vec::new();
        for (b, &frames) in self.nodes.frames.as_slice().iter().enumerate() {
            let columns = self.nodes.num_labels(b) + 1;
            let empty = |start| Tile {
                b,
                start,
                frames: 0,
                columns,
                nodes: Vec::new(),
            };
            let mut tile = empty(0);
            for t in 0..frames {
                let first = (tile.frames * columns) as u32;
                tile.nodes.extend(
                    (0..columns)
                        .filter(|&u| self.within(b, t, u) && keep(b, t, u))
                        .map(|u| first + u as u32),
                );
                tile.frames += 1;
                if tile.nodes.len() + columns > enough || t + 1 == frames {
                    tiles.push(std::mem::replace(&mut tile, empty(t + 1)));
                }
            }
        }
        tiles.retain(|tile| !tile.nodes.is_empty());
        tiles
    }

    /// The tiles whose gradient counts: nodes whose own gradient is below ε² of their utterance's largest are left out.
    ///
    /// What they would add is far below the last digit of every sum, and most nodes of a trained lattice are of this kind.
    /// In f32 their products would also be subnormal, which some processors handle a hundred times slower.
    fn active_tiles(&self, grad_res: &[F]) -> Vec<Tile> {
        let Extents {
            num_frames, columns, ..
        } = self.extents;
        let width = 2 * columns;
        let magnitude = |x: F| x.to_f64().abs();
        let thresholds: Vec<f64> = grad_res
            .chunks(num_frames.max(1) * width)
            .map(|grad| grad.iter().fold(0.0, |max: f64, &x| max.max(magnitude(x))))
            .map(|largest| {
                if largest.is_finite() {
                    largest * F::EPSILON * F::EPSILON
                } else {
                    0.0
                }
            })
            .collect();
        self.tiles(|b, t, u| {
            let node = &grad_res[(b * num_frames + t) * width + 2 * u..][..2];
            // The last label leads nowhere, whatever stands there.
            let label = if u < self.nodes.num_labels(b) {
                magnitude(node[1])
            } else {
                0.0
            };
            // NaN compares as nothing, and counts.
            !matches!(
                (magnitude(node[0]) + label).partial_cmp(&thresholds[b]),
                Some(Ordering::Less | Ordering::Equal)
            )
        })
    }

    fn arguments<'a>(&self, speech: &'a [F], predicted: &'a [F], parameters: &'a [F]) -> Arguments<'a, F> {
        let (weight, bias) = parameters.split_at(self.extents.vocabulary * self.extents.hidden);
        Arguments {
            speech,
            predicted,
            weight,
            bias,
        }
    }

    /// The rows of speech and predictor that a tile joins.
    fn rows<'a>(&self, tile: &Tile, arguments: &Arguments<'a, F>) -> (&'a [F], &'a [F]) {
        let Extents {
            num_frames,
            columns,
            hidden,
            ..
        } = self.extents;
        let speech = &arguments.speech[(tile.b * num_frames + tile.start) * hidden..][..tile.frames * hidden];
        let predicted = &arguments.predicted[tile.b * columns * hidden..][..tile.columns * hidden];
        (speech, predicted)
    }

    /// Fills `scratch.hidden` and `scratch.logits`.
    fn join(&self, tile: &Tile, arguments: &Arguments<'_, F>, scratch: &mut Scratch<F>) {
        let Extents {
            hidden, vocabulary, ..
        } = self.extents;
        let nodes = tile.nodes.len();
        scratch.hidden.resize(nodes * hidden, F::default());
        scratch.logits.resize(nodes * vocabulary, F::default());
        let (speech, predicted) = self.rows(tile, arguments);
        pulp::Arch::new().dispatch(Join {
            tile,
            speech,
            predicted,
            width: hidden,
            out: &mut scratch.hidden,
        });
        scratch
            .logits
            .chunks_exact_mut(vocabulary)
            .for_each(|row| row.copy_from_slice(arguments.bias));
        add_product(
            &mut scratch.logits,
            Matrix::new(&scratch.hidden, nodes, hidden),
            Matrix::new(arguments.weight, vocabulary, hidden).t(),
        );
    }

    /// Adds one tile to the gradients of its run.
    fn backward_tile(
        &self,
        tile: &Tile,
        arguments: &Arguments<'_, F>,
        (norms, grad_res): (&[Norm<F>], &[F]),
        scratch: &mut Scratch<F>,
        partial: &mut Partial<F>,
    ) {
        let Extents {
            num_frames,
            hidden,
            vocabulary,
            columns,
        } = self.extents;
        let nodes = tile.nodes.len();
        self.join(tile, arguments, scratch);
        let (width, first) = (2 * columns, tile.b * num_frames + tile.start);
        let (grad_weight, grad_bias) = partial.parameters.split_at_mut(vocabulary * hidden);
        pulp::Arch::new().dispatch(LogitGradients {
            nodes: &self.nodes,
            tile,
            columns,
            norms: &norms[first * columns..][..tile.frames * columns],
            grad_res: &grad_res[first * width..][..tile.frames * width],
            logits: &mut scratch.logits,
            grad_bias,
        });
        let grad_logits = Matrix::new(&scratch.logits, nodes, vocabulary);
        add_product(
            grad_weight,
            grad_logits.t(),
            Matrix::new(&scratch.hidden, nodes, hidden),
        );
        scratch.grad_hidden.clear();
        scratch.grad_hidden.resize(nodes * hidden, F::default());
        add_product(
            &mut scratch.grad_hidden,
            grad_logits,
            Matrix::new(arguments.weight, vocabulary, hidden),
        );

        let mut speech = vec![F::default(); tile.frames * hidden];
        if partial.predicted.last().is_none_or(|(b, _)| *b != tile.b) {
            partial
                .predicted
                .push((tile.b, vec![F::default(); tile.columns * hidden]));
        }
        if let Some((_, predicted)) = partial.predicted.last_mut() {
            pulp::Arch::new().dispatch(SplitGradient {
                tile,
                hidden: &scratch.hidden,
                grad_hidden: &scratch.grad_hidden,
                width: hidden,
                speech: &mut speech,
                predicted,
            });
        }
        partial.speech.push((first * hidden, speech));
    }
}

impl<F: Real> CustomOp3 for FusedJoiner<F> {
    fn name(&self) -> &'static str {
        "fused-joiner"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> TensorResult<(CpuStorage, Shape)> {
        let arguments = self.arguments(host::slice(s1, l1)?, host::slice(s2, l2)?, host::slice(s3, l3)?);
        let Extents {
            num_frames,
            columns,
            vocabulary,
            ..
        } = self.extents;
        let width = 2 * columns;
        let batch = self.nodes.frames.len();
        let tiles = self.tiles(|_, _, _| true);
        let found: Vec<(Vec<F>, Vec<Norm<F>>)> = tiles
            .par_iter()
            .map_init(Scratch::new, |scratch, tile| {
                self.join(tile, &arguments, scratch);
                let mut out = vec![F::default(); tile.frames * width];
                if self.band.is_some() {
                    let rows = out.chunks_exact_mut(width);
                    // No path leads through nodes of the utterance that are not in the tile.
                    rows.for_each(|row| row[..2 * tile.columns].fill(F::NEG_INFINITY));
                }
                let mut norms = vec![Norm::default(); tile.frames * columns];
                pulp::Arch::new().dispatch(TileScores {
                    nodes: &self.nodes,
                    tile,
                    columns,
                    vocabulary,
                    logits: &scratch.logits,
                    out: &mut out,
                    norms: &mut norms,
                });
                (out, norms)
            })
            .collect();
        let mut packed = vec![F::default(); batch * num_frames * width];
        let mut all_norms = vec![Norm::default(); batch * num_frames * columns];
        for (tile, (out, norms)) in tiles.iter().zip(&found) {
            let first = tile.b * num_frames + tile.start;
            packed[first * width..][..out.len()].copy_from_slice(out);
            all_norms[first * columns..][..norms.len()].copy_from_slice(norms);
        }
        let _ = self.norms.set(all_norms);
        Ok((
            F::to_cpu_storage_owned(packed),
            (batch, num_frames, columns, 2).into(),
        ))
    }

    fn bwd(
        &self,
        speech: &Tensor,
        predicted: &Tensor,
        parameters: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> TensorResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(norms) = self.norms.get() else {
            bail!("fused-joiner: backward before forward")
        };
        let run = |arguments: Arguments<'_, F>, grad_res: &[F]| -> Vec<Partial<F>> {
            let tiles = self.active_tiles(grad_res);
            tiles
                .par_chunks(tiles.len().div_ceil(RUNS).max(1))
                .map_init(Scratch::new, |scratch, tiles| {
                    let mut partial = Partial {
                        parameters: vec![F::default(); parameters.elem_count()],
                        speech: Vec::new(),
                        predicted: Vec::new(),
                    };
                    for tile in tiles {
                        self.backward_tile(tile, &arguments, (norms, grad_res), scratch, &mut partial);
                    }
                    partial
                })
                .collect()
        };
        let partials = host::read(speech, |s: &[F]| {
            host::read(predicted, |p: &[F]| {
                host::read(parameters, |w: &[F]| {
                    host::read(grad_res, |g: &[F]| run(self.arguments(s, p, w), g))
                })
            })
        })????;
        let mut grad_speech = vec![F::default(); speech.elem_count()];
        let mut grad_predicted = vec![F::default(); predicted.elem_count()];
        let mut grad_parameters = vec![F::default(); parameters.elem_count()];
        for partial in &partials {
            add(&mut grad_parameters, &partial.parameters);
            for (offset, rows) in &partial.speech {
                grad_speech[*offset..][..rows.len()].copy_from_slice(rows);
            }
            for (b, rows) in &partial.predicted {
                add(
                    &mut grad_predicted[b * self.extents.columns * self.extents.hidden..][..rows.len()],
                    rows,
                );
            }
        }
        let tensor =
            |grad: Vec<F>, like: &Tensor| Tensor::from_vec(grad, like.shape().clone(), like.device());
        Ok((
            Some(tensor(grad_speech, speech)?),
            Some(tensor(grad_predicted, predicted)?),
            Some(tensor(grad_parameters, parameters)?),
        ))
    }
}

fn add<F: Real>(sum: &mut [F], term: &[F]) {
    for (sum, &term) in sum.iter_mut().zip(term) {
        *sum += term;
    }
}
