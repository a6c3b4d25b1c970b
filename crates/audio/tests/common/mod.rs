//! Files made by hand.

use std::path::{Path, PathBuf};

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The sweep that the fixtures hold, as 16-bit integers.
pub(crate) fn sweep(length: usize) -> Vec<i16> {
    let seconds = (0..length).map(|n| n as f64 / 16000.0);
    seconds
        .map(|t| (8000.0 * (std::f64::consts::TAU * (200.0 * t + 1200.0 * t * t)).sin()).round() as i16)
        .collect()
}

/// How a WAV file stores its samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) bits: u16,
    pub(crate) float: bool,
    pub(crate) extensible: bool,
    pub(crate) channels: u16,
}

/// 16-bit integers, one channel.
pub(crate) const PCM16: Format = Format {
    bits: 16,
    float: false,
    extensible: false,
    channels: 1,
};

/// Samples in −1..1 as the bytes of a format; full scale is 2^(bits − 1), 8 bits are unsigned.
pub(crate) fn encode(samples: &[f64], format: Format) -> Vec<u8> {
    let scale = f64::from(format.bits - 1).exp2();
    let integer = |x: f64| (x * scale).round().clamp(-scale, scale - 1.0) as i64;
    let one = |x: f64| -> Vec<u8> {
        match (format.float, format.bits) {
            (true, 32) => (x as f32).to_le_bytes().to_vec(),
            (true, 64) => x.to_le_bytes().to_vec(),
            (false, 8) => vec![(integer(x) + 128) as u8],
            (false, bits) => integer(x).to_le_bytes()[..usize::from(bits / 8)].to_vec(),
            _ => unreachable!(),
        }
    };
    samples.iter().flat_map(|&x| one(x)).collect()
}

/// A WAV file around the bytes of samples.
pub(crate) fn wav(data: &[u8], format: Format, sample_rate: u32) -> Vec<u8> {
    let block = format.channels * format.bits / 8;
    let tag: u16 = if format.float { 3 } else { 1 };
    let mut fmt = Vec::new();
    fmt.extend(if format.extensible { 0xFFFE } else { tag }.to_le_bytes());
    fmt.extend(format.channels.to_le_bytes());
    fmt.extend(sample_rate.to_le_bytes());
    fmt.extend((sample_rate * u32::from(block)).to_le_bytes());
    fmt.extend(block.to_le_bytes());
    fmt.extend(format.bits.to_le_bytes());
    if format.extensible {
        fmt.extend(22u16.to_le_bytes());
        fmt.extend(format.bits.to_le_bytes());
        fmt.extend(((1u32 << format.channels) - 1).to_le_bytes());
        fmt.extend(tag.to_le_bytes());
        fmt.extend(b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71");
    }
    let mut chunks = Vec::new();
    chunks.extend(b"WAVE");
    for (tag, body) in [(b"fmt ", fmt.as_slice()), (b"data", data)] {
        chunks.extend(tag);
        chunks.extend((body.len() as u32).to_le_bytes());
        chunks.extend(body);
        // Chunks have even lengths; the padding is not counted.
        chunks.extend(vec![0; body.len() % 2]);
    }
    [&b"RIFF"[..], &(chunks.len() as u32).to_le_bytes(), &chunks].concat()
}

/// A 16-bit WAV file.
pub(crate) fn wav16(samples: &[i16], sample_rate: u32) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    wav(&data, PCM16, sample_rate)
}
