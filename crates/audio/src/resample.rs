//! Changing the sample rate, only ever on request.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::{Error, Result, Waveform};

/// Least samples per block of the resampler; longer blocks keep more of the highest frequencies.
const BLOCK: usize = 1024;

/// Highest rate taken, so that no header makes the resampler ask for all memory.
const MAX_RATE: u32 = 1_000_000;

/// Resamples to another rate with a band-limited filter. The delay of the filter is taken out: a time in seconds
/// means the same before and after.
///
/// # Shapes
///
/// `[N]` to `[round(N · to / from)]`. At the same rate the samples are returned as they are.
///
/// # Errors
///
/// [`Error::Config`] if a rate is 0 or above 1 MHz.
///
/// # Proved by
///
/// `resample_keeps_a_sine_in_place`, `resample_length_is_rounded`.
pub fn resample(waveform: &Waveform, sample_rate: u32) -> Result<Waveform> {
    let samples = convert(&waveform.samples, waveform.sample_rate, sample_rate)?;
    Ok(Waveform { samples, sample_rate })
}

/// Changes speed and pitch together, as a tape would: played `factor` times as fast at an unchanged sample rate.
///
/// # Shapes
///
/// `[N]` to `[round(N / factor)]`, to the precision of 1 Hz in `factor · sample_rate`. Factor 1 returns the same
/// samples.
///
/// # Errors
///
/// [`Error::Config`] if the factor is not between 0.1 and 10, or a rate as for [`resample`].
///
/// # Source
///
/// Ko et al. 2015, "Audio augmentation for speech recognition": factors 0.9, 1.0 and 1.1.
///
/// # Proved by
///
/// `speed_raises_the_pitch_by_its_factor`, `speed_one_returns_the_same_samples`.
pub fn speed(waveform: &Waveform, factor: f64) -> Result<Waveform> {
    if !(0.1..=10.0).contains(&factor) {
        return Err(Error::Config {
            what: "speed factor",
            expected: "between 0.1 and 10".into(),
            got: factor.to_string(),
        });
    }
    // Audio taken to be `factor` times as dense as it is, and brought back to the rate it has.
    let from = (f64::from(waveform.sample_rate) * factor).round() as u32;
    let samples = convert(&waveform.samples, from, waveform.sample_rate)?;
    Ok(Waveform {
        samples,
        sample_rate: waveform.sample_rate,
    })
}

fn convert(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>> {
    let rates = 1..=MAX_RATE;
    if !rates.contains(&from) || !rates.contains(&to) {
        return Err(Error::Config {
            what: "sample rate",
            expected: format!("between 1 and {MAX_RATE} Hz"),
            got: format!("{from} to {to}"),
        });
    }
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let refused = |error: &dyn std::fmt::Display| Error::Config {
        what: "resampling",
        expected: "rates the resampler takes".into(),
        got: format!("{from} to {to} Hz ({error})"),
    };
    // The filter is centered on half a block: an odd block would shift the audio by half a sample.
    let divisor = gcd(from, to);
    let (unit_in, unit_out) = ((from / divisor) as usize, (to / divisor) as usize);
    let units = BLOCK.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
    let mut resampler = Fft::<f32>::new_custom(
        from as usize,
        to as usize,
        units * unit_in,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|error| refused(&error))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|error| refused(&error))?;
    let output = resampler
        .process_all(&input, samples.len(), None)
        .map_err(|error| refused(&error))?;
    // The resampler rounds its length up; ours is rounded to the nearest, half up.
    let length = (samples.len() as u128 * u128::from(to) * 2 + u128::from(from)) / (2 * u128::from(from));
    let mut output = output.take_data();
    output.resize(length as usize, 0.0);
    Ok(output)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
