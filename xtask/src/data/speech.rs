//! The two programs that make the audio: flite speaks, lame packs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail, ensure};
use sandhi_audio::{Waveform, speed};
use sandhi_corpus::{Interval, Synthesis};

/// The rate of the voices, of the files, and of everything that reads them.
pub(super) const SAMPLE_RATE: u32 = 16_000;

/// The silence marks of flite's phones.
const PAUSE: &str = "pau";

/// What flite said: the samples, and the phones with their times.
pub(super) struct Spoken {
    pub(super) waveform: Waveform,
    pub(super) phones: Vec<Interval>,
}

/// Runs a program and returns what it printed.
pub(super) fn output(command: &mut Command, package: &str) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let result = run(command, package)?;
    ensure!(
        result.status.success(),
        "{program} failed: {}",
        String::from_utf8_lossy(&result.stderr).trim()
    );
    String::from_utf8(result.stdout).with_context(|| format!("what {program} printed"))
}

pub(super) fn run(command: &mut Command, package: &str) -> anyhow::Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("the program {program} is not installed; on Debian: apt-get install {package}")
        }
        other => other.with_context(|| format!("running {program}")),
    }
}

/// The versions of both programs, and that they are there with all voices.
pub(super) fn versions(voices: &[&str]) -> anyhow::Result<Vec<String>> {
    // flite reports a failure after it has told its version.
    let flite = run(Command::new("flite").arg("--version"), "flite")?;
    let flite = String::from_utf8_lossy(&flite.stdout);
    let flite = flite
        .lines()
        .find_map(|line| line.trim().strip_prefix("version:"))
        .unwrap_or("unknown version");
    let listed = output(Command::new("flite").arg("-lv"), "flite")?;
    for voice in voices {
        ensure!(
            listed.split_whitespace().any(|word| word == *voice),
            "flite has no voice {voice}: it lists {listed:?}"
        );
    }
    let lame = output(Command::new("lame").arg("--version"), "lame")?;
    let lame = lame.lines().next().unwrap_or_default();
    Ok(vec![format!("flite {}", flite.trim()), lame.trim().to_string()])
}

/// The phones of a text, without audio.
pub(super) fn phones(text: &str) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("flite");
    command.args(["-voice", "slt", "-ps", "-t", &spelled(text), "-o", "none"]);
    let printed = output(&mut command, "flite")?;
    Ok(printed
        .split_whitespace()
        .filter(|phone| *phone != PAUSE)
        .map(str::to_string)
        .collect())
}

/// flite takes a text without a space for the name of a file.
fn spelled(text: &str) -> String {
    format!("{text} ")
}

/// Speaks a text as asked. `scratch` is a file to write to.
///
/// The formants are moved by playing the samples `formant` times as fast; tempo and pitch are asked for so that they
/// come out right after that. The phones' times are those of the samples returned.
pub(super) fn speak(text: &str, how: &Synthesis, scratch: &Path) -> anyhow::Result<Spoken> {
    let mut command = Command::new("flite");
    command.args(["-voice", &how.voice, "-psdur"]);
    let mut set = |name: &str, value: f64| {
        command.arg("--setf").arg(format!("{name}={value:.4}"));
    };
    set("duration_stretch", how.stretch * how.formant);
    if let (Some(mean), Some(stddev)) = (how.f0_mean, how.f0_stddev) {
        set("int_f0_target_mean", mean / how.formant);
        set("int_f0_target_stddev", stddev / how.formant);
    }
    command.args(["-t", &spelled(text), "-o"]).arg(scratch);
    let printed = output(&mut command, "flite")?;
    let spoken = Waveform::read_at(scratch, SAMPLE_RATE)?;
    let mut waveform = speed(&spoken, how.formant)?;
    level(&mut waveform, how.peak_db).with_context(|| format!("flite said nothing for {text:?}"))?;

    let duration = waveform.duration();
    let mut phones = Vec::new();
    let mut start = 0.0;
    for field in printed.split_whitespace() {
        let (phone, end) = field
            .rsplit_once(':')
            .with_context(|| format!("flite printed {field:?}"))?;
        let end: f64 = end.parse().with_context(|| format!("flite printed {field:?}"))?;
        // The diphone voice ends its samples within the last pause, before the time it prints.
        let end = (end / how.formant).min(duration);
        ensure!(
            end >= start,
            "flite's phones of {text:?} run backwards at {field:?}"
        );
        phones.push(Interval {
            text: phone.to_string(),
            start: round(start),
            end: round(end),
        });
        start = end;
    }
    if let Some(last) = phones.last_mut() {
        ensure!(
            last.text == PAUSE,
            "expected {text:?} to end in a pause, got {:?}",
            last.text
        );
        ensure!(
            duration - last.end < 0.05,
            "{text:?}: {duration} s of samples, phones until {} s",
            last.end
        );
        last.end = round(duration);
    }
    Ok(Spoken { waveform, phones })
}

