//! Attention of one utterance, some rows of the score matrix at a time.

use std::ops::Range;

use super::AttentionContext;
use super::attention_context::Block;
use crate::matmul::{Matrix, Packed, Plain, multiply, product};
use crate::real::{Real, dot, sum, vectorized};

/// One utterance's share of the arguments.
pub(crate) struct Utterance<'a, T> {
    pub(crate) qkv: &'a [T],
    pub(crate) positions: &'a [T],
    pub(crate) biases: &'a [T],
    /// Valid frames.
    pub(crate) n: usize,
    /// The frames that `positions` were made for.
    pub(crate) t: usize,
    /// D.
    pub(crate) d: usize,
    /// The width of a head.
    pub(crate) width: usize,
    pub(crate) context: AttentionContext,
}

impl<'a, T: Real> Utterance<'a, T> {
    fn scale(&self) -> T {
        T::ONE / T::of(self.width as f64).sqrt()
    }

    /// (q + bias) / √d for some rows of one head, `[rows, width]`; `which` chooses u or v.
    fn query(&self, head: usize, which: usize, rows: &Range<usize>) -> Vec<T> {
        let bias = &self.biases[which * self.d + head * self.width..][..self.width];
        let scale = self.scale();
        let mut query = vec![T::ZERO; rows.len() * self.width];
        let from = self.qkv[rows.start * 3 * self.d..].chunks_exact(3 * self.d);
        for (to, row) in query.chunks_exact_mut(self.width).zip(from) {
            for ((to, &q), &b) in to.iter_mut().zip(&row[head * self.width..]).zip(bias) {
                *to = (q + b) * scale;
            }
        }
        query
    }

