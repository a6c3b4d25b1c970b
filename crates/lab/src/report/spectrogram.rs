use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, Result};

/// Dark to bright, so that loud is bright; even steps look even (after matplotlib's "magma").
const RAMP: [[f32; 3]; 6] = [
    [0.0, 0.0, 4.0],
    [59.0, 15.0, 112.0],
    [140.0, 41.0, 129.0],
    [222.0, 73.0, 104.0],
    [254.0, 159.0, 109.0],
    [252.0, 253.0, 191.0],
];

/// A log-mel spectrogram `[T0, F]` as a PNG in a data URL: time to the right, frequency upwards.
///
/// # Errors
///
/// [`Error::Corrupt`] if the rows differ in length or a value is not finite.
pub(crate) fn data_url(mel: &[Vec<f32>]) -> Result<String> {
    let corrupt = |what: String| Error::Corrupt {
        path: "spectrogram".into(),
        what,
    };
    let (width, height) = (mel.len(), mel.first().map_or(0, Vec::len));
    if width == 0 || height == 0 || mel.iter().any(|frame| frame.len() != height) {
        return Err(corrupt(format!(
            "expected [T0, F] with equal rows, got {width} rows, the first of {height}"
        )));
    }
    if mel.iter().flatten().any(|value| !value.is_finite()) {
        return Err(corrupt("a value is not finite".to_owned()));
    }
    // The quietest and loudest hundredth would take most of the range for themselves.
    let mut sorted: Vec<f32> = mel.iter().flatten().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let (low, high) = (
        sorted[sorted.len() / 100],
        sorted[sorted.len() - 1 - sorted.len() / 100],
    );
    let range = (high - low).max(f32::EPSILON);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for bin in (0..height).rev() {
        for frame in mel {
            pixels.extend(colour(((frame[bin] - low) / range).clamp(0.0, 1.0)));
        }
    }
    let mut bytes = Vec::new();
    let written = (|| {
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&pixels)
    })();
    written.map_err(|error: png::EncodingError| corrupt(error.to_string()))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(&bytes)))
}

fn colour(share: f32) -> [u8; 3] {
    let place = share * (RAMP.len() - 1) as f32;
    let index = (place as usize).min(RAMP.len() - 2);
    let part = place - index as f32;
    std::array::from_fn(|channel| {
        let (from, to) = (RAMP[index][channel], RAMP[index + 1][channel]);
        (from + (to - from) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spectrogram_is_upright_and_loud_is_bright() {
        // Two frames of three bins; the lowest bin of the second frame is the loudest.
        let url = data_url(&[vec![0.0, 0.0, 0.0], vec![9.0, 0.0, 0.0]]).unwrap();
        let bytes = STANDARD
            .decode(url.strip_prefix("data:image/png;base64,").unwrap())
            .unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (2, 3));
        let pixel = |x: usize, y: usize| &pixels[(y * 2 + x) * 3..][..3];
        assert_eq!(pixel(1, 2), [252, 253, 191], "low frequencies are at the bottom");
        assert_eq!(pixel(1, 0), [0, 0, 4]);
        assert_eq!(pixel(0, 2), [0, 0, 4]);
    }

    #[test]
    fn ragged_or_broken_spectrogram_is_refused() {
        assert!(data_url(&[]).is_err());
        assert!(data_url(&[vec![0.0, 1.0], vec![0.0]]).is_err());
        assert!(data_url(&[vec![f32::NAN, 1.0]]).is_err());
    }
}
