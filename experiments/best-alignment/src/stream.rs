//! A file heard as if it were being spoken: partial results while it goes on, the full-context result at its end.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use console::{Term, measure_text_width};
use sandhi_audio::{Fbank, FbankStream, Features, Waveform};
use sandhi_core::{Lengths, Padded};
use sandhi_model::{CascadeModel, CascadeStream, HostDecoder, State};
use sandhi_nn::Mode;
use sandhi_recipe::{Decoding, Frontends, Recogniser, heard_by, recognise};
use sandhi_transducer::GreedyStream;

use crate::experiment::BestAlignment;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The run directory, or an export
    #[arg(long, default_value = "runs/best-alignment/mini/best/seed-0")]
    run: PathBuf,
    /// Milliseconds of audio that arrive at a time
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    piece: u64,
    /// Wait for each piece as a microphone would
    #[arg(long)]
    realtime: bool,
    /// Audio file: WAV, FLAC, MP3 or Ogg Vorbis
    file: PathBuf,
}

/// Prints a line each time the streaming decoder writes more: seconds heard, a tab, `partial`, a tab, the text so far. Then the first
/// pass as `first`, and what the full-context decoder makes of all of it as `final`. On a terminal partial results replace one another.
/// The first pass is greedy, so that what is written stays; a beam is for the second.
pub(crate) fn stream(options: &Options) -> Result<()> {
    let recogniser = Recogniser::<BestAlignment>::open(&options.run)?;
    let config = &recogniser.config;
    ensure!(
        recogniser.frontends.can_stream(),
        "{}: its features are normalised by the whole utterance, which a stream does not have; expected normalization = \"corpus\"",
        options.run.display()
    );
    let rate = config.fbank.sample_rate;
    let waveform = Waveform::read_at(&options.file, rate)?;
    let fbank = Fbank::new(&config.fbank)?;
    let mut listener = Listener::new(
        &recogniser.network,
        &recogniser.frontends,
        &fbank,
        config.decoding(),
    )?;

    let terminal = Term::stdout();
    let replaced = terminal.is_term();
    let mut out = std::io::stdout().lock();
    let (begun, mut computing, mut shown) = (Instant::now(), Duration::ZERO, String::new());
    let samples = (u64::from(rate) * options.piece / 1000).max(1) as usize;
    let mut heard = 0;
    for piece in waveform.samples.chunks(samples) {
        heard += piece.len();
        let seconds = heard as f64 / f64::from(rate);
        if options.realtime {
            std::thread::sleep(Duration::from_secs_f64(seconds).saturating_sub(begun.elapsed()));
        }
        let started = Instant::now();
        let text = listener
            .hear(piece)
            .with_context(|| options.file.display().to_string())?;
        computing += started.elapsed();
        if text != shown {
            match replaced {
                true => {
                    let before = format!("{seconds:6.2} s  ");
                    // A line that wraps could not be replaced.
                    let room = usize::from(terminal.size().1).saturating_sub(before.len() + 1);
                    write!(out, "\r\x1b[K{before}{}", tail(&text, room))?;
                }
                false => writeln!(out, "{seconds:.2}\tpartial\t{text}")?,
            }
            out.flush()?;
            shown = text;
        }
    }
    let seconds = waveform.duration();
    let started = Instant::now();
    let (first, last) = listener
        .finish()
        .with_context(|| options.file.display().to_string())?;
    computing += started.elapsed();
    if replaced {
        write!(out, "\r\x1b[K")?;
    }
    writeln!(out, "{seconds:.2}\tfirst\t{first}\n{seconds:.2}\tfinal\t{last}")?;
    writeln!(
        std::io::stderr(),
        "{seconds:.2} s of speech in {:.2} s of computing ({:.0}x real time); frames wait for {:.0} ms of speech at most, words for as much and for the decoder to be sure",
        computing.as_secs_f64(),
        seconds / computing.as_secs_f64().max(1e-9),
        encoder_wait_ms(config)
    )?;
    Ok(())
}

/// The end of a text, as much as so many columns hold.
fn tail(text: &str, columns: usize) -> Cow<'_, str> {
    if measure_text_width(text) <= columns {
        return text.into();
    }
    let mut end = text.chars();
    while measure_text_width(end.as_str()) >= columns.max(1) {
        end.next();
    }
    format!("…{}", end.as_str()).into()
}

/// Milliseconds from a sound until the encoder frame that hears it first can be computed, at most: where a chunk begins.
fn encoder_wait_ms(config: &crate::config::Config) -> f64 {
    let forever = usize::MAX;
    1000.0 * heard_by(config.streaming_reach(0, forever), &config.fbank)
}

/// One utterance on its way.
struct Listener<'a> {
    model: &'a CascadeModel,
    frontends: &'a Frontends,
    decoding: Decoding,
    fbank: FbankStream,
    encoders: CascadeStream,
    decoder: HostDecoder,
    search: GreedyStream<State>,
    /// What the streaming encoder has made so far, for the second pass: `[1, n, D]` each.
    frames: Vec<Tensor>,
    first: String,
}

impl<'a> Listener<'a> {
    fn new(
        model: &'a CascadeModel,
        frontends: &'a Frontends,
        fbank: &Fbank,
        decoding: Decoding,
    ) -> Result<Self> {
        Ok(Self {
            encoders: model.stream()?,
            decoder: model.streaming_decoder().on_host()?,
            search: decoding.greedy().stream(),
            fbank: fbank.stream()?,
            frames: vec![],
            first: String::new(),
            model,
            frontends,
            decoding,
        })
    }

    /// The next samples; returns the text so far.
    fn hear(&mut self, samples: &[f32]) -> Result<String> {
        let features = self.fbank.push(samples)?;
        if features.num_frames > 0
            && let Some(frames) = self.encoders.push(&self.normalized(features)?)?
        {
            self.decode(&frames)?;
        }
        Ok(self.first.clone())
    }

    fn normalized(&self, mut features: Features) -> Result<Tensor> {
        self.frontends.normalize(&mut features)?;
        let shape = (features.num_frames, features.num_bins);
        Ok(Tensor::from_vec(features.values, shape, &Device::Cpu)?)
    }

    fn decode(&mut self, frames: &Padded) -> Result<()> {
        let hypothesis = self.search.push(&self.decoder.steps(frames)?)?;
        self.first = self.frontends.labels.decode(&hypothesis.labels)?;
        self.frames.push(frames.values().detach());
        Ok(())
    }

    /// The text of the first pass, and of the second over all of the speech.
    fn finish(mut self) -> Result<(String, String)> {
        let encoders = self.encoders.clone();
        if let Some(frames) = encoders.finish()? {
            self.decode(&frames)?;
        }
        ensure!(!self.frames.is_empty(), "too short for a frame of the encoder");
        let all = Tensor::cat(&self.frames, 1)?;
        let lengths = Lengths::new(vec![all.dims()[1]]);
        let last = self.model.second_pass(&Padded::new(all, lengths)?, Mode::Eval)?;
        let hypothesis = recognise(self.model.full_decoder(), &last.detach(), &self.decoding)?;
        let text = hypothesis.iter().flat_map(|h| h.labels.iter().copied());
        let text = self.frontends.labels.decode(&text.collect::<Vec<u32>>())?;
        Ok((self.first, text))
    }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn what_a_line_does_not_hold_is_left_out_at_its_beginning() {
        assert_eq!(tail("call anna", 9), "call anna");
        assert_eq!(tail("call anna", 8), "…ll anna");
        assert_eq!(tail("appelle élodie", 7), "…élodie");
        assert_eq!(tail("call", 0), "…");
    }
}
