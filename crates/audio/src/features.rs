//! Log-mel vectors of one utterance.

/// Log-mel features, row major `[T, F]`: one row per feature frame, one column per mel bin.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// `num_frames * num_bins` values, a frame after the other.
    pub values: Vec<f32>,
    /// Feature frames T.
    pub num_frames: usize,
    /// Mel bins F.
    pub num_bins: usize,
}

impl Features {
    /// The bins of feature frame `t`.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn frame(&self, t: usize) -> &[f32] {
        &self.values[t * self.num_bins..(t + 1) * self.num_bins]
    }
}
