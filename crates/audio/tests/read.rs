//! Files that are what they should be.

// The lint knows tests, not the functions they share.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Format, encode, fixture, sweep, wav, wav16};
use sandhi_audio::Waveform;

/// Writes bytes to a file and reads it as audio.
fn read(bytes: &[u8]) -> Waveform {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Waveform::read(file.path()).unwrap()
}

fn expected(length: usize) -> Vec<f32> {
    sweep(length)
        .into_iter()
        .map(|s| f32::from(s) / 32768.0)
        .collect()
}

/// Signal to noise in dB of `got` against `want`.
fn fidelity(got: &[f32], want: &[f32]) -> f64 {
    let power = |x: f32| f64::from(x) * f64::from(x);
    let signal: f64 = want.iter().map(|&x| power(x)).sum();
    let noise: f64 = got.iter().zip(want).map(|(&a, &b)| power(a - b)).sum();
    10.0 * (signal / noise).log10()
}

#[test]
fn wav_every_format_reads_back() {
    let samples: Vec<f64> = (0..1001).map(|n| (f64::from(n) * 0.1).sin() * 0.9).collect();
    let kinds = [
        (8, false),
        (16, false),
        (24, false),
        (32, false),
        (32, true),
        (64, true),
    ];
    for extensible in [false, true] {
        for (bits, float) in kinds {
            let format = Format {
                bits,
                float,
                extensible,
                channels: 1,
            };
            let waveform = read(&wav(&encode(&samples, format), format, 22050));
            assert_eq!(
                (waveform.samples.len(), waveform.sample_rate),
                (1001, 22050),
                "{format:?}"
            );
            // Half a step of the integers, and the last bit of f32.
            let step = if float {
                0.0
            } else {
                0.5 / f64::from(bits - 1).exp2()
            } + 1e-7;
            for (got, want) in waveform.samples.iter().zip(&samples) {
                assert!((f64::from(*got) - want).abs() <= step, "{format:?}: {got} {want}");
            }
        }
    }
}

#[test]
fn wav_of_16_bits_is_exact_at_its_extremes() {
    let waveform = read(&wav16(&[i16::MIN, -1, 0, 1, i16::MAX], 16000));
    assert_eq!(
        waveform.samples,
        [-1.0, -1.0 / 32768.0, 0.0, 1.0 / 32768.0, 32767.0 / 32768.0]
    );
}

#[test]
fn wav_float_beyond_full_scale_is_not_clipped() {
    let format = Format {
        bits: 32,
        float: true,
        extensible: false,
        channels: 1,
    };
    assert_eq!(
        read(&wav(&encode(&[1.5, -2.25], format), format, 16000)).samples,
        [1.5, -2.25]
    );
}

#[test]
fn channels_are_averaged() {
    for extensible in [false, true] {
        for channels in [2u16, 3, 6] {
            let format = Format {
                bits: 16,
                float: false,
                extensible,
                channels,
            };
            // Frame n holds n, 2n, 3n, ...: its mean is n (C + 1) / 2.
            let frames = 0..500;
            let values =
                frames.flat_map(|n| (1..=channels).map(move |c| f64::from(n * i32::from(c)) / 32768.0));
            let waveform = read(&wav(&encode(&values.collect::<Vec<_>>(), format), format, 16000));
            assert_eq!(waveform.samples.len(), 500);
            for (n, got) in waveform.samples.iter().enumerate() {
                let want = n as f32 * f32::from(channels + 1) / 2.0 / 32768.0;
                assert!(
                    (got - want).abs() < 1e-6,
                    "{channels} channels, frame {n}: {got} {want}"
                );
            }
        }
    }
}

#[test]
fn flac_is_lossless() {
    let waveform = Waveform::read(&fixture("sweep.flac")).unwrap();
    assert_eq!(
        waveform,
        Waveform {
            samples: expected(8000),
            sample_rate: 16000
        }
    );
}

#[test]
fn flac_channels_are_averaged() {
    let waveform = Waveform::read(&fixture("stereo.flac")).unwrap();
    assert_eq!(waveform.samples.len(), 4000);
    // The right channel is ⌊left / 2⌋.
    for (got, left) in waveform.samples.iter().zip(sweep(4000)) {
        let want = f32::from(left) + f32::from(left.div_euclid(2));
        assert_eq!(*got, want / 2.0 / 32768.0);
    }
}

#[test]
fn mp3_length_equals_original() {
    let waveform = Waveform::read(&fixture("sweep.mp3")).unwrap();
    assert_eq!((waveform.samples.len(), waveform.sample_rate), (8000, 16000));
}

#[test]
fn mp3_samples_stay_in_place() {
    let got = Waveform::read(&fixture("sweep.mp3")).unwrap().samples;
    let want = expected(8000);
    let here = fidelity(&got, &want);
    assert!(here > 20.0, "{here} dB");
    // One sample off to either side is worse: the delay of the codec is cut to the sample.
    assert!(fidelity(&got[1..], &want[..7999]) < here - 3.0);
    assert!(fidelity(&got[..7999], &want[1..]) < here - 3.0);
}

#[test]
fn mp3_without_a_tag_keeps_its_delay() {
    // 576 samples of the encoder, 529 of the decoder; nothing in the file says so, and nothing is cut by guessing.
    let got = Waveform::read(&fixture("untagged.mp3")).unwrap().samples;
    assert_eq!(got.len(), 9216);
    let shifted = fidelity(&got[1105..9105], &expected(8000));
    assert!(shifted > 20.0, "{shifted} dB");
}

#[test]
fn vorbis_length_and_place_equal_original() {
    let waveform = Waveform::read(&fixture("sweep.ogg")).unwrap();
    assert_eq!((waveform.samples.len(), waveform.sample_rate), (8000, 16000));
    let (got, want) = (waveform.samples, expected(8000));
    let here = fidelity(&got, &want);
    assert!(here > 20.0, "{here} dB");
    assert!(fidelity(&got[1..], &want[..7999]) < here - 3.0);
    assert!(fidelity(&got[..7999], &want[1..]) < here - 3.0);
}

#[test]
fn wav_with_open_sizes_reaches_to_the_end() {
    let samples = sweep(3000);
    let bytes = wav16(&samples, 16000);
    // What ffmpeg, sox and others write into a pipe.
    for (riff, data) in [
        (u32::MAX, u32::MAX),
        (0x7FFF_FFFF, 0x7FFF_FFFF - 36),
        (0, 0),
        (0x7FFF_F024, 0x7FFF_F000),
    ] {
        let mut open = bytes.clone();
        open[4..8].copy_from_slice(&riff.to_le_bytes());
        open[40..44].copy_from_slice(&data.to_le_bytes());
        assert_eq!(read(&open).samples, expected(3000), "{riff:x} {data:x}");
    }
}

#[test]
fn wav_chunks_around_the_audio_are_skipped() {
    let plain = wav16(&sweep(100), 16000);
    let mut bytes = plain[..12].to_vec();
    bytes.extend(b"junk\x03\x00\x00\x00abc\0");
    bytes.extend(&plain[12..]);
    bytes.extend(b"LIST\x04\x00\x00\x00INFO");
    let size = (bytes.len() - 8) as u32;
    bytes[4..8].copy_from_slice(&size.to_le_bytes());
    assert_eq!(read(&bytes).samples, expected(100));
}

#[test]
fn waveform_duration_is_in_seconds() {
    assert_eq!(
        Waveform {
            samples: vec![0.0; 4000],
            sample_rate: 16000
        }
        .duration(),
        0.25
    );
}
