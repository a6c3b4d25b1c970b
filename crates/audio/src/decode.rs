//! Bytes to samples, through symphonia, which is not trusted with damaged files.

use std::any::Any;
use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_SPEEX,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioDecoderOptions};
use symphonia::core::errors::Error as DecoderError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::{get_codecs, get_probe};

use crate::container::{self, Container};
use crate::{Error, Result, Waveform};

/// Runs a decoder and turns a panic of it into [`Error::Decode`].
pub(crate) fn contain<T>(path: &Path, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing outlives the closure but its result, so a state broken by the panic is never seen.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        Err(damaged(
            path,
            format!("the decoder panicked: {}", panic_message(panic.as_ref())),
        ))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn damaged(path: &Path, detail: String) -> Error {
    Error::Decode {
        path: path.to_path_buf(),
        detail,
    }
}

fn truncated(path: &Path, detail: String) -> Error {
    Error::Truncated {
        path: path.to_path_buf(),
        detail,
    }
}

fn is_end_of_file(error: &DecoderError) -> bool {
    matches!(error, DecoderError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof)
}

fn codec_name(codec: AudioCodecId) -> String {
    match codec {
        CODEC_ID_OPUS => "Opus".into(),
        CODEC_ID_SPEEX => "Speex".into(),
        CODEC_ID_AAC => "AAC".into(),
        CODEC_ID_MP1 => "MPEG layer I".into(),
        CODEC_ID_MP2 => "MPEG layer II".into(),
        other => format!("codec {other}"),
    }
}

/// Decodes a whole file, averages its channels, and checks that all of it was there.
pub(crate) fn decode(path: &Path, container: Container, mut bytes: Vec<u8>) -> Result<Waveform> {
    match container {
        Container::Wave => container::close_wave_sizes(&mut bytes),
        Container::Ogg => {
            if let Some(codec) = container::ogg_foreign_codec(&bytes) {
                return Err(Error::Codec {
                    path: path.to_path_buf(),
                    codec: codec.into(),
                });
            }
            if !container::ogg_is_whole(&bytes) {
                return Err(truncated(
                    path,
                    "the last ogg page of the stream is missing".into(),
                ));
            }
        }
        Container::Flac | Container::Other => {}
    }
    let mut format = open(path, container, bytes)?;
    let Some(track) = format.default_track(TrackType::Audio) else {
        return Err(damaged(path, "the file has no audio track".into()));
    };
    let (id, delay, promised) = (track.id, track.delay, track.num_frames);
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(Error::Codec {
            path: path.to_path_buf(),
            codec: "an unknown codec".into(),
        });
    };
    // Without a LAME tag the length of an MP3 file is a guess from its bit rate: it must cut nothing.
    let guessed = parameters.codec == CODEC_ID_MP3 && delay.is_none();
    let options = AudioDecoderOptions::default().gapless(!guessed).verify(true);
    let mut decoder = get_codecs()
        .make_audio_decoder(parameters, &options)
        .map_err(|error| match error {
            DecoderError::Unsupported(_) => Error::Codec {
                path: path.to_path_buf(),
                codec: codec_name(parameters.codec),
            },
            other => damaged(path, other.to_string()),
        })?;

    let mut samples: Vec<f32> = Vec::new();
    let mut interleaved: Vec<f32> = Vec::new();
    let mut sample_rate = parameters.sample_rate.unwrap_or(0);
    let mut ended_early = false;
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) if is_end_of_file(&error) => {
                ended_early = true;
                break;
            }
            Err(error) => return Err(damaged(path, format!("{error}, at sample {}", samples.len()))),
        };
        if packet.track_id != id {
            continue;
        }
        let buffer = decoder
            .decode(&packet)
            .map_err(|error| damaged(path, format!("{error}, at sample {}", samples.len())))?;
        let (rate, channels) = (buffer.spec().rate(), buffer.num_planes());
        if !samples.is_empty() && rate != sample_rate {
            let detail = format!(
                "the sample rate changes from {sample_rate} to {rate} Hz at sample {}",
                samples.len()
            );
            return Err(damaged(path, detail));
        }
        sample_rate = rate;
        if buffer.frames() == 0 || channels == 0 {
            continue;
        }
        buffer.copy_to_vec_interleaved(&mut interleaved);
        if channels == 1 {
            samples.extend_from_slice(&interleaved);
        } else {
            let scale = 1.0 / channels as f32;
            samples.extend(
                interleaved
                    .chunks_exact(channels)
                    .map(|frame| frame.iter().sum::<f32>() * scale),
            );
        }
    }
    let got = samples.len() as u64;
    match promised {
        Some(expected) if !guessed && got < expected => {
            return Err(truncated(
                path,
                format!("the header promises {expected} samples, got {got}"),
            ));
        }
        _ if ended_early => {
            return Err(truncated(
                path,
                format!("the file ends inside the audio, at sample {got}"),
            ));
        }
        _ => {}
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(damaged(
            path,
            "the checksum of the decoded audio is not the one in the header".into(),
        ));
    }
    if sample_rate == 0 {
        return Err(damaged(path, "the header gives no sample rate".into()));
    }
    Ok(Waveform { samples, sample_rate })
}

/// Finds the reader of the container. The name of the file is no hint: names lie, bytes do not.
fn open(path: &Path, container: Container, bytes: Vec<u8>) -> Result<Box<dyn FormatReader>> {
    let found = container::describe(&bytes);
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    get_probe()
        .probe(&Hint::new(), source, Default::default(), Default::default())
        .map_err(|error| match (container, error) {
            (Container::Other, _) => Error::NotAudio {
                path: path.to_path_buf(),
                found,
            },
            (_, error) if is_end_of_file(&error) => truncated(path, "the file ends inside its header".into()),
            (_, DecoderError::Unsupported(what)) => Error::Codec {
                path: path.to_path_buf(),
                codec: what.into(),
            },
            (_, error) => damaged(path, error.to_string()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoder_panic_becomes_an_error_with_path_and_message() {
        let error = contain::<()>(Path::new("a.flac"), || panic!("index out of {}", "bounds")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.flac: cannot decode: the decoder panicked: index out of bounds"
        );
    }
}