    /// Some keys (1) or values (2) of one head.
    fn view(&self, which: usize, head: usize, rows: &Range<usize>) -> Matrix<'a, T> {
        Matrix::strided(
            &self.qkv[(3 * rows.start + which) * self.d + head * self.width..],
            rows.len(),
            self.width,
            3 * self.d,
        )
    }

    /// Where the vectors for the offsets between a block's rows and keys start, and how many there are.
    fn window(&self, head: usize, block: &Block) -> (usize, usize) {
        let first = self.t + block.keys.start - block.rows.end;
        (
            first * self.d + head * self.width,
            block.rows.len() + block.keys.len() - 1,
        )
    }

    /// The position vectors for the offsets between a block's rows and keys.
    fn positions(&self, head: usize, block: &Block) -> Matrix<'a, T> {
        let (start, count) = self.window(head, block);
        Matrix::strided(&self.positions[start..], count, self.width, self.d)
    }

    /// For each row of a block: the keys it sees, counted from the block's first.
    fn visible(&self, block: &Block) -> impl Iterator<Item = Range<usize>> {
        let (context, n, first) = (self.context, self.n, block.keys.start);
        block.rows.clone().map(move |i| {
            let seen = context.visible(i, n);
            seen.start - first..seen.end - first
        })
    }

    /// Fills `y`; returns softmax(s) of every head, block by block, `[rows, keys]`.
    pub(crate) fn forward(&self, heads: usize, y: &mut [T]) -> Vec<T> {
        let blocks: Vec<Block> = self.context.blocks(self.n).collect();
        let cells: usize = blocks.iter().map(Block::cells).sum();
        let mut weights = vec![T::ZERO; heads * cells];
        let mut by_offset = Vec::new();
        let mut room = Packed::room();
        let mut rest = weights.as_mut_slice();
        for (head, block) in (0..heads).flat_map(|head| blocks.iter().map(move |block| (head, block))) {
            let (s, after) = rest.split_at_mut(block.cells());
            rest = after;
            let (rows, keys) = (block.rows.len(), block.keys.len());
            let (content, position) = (self.query(head, 0, &block.rows), self.query(head, 1, &block.rows));
            let content = Matrix::new(&content, rows, self.width);
            product(
                s,
                keys,
                false,
                content,
                self.view(1, head, &block.keys).t(),
                &mut room,
            );
            let offsets = rows + keys - 1;
            by_offset.resize(rows * offsets, T::ZERO);
            let position = Matrix::new(&position, rows, self.width);
            product(
                &mut by_offset,
                offsets,
                false,
                position,
                self.positions(head, block).t(),
                &mut room,
            );
            vectorized(
                #[inline(always)]
                |fused| {
                    let cells = s.chunks_exact_mut(keys).zip(by_offset.chunks_exact(offsets));
                    for (i, ((s, r), seen)) in cells.zip(self.visible(block)).enumerate() {
                        let r = &r[rows - 1 - i..][seen.clone()];
                        softmax(&mut s[seen.clone()], r, fused);
                        s[..seen.start].fill(T::ZERO);
                        s[seen.end..].fill(T::ZERO);
                    }
                },
            );
            let to = &mut y[block.rows.start * self.d + head * self.width..];
            let s = Matrix::new(s, rows, keys);
            product(to, self.d, false, s, self.view(2, head, &block.keys), &mut room);
        }
        weights
    }

    /// Adds to `dqkv`, and to `shared` the gradients of positions and biases, `[2T−1, D]` and `[2, D]` one after the other.
    pub(crate) fn backward(&self, heads: usize, weights: &[T], dy: &[T], dqkv: &mut [T], shared: &mut [T]) {
        let (d, width) = (self.d, self.width);
        let (dpositions, dbiases) = shared.split_at_mut((2 * self.t - 1) * d);
        let blocks: Vec<Block> = self.context.blocks(self.n).collect();
        let (mut ds, mut by_offset, mut room) = (Vec::new(), Vec::new(), Packed::room());
        let (mut dcontent, mut dposition) = (Vec::new(), Vec::new());
        let mut rest = weights;
        for (head, block) in (0..heads).flat_map(|head| blocks.iter().map(move |block| (head, block))) {
            let (p, after) = rest.split_at(block.cells());
            rest = after;
            let (rows, keys, at) = (block.rows.len(), block.keys.len(), head * width);
            let offsets = rows + keys - 1;
            let dy = Matrix::strided(&dy[block.rows.start * d + at..], rows, width, d);
            let weights = Matrix::new(p, rows, keys);
            let dkeys = block.keys.start * 3 * d + at;
            product(
                &mut dqkv[dkeys + 2 * d..],
                3 * d,
                true,
                weights.t(),
                dy,
                &mut room,
            );
            ds.resize(rows * keys, T::ZERO);
            let values = self.view(2, head, &block.keys);
            product(&mut ds, keys, false, dy, values.t(), &mut room);
            by_offset.clear();
            by_offset.resize(rows * offsets, T::ZERO);
            vectorized(
                #[inline(always)]
                |fused| {
                    let cells = ds.chunks_exact_mut(keys).zip(p.chunks_exact(keys));
                    let cells = cells.zip(by_offset.chunks_exact_mut(offsets));
                    for (i, (((ds, p), r), seen)) in cells.zip(self.visible(block)).enumerate() {
                        ds[..seen.start].fill(T::ZERO);
                        ds[seen.end..].fill(T::ZERO);
                        let (ds, p) = (&mut ds[seen.clone()], &p[seen.clone()]);
                        let mean = dot(ds, p, fused);
                        for (ds, &p) in ds.iter_mut().zip(p) {
                            *ds = (*ds - mean) * p;
                        }
                        r[rows - 1 - i..][seen].copy_from_slice(ds);
                    }
                },
            );
            let (content, position) = (self.query(head, 0, &block.rows), self.query(head, 1, &block.rows));
            let (ds, r) = (
                Matrix::new(&ds, rows, keys),
                Matrix::new(&by_offset, rows, offsets),
            );
            let content = Matrix::new(&content, rows, width);
            product(&mut dqkv[dkeys + d..], 3 * d, true, ds.t(), content, &mut room);
            let (from, _) = self.window(head, block);
            let position = Matrix::new(&position, rows, width);
            product(&mut dpositions[from..], d, true, r.t(), position, &mut room);
            dcontent.resize(rows * width, T::ZERO);
            dposition.resize(rows * width, T::ZERO);
            room.pack(self.view(1, head, &block.keys));
            multiply(&mut dcontent, width, false, ds, &room, self.scale(), Plain);
            room.pack(self.positions(head, block));
            multiply(&mut dposition, width, false, r, &room, self.scale(), Plain);
            let queries = dcontent.chunks_exact(width).zip(dposition.chunks_exact(width));
            for (i, (c, q)) in block.rows.clone().zip(queries) {
                for k in 0..width {
                    dqkv[i * 3 * d + at + k] = c[k] + q[k];
                    dbiases[at + k] += c[k];
                    dbiases[d + at + k] += q[k];
                }
            }
        }
    }
}

/// s ← softmax(s + r).
#[inline(always)]
fn softmax<T: Real>(s: &mut [T], r: &[T], fused: bool) {
    let mut top = T::LOWEST;
    for (s, &r) in s.iter_mut().zip(r) {
        *s += r;
        top = top.larger(*s);
    }
    for s in s.iter_mut() {
        *s = (*s - top).exp(fused);
    }
    let inverse = T::ONE / sum(s);
    for s in s.iter_mut() {
        *s *= inverse;
    }
}
