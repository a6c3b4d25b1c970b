//! Features of audio that comes piece by piece.

use crate::{Error, Fbank, Features, Result, Waveform};

/// The filterbank over a recording that is still going on: each frame leaves as soon as its window is full, with the values it
/// has in the whole recording.
///
/// # Proved by
///
/// `fbank_stream_equals_the_whole_recording`.
#[derive(Clone)]
pub struct FbankStream {
    fbank: Fbank,
    /// Samples that later frames see.
    waiting: Vec<f32>,
}

impl Fbank {
    /// Starts a recording.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with dither, whose noise belongs to the whole recording.
    pub fn stream(&self) -> Result<FbankStream> {
        match self.config().dither > 0.0 {
            true => Err(Error::Config {
                what: "dither",
                expected: "0 in a stream".into(),
                got: self.config().dither.to_string(),
            }),
            false => Ok(FbankStream {
                fbank: self.clone(),
                waiting: vec![],
            }),
        }
    }
}

impl FbankStream {
    /// The next samples; returns the frames that are ready, none if no window is full yet.
    ///
    /// # Errors
    ///
    /// [`Error::NotFiniteSample`], its index counted from what is still waiting.
    pub fn push(&mut self, samples: &[f32]) -> Result<Features> {
        self.waiting.extend_from_slice(samples);
        let num_frames = self.fbank.num_frames(self.waiting.len());
        if num_frames == 0 {
            return Ok(Features {
                values: vec![],
                num_frames: 0,
                num_bins: self.fbank.config().num_bins,
            });
        }
        let waveform = Waveform {
            samples: std::mem::take(&mut self.waiting),
            sample_rate: self.fbank.config().sample_rate,
        };
        let features = self.fbank.compute(&waveform)?;
        self.waiting = waveform.samples[num_frames * self.fbank.shift()..].to_vec();
        Ok(features)
    }
}