/// Brings the loudest sample to a level.
pub(super) fn level(waveform: &mut Waveform, peak_db: f64) -> anyhow::Result<()> {
    let peak = waveform
        .samples
        .iter()
        .fold(0f32, |peak, sample| peak.max(sample.abs()));
    ensure!(peak > 0.0, "no sound in {} samples", waveform.samples.len());
    let gain = 10f64.powf(peak_db / 20.0) / f64::from(peak);
    waveform
        .samples
        .iter_mut()
        .for_each(|sample| *sample = (f64::from(*sample) * gain) as f32);
    Ok(())
}

/// To a tenth of a millisecond.
fn round(seconds: f64) -> f64 {
    (seconds * 10_000.0).round() / 10_000.0
}

/// Packs samples as MP3 and returns what a reader hears. `scratch` is a file to write to.
///
/// A mean of 28 kbit/s rather than a constant 24: lame writes its tag only with a varying rate, and readers need the
/// tag to cut the coder's delay; at 24 it removes everything above 5.8 kHz.
pub(super) fn pack(waveform: &Waveform, scratch: &Path, mp3: &Path) -> anyhow::Result<Waveform> {
    write_wav(waveform, scratch)?;
    let mut command = Command::new("lame");
    command
        .args(["--quiet", "-m", "m", "--abr", "28", "-q", "2"])
        .arg(scratch)
        .arg(mp3);
    output(&mut command, "lame")?;
    let heard = Waveform::read_at(mp3, SAMPLE_RATE)?;
    let (expected, got) = (waveform.samples.len(), heard.samples.len());
    ensure!(
        expected == got,
        "{}: {expected} samples became {got}",
        mp3.display()
    );
    let peak = heard
        .samples
        .iter()
        .fold(0f32, |peak, sample| peak.max(sample.abs()));
    ensure!(peak < 1.0, "{}: clips, peak {peak}", mp3.display());
    Ok(heard)
}

/// Writes samples as 16 bits, one channel.
pub(super) fn write_wav(waveform: &Waveform, path: &Path) -> anyhow::Result<()> {
    let data = 2 * waveform.samples.len() as u32;
    let mut bytes = Vec::with_capacity(44 + data as usize);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + data).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16u32.to_le_bytes());
    bytes.extend_from_slice(&1u16.to_le_bytes());
    bytes.extend_from_slice(&1u16.to_le_bytes());
    bytes.extend_from_slice(&waveform.sample_rate.to_le_bytes());
    bytes.extend_from_slice(&(2 * waveform.sample_rate).to_le_bytes());
    bytes.extend_from_slice(&2u16.to_le_bytes());
    bytes.extend_from_slice(&16u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for sample in &waveform.samples {
        let integer = (f64::from(*sample) * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
        bytes.extend_from_slice(&integer.to_le_bytes());
    }
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_is_named_with_the_package_that_has_it() {
        let error = run(&mut Command::new("no-such-program-of-ours"), "flite").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("flite") && text.contains("apt-get install"),
            "{text}"
        );
    }
}
