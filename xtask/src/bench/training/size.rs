//! The models and batches that are trained, and the arithmetic they take.

use clap::ValueEnum;
use serde::Serialize;

use super::pieces::Piece;

/// A model and a batch, as both workers are told.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Size {
    /// Utterances.
    batch: usize,
    /// Feature frames of the longest, 10 ms each.
    frames: usize,
    /// Labels of the longest.
    labels: usize,
    /// Labels there are, blank included.
    vocabulary: usize,
    num_bins: usize,
    channels: usize,
    dim: usize,
    heads: usize,
    kernel: usize,
    feed_forward: usize,
    speech_blocks: usize,
    shared_blocks: usize,
    predictor_dim: usize,
    predictor_layers: usize,
    joiner_dim: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// The model that `reproduce astra --scale mini` trains; 16 utterances of 6 s
    Mini,
    /// Twice as wide, three times as deep; 8 utterances of 10 s
    Base,
}

impl Preset {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mini => "mini",
            Self::Base => "base",
        }
    }

    pub(crate) fn size(self) -> Size {
        let mini = Size {
            batch: 16,
            frames: 600,
            labels: 40,
            vocabulary: 64,
            num_bins: 80,
            channels: 32,
            dim: 128,
            heads: 4,
            kernel: 15,
            feed_forward: 512,
            speech_blocks: 2,
            shared_blocks: 2,
            predictor_dim: 128,
            predictor_layers: 2,
            joiner_dim: 128,
        };
        match self {
            Self::Mini => mini,
            Self::Base => Size {
                batch: 8,
                frames: 1000,
                labels: 64,
                channels: 64,
                dim: 256,
                feed_forward: 1024,
                speech_blocks: 6,
                shared_blocks: 6,
                predictor_dim: 256,
                joiner_dim: 256,
                ..mini
            },
        }
    }
}

/// An extent after one of the subsampling's convolutions.
fn halved(n: usize) -> usize {
    (n - 3) / 2 + 1
}

impl Size {
    /// The sizes of the square product that stands for what the machine can do.
    pub(crate) fn of_product() -> Self {
        Self {
            dim: 2048,
            ..Preset::Mini.size()
        }
    }

    /// Encoder frames of the longest utterance.
    fn encoded(&self) -> usize {
        halved(halved(self.frames))
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "{} utterances of up to {} feature frames ({:.0} s) and {} labels out of {}; width {}, {} heads, kernel {}, \
             feed-forward {}, {} blocks, subsampling through {} channels, {} LSTM layers of {}, joiner {}",
            self.batch,
            self.frames,
            self.frames as f64 / 100.0,
            self.labels,
            self.vocabulary,
            self.dim,
            self.heads,
            self.kernel,
            self.feed_forward,
            self.speech_blocks + self.shared_blocks,
            self.channels,
            self.predictor_layers,
            self.predictor_dim,
            self.joiner_dim
        )
    }

    /// GFLOP of a piece, two for a multiplication and an addition, over the padded batch: what matrix products and
    /// convolutions take forwards and, twice that, backwards. The rest (norms, activations, the lattice) is not counted, nor is
    /// what an implementation computes twice.
    pub(crate) fn gigaflops(&self, piece: Piece) -> f64 {
        let trained = |multiplications: usize| 6.0 * multiplications as f64;
        let flops = match piece {
            Piece::Product => 2.0 * self.dim.pow(3) as f64,
            // No gradient of the features is wanted.
            Piece::Encoder => trained(self.encoder()) - 2.0 * self.first_convolution() as f64,
            Piece::Predictor => trained(self.predictor()),
            Piece::Joiner => trained(self.joiner()),
            Piece::Step => {
                let pieces = [Piece::Encoder, Piece::Predictor, Piece::Joiner];
                return pieces.into_iter().map(|piece| self.gigaflops(piece)).sum();
            }
            Piece::Optimizer | Piece::Data => 0.0,
        };
        flops / 1e9
    }

    fn first_convolution(&self) -> usize {
        self.batch * halved(self.frames) * halved(self.num_bins) * 9 * self.channels
    }

    fn encoder(&self) -> usize {
        let (t, d, rows) = (self.encoded(), self.dim, self.batch * self.encoded());
        let bins = halved(halved(self.num_bins));
        let second = rows * bins * 9 * self.channels * self.channels;
        let output = rows * bins * self.channels * d;
        let offsets = 2 * t - 1;
        // Two feed-forwards; queries, keys, values and output; what the convolution module has.
        let linear = rows * (4 * d * self.feed_forward + 4 * d * d + 3 * d * d + self.kernel * d);
        // Scores by content and by offset, the weighted sum; the projection of the offsets is the same for all utterances.
        let attention = rows * d * (t + offsets + t) + offsets * d * d;
        let blocks = self.speech_blocks + self.shared_blocks;
        self.first_convolution() + second + output + blocks * (linear + attention)
    }

    fn predictor(&self) -> usize {
        let p = self.predictor_dim;
        self.batch * (self.labels + 1) * self.predictor_layers * 8 * p * p
    }

    fn joiner(&self) -> usize {
        let (frames, columns, hidden) = (self.encoded(), self.labels + 1, self.joiner_dim);
        let projections = frames * self.dim * hidden + columns * self.predictor_dim * hidden;
        self.batch * (projections + frames * columns * hidden * self.vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One utterance, one block, everything of extent 1 or as small as the subsampling allows.
    #[test]
    fn arithmetic_is_counted() {
        let size = Size {
            batch: 1,
            frames: 7,
            labels: 0,
            vocabulary: 5,
            num_bins: 7,
            channels: 1,
            dim: 1,
            heads: 1,
            kernel: 3,
            feed_forward: 2,
            speech_blocks: 1,
            shared_blocks: 0,
            predictor_dim: 1,
            predictor_layers: 1,
            joiner_dim: 1,
        };
        let flops = |piece| (size.gigaflops(piece) * 1e9).round() as usize;
        // First convolution 3 · 3 · 9, second 9, output 1; feed-forwards 8, maps 7, kernel 3; attention 3 and an offset 1.
        assert_eq!(
            flops(Piece::Encoder),
            6 * (81 + 9 + 1 + 8 + 7 + 3 + 3 + 1) - 2 * 81
        );
        assert_eq!(flops(Piece::Predictor), 6 * 8);
        assert_eq!(flops(Piece::Joiner), 6 * (1 + 1 + 5));
        assert_eq!(flops(Piece::Step), flops(Piece::Encoder) + 48 + 42);
        assert_eq!(flops(Piece::Optimizer), 0);
        assert_eq!(
            Size::of_product().gigaflops(Piece::Product),
            2.0 * 2048f64.powi(3) / 1e9
        );
    }

    #[test]
    fn presets_are_the_ones_described() {
        let mini = Preset::Mini.size();
        assert_eq!(mini.encoded(), 149);
        assert!(
            mini.describe()
                .starts_with("16 utterances of up to 600 feature frames (6 s) and 40 labels out of 64")
        );
        assert!(
            Preset::Base
                .size()
                .describe()
                .contains("width 256, 4 heads, kernel 15, feed-forward 1024, 12 blocks")
        );
        assert!(Preset::Base.size().gigaflops(Piece::Step) > 5.0 * mini.gigaflops(Piece::Step));
    }
}
