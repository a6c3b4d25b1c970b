//! Audio on its way into training: how many times faster than it is spoken, and features beside torchaudio's.

use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use rayon::prelude::*;
use sandhi_audio::{
    Fbank, FbankConfig, Features, SpecAugmentConfig, Waveform, normalize_utterance, spec_augment, speed,
};
use serde_json::json;

use super::environment::{self, TORCH};
use super::markdown::machine;
use super::worker::{Answer, Worker};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench audio                                  on the embedded corpus
  cargo xtask bench audio --against torchaudio             features beside torchaudio.compliance.kaldi.fbank
  cargo xtask bench audio --files ~/data/an4/wav --threads 1

A rate is seconds of audio per second: the median over the rounds, each over all files. Beside torchaudio every file is
computed by ours and by theirs, in turns, in every round.";

/// How long torchaudio may take for a file.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rival {
    Torchaudio,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// A rival to install and to compare features with
    #[arg(long)]
    against: Option<Rival>,
    /// A folder whose audio files (wav, flac, mp3, ogg) to take; the embedded corpus unless given
    #[arg(long)]
    files: Option<PathBuf>,
    /// Files to take at most, spread over all
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Times that everything is done
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Threads of the whole pipeline, and of the rival; a single file of ours takes one
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    threads: u64,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let folder = options.files.clone();
    let folder = folder.unwrap_or_else(|| root.join("data-manifests/mini/audio"));
    let files = spread(audio_files(&folder)?, options.count as usize);
    ensure!(
        !files.is_empty(),
        "{} holds no audio file (wav, flac, mp3, ogg)",
        folder.display()
    );
    let config = FbankConfig::kaldi();
    let read = |path: &PathBuf| Waveform::read_at(path, config.sample_rate);
    let waveforms: Vec<Waveform> = files.iter().map(read).collect::<Result<_, _>>()?;
    let seconds: f64 = waveforms.iter().map(Waveform::duration).sum();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "# Audio\n\n{} files, {seconds:.0} s, {} rounds, on {}.\n",
        files.len(),
        options.rounds,
        machine()
    )?;
    writeln!(out, "| step | threads | times real time |\n|---|---:|---:|")?;
    let fbank = Fbank::new(&config)?;
    for step in steps(&files, &waveforms, &fbank, options.threads as usize)? {
        let mut taken = Vec::new();
        for _ in 0..options.rounds {
            let begun = Instant::now();
            (step.run)()?;
            taken.push(begun.elapsed().as_secs_f64());
        }
        let rate = seconds / median(&mut taken);
        writeln!(out, "| {} | {} | {rate:.0} |", step.name, step.threads)?;
        out.flush()?;
    }
    if options.against == Some(Rival::Torchaudio) {
        write!(out, "{}", beside(root, options, &waveforms, &fbank)?)?;
    }
    Ok(())
}

/// Something to be done with all files.
struct Step<'a> {
    name: &'static str,
    threads: usize,
    run: Box<dyn Fn() -> anyhow::Result<()> + 'a>,
}

fn steps<'a>(
    files: &'a [PathBuf],
    waveforms: &'a [Waveform],
    fbank: &'a Fbank,
    threads: usize,
) -> anyhow::Result<Vec<Step<'a>>> {
    let features: Vec<Features> = waveforms
        .iter()
        .map(|w| fbank.compute(w))
        .collect::<Result<_, _>>()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let one = |name, run| Step {
        name,
        threads: 1,
        run,
    };
    let perturb = move |factor: f64| -> anyhow::Result<()> {
        for waveform in waveforms {
            black_box(speed(waveform, factor)?);
        }
        Ok(())
    };
    Ok(vec![
        one(
            "decode",
            Box::new(move || {
                for file in files {
                    black_box(Waveform::read(file)?);
                }
                Ok(())
            }),
        ),
        one("speed 0.9", Box::new(move || perturb(0.9))),
        one("speed 1.1", Box::new(move || perturb(1.1))),
        one(
            "fbank",
            Box::new(move || {
                for waveform in waveforms {
                    black_box(fbank.compute(waveform)?);
                }
                Ok(())
            }),
        ),
        one(
            "normalize and mask",
            Box::new(move || {
                for features in &features {
                    black_box(augmented(features.clone()));
                }
                Ok(())
            }),
        ),
        Step {
            name: "all of it, at speed 0.9",
            threads,
            run: Box::new(move || {
                let whole = |file: &PathBuf| -> anyhow::Result<()> {
                    let waveform = speed(&Waveform::read(file)?, 0.9)?;
                    black_box(augmented(fbank.compute(&waveform)?));
                    Ok(())
                };
                pool.install(|| files.par_iter().try_for_each(whole))
            }),
        },
    ])
}

/// As in training: normalised, and masked with the masks of SpecAugment's policy LD.
fn augmented(mut features: Features) -> Features {
    let masks = SpecAugmentConfig {
        time_masks: 2,
        max_time: 100,
        max_time_fraction: 0.2,
        freq_masks: 2,
        max_freq: 27,
    };
    normalize_utterance(&mut features);
    spec_augment(&mut features, &masks, 1);
    features
}

