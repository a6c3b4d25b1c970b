//! Samples and where they come from.

use std::path::Path;

use crate::container::Container;
use crate::{Error, Result, decode};

/// One channel of audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// Samples in −1..1 (full scale of the integer formats; floating-point files may go beyond).
    pub samples: Vec<f32>,
    /// Samples per second.
    pub sample_rate: u32,
}

impl Waveform {
    /// Reads a whole file: WAV (integer of 8, 16, 24 or 32 bits, float of 32 or 64, plain or extensible header),
    /// FLAC, MP3 or Ogg Vorbis. The content decides, not the name.
    ///
    /// Channels are averaged. What the encoder of an MP3 or Vorbis file put before and after the audio is cut off,
    /// as far as the file says how much that is, so that sample 0 is sample 0 of what was encoded: an MP3 file
    /// without a LAME tag does not say it and keeps its delay.
    /// The sample rate is that of the file: nothing is resampled. A WAV header whose sizes were left open
    /// (0, or 2 GiB and above, as programs write that stream into a pipe) is taken to reach to the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file cannot be read; [`Error::NotAudio`], [`Error::Codec`] if it is something else;
    /// [`Error::Truncated`] if it ends early; [`Error::Decode`] if it is damaged (for FLAC the checksum of the
    /// audio is verified); [`Error::Empty`] if it holds no sample; [`Error::NotFinite`] if a sample is not finite.
    ///
    /// # Proved by
    ///
    /// `wav_every_format_reads_back`, `mp3_length_equals_original`, `files_cut_anywhere_never_panic`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|reason| Error::Read {
            path: path.to_path_buf(),
            reason,
        })?;
        let container = Container::sniff(&bytes);
        let waveform = decode::contain(path, || decode::decode(path, container, bytes))?;
        if waveform.samples.is_empty() {
            return Err(Error::Empty {
                path: path.to_path_buf(),
            });
        }
        match waveform.first_not_finite() {
            Some(index) => Err(Error::NotFinite {
                path: path.to_path_buf(),
                index,
            }),
            None => Ok(waveform),
        }
    }

    /// Reads a file that must have the given sample rate.
    ///
    /// # Errors
    ///
    /// [`Error::SampleRate`] with both rates if it has another one, and those of [`Waveform::read`].
    pub fn read_at(path: &Path, sample_rate: u32) -> Result<Self> {
        let waveform = Self::read(path)?;
        if waveform.sample_rate != sample_rate {
            return Err(Error::SampleRate {
                path: path.to_path_buf(),
                expected: sample_rate,
                got: waveform.sample_rate,
            });
        }
        Ok(waveform)
    }

    /// Length in seconds.
    pub fn duration(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }

    /// Position of the first sample that is infinite or not a number.
    pub(crate) fn first_not_finite(&self) -> Option<usize> {
        self.samples.iter().position(|x| !x.is_finite())
    }
}
