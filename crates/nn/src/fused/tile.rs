//! How a batch is divided: a few utterances at a time, their valid frames one below the other.

use sandhi_core::Lengths;

/// Rows that a tile has at least, if there are as many: enough for a matrix product to be fast, few enough that the
/// activations of a layer stay in the second cache. A constant, so that sums do not depend on the number of threads.
const ROWS: usize = 128;

/// The valid frames of one utterance within a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) utterance: usize,
    /// The first row.
    pub(crate) start: usize,
    pub(crate) frames: usize,
}

/// Utterances that are computed together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tile {
    pub(crate) segments: Vec<Segment>,
    pub(crate) rows: usize,
}

impl Tile {
    /// The index in a padded `[B, T, width]` at which each row starts.
    pub(crate) fn starts(&self, frames: usize, width: usize) -> Vec<u32> {
        let segment = |s: &Segment| {
            let first = s.utterance * frames;
            (first..first + s.frames).map(move |row| (row * width) as u32)
        };
        self.segments.iter().flat_map(segment).collect()
    }
}

/// The tiles of a batch. Consecutive utterances share one until it has enough rows.
pub(crate) fn tiles(lengths: &Lengths) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut open = Tile::default();
    for (utterance, &frames) in lengths.as_slice().iter().enumerate() {
        let start = open.rows;
        open.segments.push(Segment {
            utterance,
            start,
            frames,
        });
        open.rows += frames;
        if open.rows >= ROWS {
            tiles.push(std::mem::take(&mut open));
        }
    }
    if !open.segments.is_empty() {
        tiles.push(open);
    }
    tiles
}
