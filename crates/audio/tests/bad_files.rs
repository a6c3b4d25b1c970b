//! Files that are not what they should be: each has its error, with the path, and none brings the program down.

// The lint knows tests, not the functions they share.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Format, encode, fixture, sweep, wav, wav16};
use proptest::prelude::*;
use sandhi_audio::{Error, Waveform};

/// Reads bytes as a file `bad.wav`; the error must name it.
fn error(bytes: &[u8]) -> Error {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.wav");
    std::fs::write(&path, bytes).unwrap();
    let error = Waveform::read(&path).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    error
}

/// What the message says after the path.
fn message(bytes: &[u8]) -> String {
    let text = error(bytes).to_string();
    text.split_once("bad.wav: ").unwrap().1.to_string()
}

#[test]
fn missing_file_is_named() {
    let error = Waveform::read(Path::new("no/such/file.wav")).unwrap_err();
    assert!(matches!(&error, Error::Read { path, .. } if path == Path::new("no/such/file.wav")));
    assert!(
        error.to_string().starts_with("cannot read no/such/file.wav: "),
        "{error}"
    );
}

#[test]
fn directory_is_not_a_file() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        Waveform::read(directory.path()),
        Err(Error::Read { .. })
    ));
}

#[test]
fn content_that_is_not_audio_is_described() {
    let expected = "not an audio file; expected wav, flac, mp3 or ogg vorbis, got ";
    for (bytes, found) in [
        (&b""[..], "an empty file"),
        (b"The quick brown fox.\n", "text"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a git-lfs pointer (fetch the file itself)",
        ),
        (
            b"\n<!DOCTYPE html><html></html>",
            "an html page (a failed download?)",
        ),
        (
            b"NIST_1A\n   1024\n",
            "a NIST SPHERE file (convert it with sph2pipe or ffmpeg)",
        ),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "an mp4 file"),
        (b"\x1A\x45\xDF\xA3\0\0", "a matroska or webm file"),
        (b"PK\x03\x04\0\0", "a compressed archive"),
        (
            b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09",
            "unknown bytes 00 01 02 03 04 05 06 07",
        ),
    ] {
        assert!(matches!(error(bytes), Error::NotAudio { .. }));
        assert_eq!(message(bytes), format!("{expected}{found}"));
    }
}

/// One Ogg page with one packet; the checksum is that of the format.
fn ogg_page(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend([0; 8]);
    page.extend(1u32.to_le_bytes());
    page.extend([0; 4]);
    page.extend([0; 4]);
    page.extend([1, body.len() as u8]);
    page.extend(body);
    let mut crc = 0u32;
    for &byte in &page {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
        }
    }
    page[22..26].copy_from_slice(&crc.to_le_bytes());
    page
}

#[test]
fn ogg_opus_has_no_decoder() {
    // Version 1, one channel, pre-skip 312, 16 kHz, gain 0, mapping family 0.
    let head = b"OpusHead\x01\x01\x38\x01\x80\x3E\x00\x00\x00\x00\x00";
    let mut bytes = ogg_page(2, head);
    bytes.extend(ogg_page(4, b"OpusTags\0\0\0\0\0\0\0\0"));
    assert!(matches!(error(&bytes), Error::Codec { codec, .. } if codec == "Opus"));
    assert_eq!(
        message(&bytes),
        "no decoder for Opus; convert it to wav, flac, mp3 or ogg vorbis"
    );
    // The name of the codec is known even when the file ends after its first page.
    assert!(matches!(error(&ogg_page(2, head)), Error::Codec { codec, .. } if codec == "Opus"));
    assert!(matches!(error(&ogg_page(2, b"Speex   1.2")), Error::Codec { codec, .. } if codec == "Speex"));
}

#[test]
fn wrong_rate_names_both() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("telephone.wav");
    std::fs::write(&path, wav16(&sweep(800), 8000)).unwrap();
    assert_eq!(Waveform::read_at(&path, 8000).unwrap().samples.len(), 800);
    let error = Waveform::read_at(&path, 16000).unwrap_err();
    assert!(matches!(&error, Error::SampleRate { path: p, expected: 16000, got: 8000 } if *p == path));
    let text = error.to_string();
    assert!(
        text.contains("expected 16000 Hz, got 8000 Hz; resample the file first"),
        "{text}"
    );
}

