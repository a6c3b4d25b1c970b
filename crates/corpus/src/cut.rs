//! A cut: the piece of a recording that is trained on, with what is said in it.

use std::path::PathBuf;

/// A word or a phone and when it is spoken.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// The word, or the phone's name.
    pub text: String,
    /// Seconds from the cut's start.
    pub start: f64,
    /// Seconds from the cut's start; never before `start`.
    pub end: f64,
}

/// How a synthetic cut was spoken.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthesis {
    /// The synthesizer's voice.
    pub voice: String,
    /// All formants times this factor.
    pub formant: f64,
    /// Durations times this factor, after the formant shift is made good.
    pub stretch: f64,
    /// Mean fundamental frequency asked for, in Hz, as heard; none where the voice keeps its own.
    pub f0_mean: Option<f64>,
    /// Standard deviation of the fundamental frequency asked for, in Hz, as heard; none where the voice keeps its own.
    pub f0_stddev: Option<f64>,
    /// Pitch asked for on the synthesizer's own scale, where that is not in Hz; espeak-ng's goes from 0 to 99.
    pub pitch: Option<u32>,
    /// The loudest sample, in dB below full scale (negative).
    pub peak_db: f64,
}

/// A piece of a recording with its transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    /// Unique within a manifest.
    pub id: String,
    /// The audio file, resolved.
    pub audio: PathBuf,
    /// Seconds from the recording's start.
    pub start: f64,
    /// Seconds.
    pub duration: f64,
    /// Samples of this cut at `sample_rate`.
    pub num_samples: u64,
    /// Hertz.
    pub sample_rate: u32,
    /// Who speaks.
    pub speaker: String,
    /// ISO 639-1 code of the language spoken.
    pub language: String,
    /// What is said: lower-case words.
    pub text: String,
    /// The sentence's number, shared by its translations and by all readings of it.
    pub sentence: u32,
    /// Gold word times, empty where there are none.
    pub words: Vec<Interval>,
    /// Gold phone times, pauses included as `pau`; empty where there are none.
    pub phones: Vec<Interval>,
    /// Whether the cut belongs to the small paired subset of the text-injection experiments.
    pub low_resource: bool,
    /// How it was synthesized, if it was.
    pub synthesis: Option<Synthesis>,
}
