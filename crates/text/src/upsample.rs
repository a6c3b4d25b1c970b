//! Labels stretched towards the frame rate of speech.

use std::ops::RangeInclusive;

use rand::Rng;

use crate::random::generator;

/// Each label as often as its duration says; a duration of 0 drops the label.
///
/// # Shapes
///
/// * `labels`: `[U]`; `durations`: `[U]`, in output positions.
/// * returns `[Σ durations]`.
///
/// # Panics
///
/// If there are not as many durations as labels.
///
/// # Proved by
///
/// `upsample_has_the_sum_of_durations`.
///
/// # Example
///
/// ```
/// assert_eq!(sandhi_text::upsample(&[7, 8, 9], &[2, 0, 3]), [7, 7, 9, 9, 9]);
/// ```
pub fn upsample(labels: &[u32], durations: &[usize]) -> Vec<u32> {
    assert_eq!(labels.len(), durations.len(), "every label needs one duration");
    labels
        .iter()
        .zip(durations)
        .flat_map(|(&label, &duration)| std::iter::repeat_n(label, duration))
        .collect()
}

/// Each label `times` times: the fixed repetition of JOIST.
///
/// # Source
///
/// Sainath et al. 2022, arXiv:2210.07353.
pub fn repeat(labels: &[u32], times: usize) -> Vec<u32> {
    upsample(labels, &vec![times; labels.len()])
}

/// Each label a number of times drawn uniformly and independently from `times`: the random repetition of
/// JOIST.
///
/// The draws are a function of `seed` and the position, not of the labels.
///
/// # Panics
///
/// If `times` is empty, as `3..=1` is.
///
/// # Source
///
/// Sainath et al. 2022, arXiv:2210.07353.
///
/// # Proved by
///
/// `repeat_random_stays_in_range_and_order`.
pub fn repeat_random(labels: &[u32], times: RangeInclusive<usize>, seed: u64) -> Vec<u32> {
    let mut rng = generator(seed, "repeat");
    let durations: Vec<usize> = labels.iter().map(|_| rng.random_range(times.clone())).collect();
    upsample(labels, &durations)
}

/// How many frames each label holds, from when it is emitted to when the next one is.
///
/// The first label also holds the frames before it, the last one those up to the end, so the durations add up to `frames`.
/// Where labels share a frame, the later ones move on, and where there is no room left the earlier ones move back, by as
/// little as gives each label a frame of its own. With more labels than frames the first ones get none.
///
/// # Shapes
///
/// * `emissions`: `[U]`, non-decreasing, below `frames`; returns `[U]`. Without labels nothing is returned.
///
/// # Proved by
///
/// `durations_add_up_to_the_frames`, `durations_of_emissions_apart_are_their_distances`.
///
/// # Example
///
/// ```
/// // Emitted at frames 2, 5 and 5 of 8: the labels start at 0, 5 and 6.
/// assert_eq!(sandhi_text::durations(&[2, 5, 5], 8), [5, 1, 2]);
/// ```
pub fn durations(emissions: &[usize], frames: usize) -> Vec<usize> {
    let labels = emissions.len();
    let mut starts = vec![0; labels + 1];
    starts[labels] = frames;
    for u in 1..labels {
        // As many frames must be left as there are labels from here on.
        let latest = (frames + u).saturating_sub(labels);
        starts[u] = emissions[u].max(starts[u - 1] + 1).min(latest);
    }
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