/// Every file by ours and by theirs, in turns.
fn beside(root: &Path, options: &Options, waveforms: &[Waveform], fbank: &Fbank) -> anyhow::Result<String> {
    let folder = root.join("target/bench-python");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    environment::prepare(&folder, &TORCH)?;
    let mut command = Command::new(environment::python(&folder, &TORCH));
    command
        .arg(root.join("crates/audio/bench/torchaudio_fbank.py"))
        .arg(options.threads.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CUDA_VISIBLE_DEVICES", "");
    let mut worker = Worker::spawn(command, "torchaudio", folder.join("worker.log"))?;
    let (input, output) = (folder.join("samples.f32"), folder.join("features.f32"));
    let ask = |worker: &mut Worker, waveform: &Waveform, dtype: &str| -> anyhow::Result<f64> {
        let bytes: Vec<u8> = waveform.samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(&input, bytes).with_context(|| format!("cannot write {}", input.display()))?;
        let question = json!({"samples": input, "features": output, "dtype": dtype});
        match worker.ask(&question, LIMIT)? {
            Answer::Given(answer) => answer["ms"].as_f64().context("an answer without a time"),
            Answer::TooLong => bail!("torchaudio takes more than {} s for a file", LIMIT.as_secs()),
        }
    };
    // Values first: meanwhile libraries load and caches fill.
    let differences = ["float32", "float64"].map(|dtype| -> anyhow::Result<f64> {
        let mut largest = 0f64;
        for waveform in waveforms {
            ask(&mut worker, waveform, dtype)?;
            largest = largest.max(difference(&fbank.compute(waveform)?, &output)?);
        }
        Ok(largest)
    });
    let [single, double] = differences;
    let (single, double) = (single?, double?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for waveform in (0..options.rounds).flat_map(|_| waveforms) {
        theirs.push(ask(&mut worker, waveform, "float32")?);
        let begun = Instant::now();
        black_box(fbank.compute(waveform)?);
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    for path in [&input, &output] {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let mut ratios: Vec<f64> = theirs
        .iter()
        .zip(&ours)
        .map(|(theirs, ours)| theirs / ours)
        .collect();
    Ok(format!(
        "\nfbank a file, median: ours {:.3} ms on 1 thread, {} {:.3} ms on {}; theirs / ours {:.2}.\nLargest difference of \
         ours from theirs in f32 {single:.1e}, from theirs in f64 {double:.1e}.\n",
        median(&mut ours),
        worker.version,
        median(&mut theirs),
        options.threads,
        median(&mut ratios),
    ))
}

/// The largest difference from the features in a file.
fn difference(ours: &Features, file: &Path) -> anyhow::Result<f64> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (values, rest) = bytes.as_chunks::<4>();
    ensure!(
        rest.is_empty() && values.len() == ours.values.len(),
        "torchaudio made {} bytes of features, ours are {} numbers",
        bytes.len(),
        ours.values.len()
    );
    let theirs = values.iter().map(|value| f32::from_le_bytes(*value));
    let differences = ours
        .values
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| (ours - theirs).abs());
    let largest = differences.fold(0f32, |most, d| if most.is_nan() || d <= most { most } else { d });
    ensure!(!largest.is_nan(), "a feature is no number");
    Ok(f64::from(largest))
}

/// Audio files below a folder, sorted by path.
fn audio_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(audio_files(&path)?);
        } else if path
            .extension()
            .is_some_and(|e| ["wav", "flac", "mp3", "ogg"].iter().any(|known| e == *known))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// At most `count` of them, evenly spread.
fn spread(files: Vec<PathBuf>, count: usize) -> Vec<PathBuf> {
    let every = files.len().div_ceil(count).max(1);
    files.into_iter().step_by(every).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_order_and_spread() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.wav", "b/a.flac", "b/notes.txt", "a.ogg"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = audio_files(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|p| p.file_name().unwrap()).collect();
        assert_eq!(names, ["a.ogg", "a.flac", "c.wav"]);
        assert_eq!(spread(found.clone(), 2), [found[0].clone(), found[2].clone()]);
        assert_eq!(spread(found.clone(), 9), found);
        assert_eq!(spread(Vec::new(), 9), Vec::<PathBuf>::new());
        assert!(audio_files(&folder.path().join("none")).is_err());
    }

    #[test]
    fn steps_do_their_work() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-audio.wav");
        std::fs::write(&file, "nothing").unwrap();
        let waveform = Waveform {
            samples: (0..8000).map(|n| (n as f32 * 0.1).sin()).collect(),
            sample_rate: 16000,
        };
        let (files, waveforms) = ([file], [waveform]);
        let fbank = Fbank::new(&FbankConfig::kaldi()).unwrap();
        let outcomes: Vec<_> = steps(&files, &waveforms, &fbank, 2)
            .unwrap()
            .iter()
            .map(|step| (step.run)().is_ok())
            .collect();
        // What reads the file fails, the rest has what it needs.
        assert_eq!(outcomes, [false, true, true, true, true, false]);
    }
}