#[test]
fn audio_without_a_sample_is_empty() {
    assert!(matches!(error(&wav16(&[], 16000)), Error::Empty { .. }));
    assert_eq!(message(&wav16(&[], 16000)), "no audio: the file holds 0 samples");
}

#[test]
fn sample_that_is_not_finite_is_located() {
    for (bits, channels, bad) in [
        (32, 1, f64::NAN),
        (64, 1, f64::INFINITY),
        (32, 2, f64::NEG_INFINITY),
    ] {
        let format = Format {
            bits,
            float: true,
            extensible: false,
            channels,
        };
        let mut samples = vec![0.25; 4000];
        samples[3210] = bad;
        let bytes = wav(&encode(&samples, format), format, 16000);
        let index = 3210 / usize::from(channels);
        assert!(matches!(error(&bytes), Error::NotFinite { index: i, .. } if i == index));
        assert_eq!(message(&bytes), format!("sample {index} is not finite"));
    }
}

#[test]
fn truncated_files_are_truncated_not_shorter() {
    let sweep = wav16(&sweep(8000), 16000);
    assert_eq!(
        message(&sweep[..44 + 4000]),
        "truncated: the header promises 8000 samples, got 2000"
    );
    for cut in [14, 30, 43] {
        assert_eq!(
            message(&sweep[..cut]),
            "truncated: the file ends inside its header"
        );
    }
    for name in ["sweep.flac", "stereo.flac", "sweep.ogg", "sweep.mp3"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for part in [3, 5, 7, 9] {
            let cut = &bytes[..bytes.len() * part / 10];
            let error = error(cut);
            assert!(
                matches!(error, Error::Truncated { .. }),
                "{name} cut to {part}/10: {error}"
            );
        }
        assert!(
            matches!(error(&bytes[..bytes.len() - 1]), Error::Truncated { .. }),
            "{name} without its last byte"
        );
    }
}

#[test]
fn flac_with_a_flipped_bit_is_damaged() {
    let bytes = std::fs::read(fixture("sweep.flac")).unwrap();
    for at in [9000, 10000, 11000, 12000] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        let error = error(&bytes);
        assert!(
            matches!(error, Error::Decode { .. } | Error::Truncated { .. }),
            "byte {at}: {error}"
        );
    }
}

#[test]
fn files_cut_anywhere_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut");
    let mut files: Vec<Vec<u8>> = ["sweep.flac", "sweep.ogg", "sweep.mp3", "untagged.mp3"]
        .iter()
        .map(|name| std::fs::read(fixture(name)).unwrap())
        .collect();
    files.push(wav16(&sweep(300), 16000));
    for bytes in files {
        // Every length within the headers, and then some.
        for length in (0..bytes.len()).filter(|n| *n < 200 || n % 97 == 0) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            if let Ok(waveform) = Waveform::read(&path) {
                assert!(!waveform.samples.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Arbitrary bytes, behind the signature of a format or none.
    #[test]
    fn random_bytes_never_panic(signature in 0usize..6, bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let signatures: [&[u8]; 6] =
            [b"", b"RIFF\x10\x27\0\0WAVEfmt ", b"fLaC\0\0\0\x22", b"OggS\0\x02", b"\xFF\xF3\x44\xC4", b"ID3\x04\0\0"];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [signatures[signature], &bytes].concat()).unwrap();
        if let Ok(waveform) = Waveform::read(file.path()) {
            prop_assert!(!waveform.samples.is_empty() && waveform.sample_rate > 0);
            prop_assert!(waveform.samples.iter().all(|x| x.is_finite()));
        }
    }

    /// A good file with a few bytes changed.
    #[test]
    fn damaged_files_never_panic(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = match ["sweep.flac", "stereo.flac", "sweep.ogg", "sweep.mp3"].get(which) {
            Some(name) => std::fs::read(fixture(name)).unwrap(),
            None => wav16(&sweep(200), 16000),
        };
        for (at, value) in changes {
            // Half of the changes go to the first bytes, where the headers are.
            let extent = if value % 2 == 0 { bytes.len().min(100) } else { bytes.len() };
            bytes[at.index(extent)] = value;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        if let Ok(waveform) = Waveform::read(file.path()) {
            prop_assert!(waveform.samples.iter().all(|x| x.is_finite()));
        }
    }
}
