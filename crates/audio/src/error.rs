//! What can go wrong between a file and its features.

use std::path::PathBuf;

/// The errors of this crate. Those of reading carry the path of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is missing, is a directory, or may not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// The content is not in a format this crate reads, whatever the name of the file says.
    #[error("{}: not an audio file; expected wav, flac, mp3 or ogg vorbis, got {found}", path.display())]
    NotAudio {
        /// The file asked for.
        path: PathBuf,
        /// What the first bytes look like.
        found: String,
    },
    /// The container is understood, the codec in it is not.
    #[error("{}: no decoder for {codec}; convert it to wav, flac, mp3 or ogg vorbis", path.display())]
    Codec {
        /// The file asked for.
        path: PathBuf,
        /// Name of the codec, for example `Opus`.
        codec: String,
    },
    /// The file ends before the audio its header promises.
    #[error("{}: truncated: {detail}", path.display())]
    Truncated {
        /// The file asked for.
        path: PathBuf,
        /// What was promised and what is there.
        detail: String,
    },
    /// The audio is damaged, or its decoder gave up (a panic of the decoder ends here too).
    #[error("{}: cannot decode: {detail}", path.display())]
    Decode {
        /// The file asked for.
        path: PathBuf,
        /// What the decoder said, and where.
        detail: String,
    },
    /// The file is well formed and holds no sample.
    #[error("{}: no audio: the file holds 0 samples", path.display())]
    Empty {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file has another sample rate than the caller works at.
    #[error(
        "{}: sample rate: expected {expected} Hz, got {got} Hz; resample the file first \
         (sandhi_audio::resample, or ffmpeg -ar {expected})", path.display()
    )]
    SampleRate {
        /// The file asked for.
        path: PathBuf,
        /// Rate asked for, in Hz.
        expected: u32,
        /// Rate of the file, in Hz.
        got: u32,
    },
    /// A floating-point file holds a sample that is not a number or is infinite.
    #[error("{}: sample {index} is not finite", path.display())]
    NotFinite {
        /// The file asked for.
        path: PathBuf,
        /// Position of the first such sample, counted per channel.
        index: usize,
    },
    /// A waveform in memory holds a sample that is not a number or is infinite.
    #[error("waveform: sample {index} is not finite")]
    NotFiniteSample {
        /// Position of the first such sample.
        index: usize,
    },
    /// A waveform in memory has another sample rate than the filterbank was built for.
    #[error("waveform: sample rate: expected {expected} Hz, got {got} Hz; resample it first")]
    WaveformRate {
        /// Rate of the filterbank, in Hz.
        expected: u32,
        /// Rate of the waveform, in Hz.
        got: u32,
    },
    /// Not one window fits in the audio.
    #[error("audio too short: {samples} samples, one window needs {window}")]
    TooShort {
        /// Samples of the waveform.
        samples: usize,
        /// Samples of one analysis window.
        window: usize,
    },
    /// A setting is outside its domain.
    #[error("{what}: expected {expected}, got {got}")]
    Config {
        /// The setting.
        what: &'static str,
        /// Its domain.
        expected: String,
        /// Its value.
        got: String,
    },
    /// Features and statistics disagree about the number of mel bins.
    #[error("features: expected {expected} bins, got {got}")]
    Bins {
        /// Bins of the statistics.
        expected: usize,
        /// Bins of the features.
        got: usize,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
