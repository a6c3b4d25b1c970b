//! From a corpus on disk to features and labels in memory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use rayon::prelude::*;
use sandhi_audio::{Fbank, Features, Waveform, normalize_utterance, spec_augment, speed};
use sandhi_conformer::{RECEPTIVE_FIELD, frames_after};
use sandhi_core::{Labels, Padded};
use sandhi_corpus::{BatchBudget, Corpus, Cut, Size};
use sandhi_lab::{Run, Setting};
use sandhi_lattice::Ctc;
use sandhi_nn::random::{key, subkey};
use sandhi_text::{Graphemes, NormalizeConfig, TextFrontend, Unknown, mask_spans};

use crate::config::{Config, Paired};
use crate::memory::{Extent, Need};
use crate::objective::{Batch, Counts};
use crate::plan::Plan;

/// One utterance, ready to train on or to score.
pub(crate) struct Utterance {
    pub(crate) cut: Cut,
    /// The transcript as the front end sees it.
    pub(crate) text: String,
    pub(crate) labels: Vec<u32>,
    /// Normalised features, one per speed.
    pub(crate) features: Vec<Features>,
}

/// Everything a run needs of its corpus.
pub(crate) struct Data {
    pub(crate) train: Vec<Utterance>,
    /// All of the training speech, for arms that pre-train on it.
    pub(crate) speech: Vec<Utterance>,
    pub(crate) dev: Vec<Utterance>,
    pub(crate) tests: Vec<(String, Vec<Utterance>)>,
    /// Unpaired sentences as labels.
    pub(crate) text: Vec<Vec<u32>>,
    pub(crate) frontend: TextFrontend,
}

/// The root of the embedded corpus: beside the workspace the binary was built from, or below the working directory.
fn embedded_root() -> PathBuf {
    let below = PathBuf::from("data-manifests/mini");
    if below.is_dir() {
        below
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests/mini")
    }
}

pub(crate) fn corpus(setting: &Setting) -> Result<Corpus> {
    match (setting.corpus.as_str(), &setting.data_root) {
        ("mini", root) => {
            let root = root.clone().unwrap_or_else(embedded_root);
            sandhi_corpus::mini(&root).with_context(|| format!("the mini corpus at {}", root.display()))
        }
        ("an4", Some(root)) => {
            sandhi_corpus::an4(root).with_context(|| format!("the AN4 corpus at {}", root.display()))
        }
        ("an4", None) => bail!(
            "the AN4 corpus is not part of this repository; say where it is with --data-root DIR (the folder that holds etc/ and wav/), and see data-manifests/an4/card.toml for where to get it"
        ),
        (other, _) => bail!("unknown corpus {other}; expected mini or an4"),
    }
}

impl Data {
    /// Reads the corpus, fits the front end to its text, and computes all features in parallel.
    pub(crate) fn load(config: &Config, setting: &Setting, run: &mut Run) -> Result<Self> {
        let corpus = corpus(setting)?;
        let limit = |cuts: &[Cut]| -> Vec<Cut> {
            let most = if config.limit == 0 {
                cuts.len()
            } else {
                config.limit
            };
            cuts.iter().take(most).cloned().collect()
        };
        let paired = limit(&paired(config, &corpus)?);
        let sentences = unpaired(config, setting, &corpus, &paired);
        let frontend = frontend(&corpus, &sentences)?;
        let text = if config.text_batch > 0 {
            sentences
                .iter()
                .map(|s| frontend.encode(s))
                .collect::<Result<_, _>>()?
        } else {
            vec![]
        };
        if config.text_batch > 0 && sentences.is_empty() {
            bail!(
                "this arm injects text, but the corpus leaves none unpaired; set unpaired_sentences or paired"
            );
        }

        let speech = match config.pretraining {
            Some(_) => limit(&corpus.train),
            None => vec![],
        };
        let total = paired.len() * config.speeds.len() + speech.len() + limit(&corpus.dev).len();
        let total = total
            + corpus
                .tests
                .iter()
                .map(|(_, cuts)| limit(cuts).len())
                .sum::<usize>();
        let bar = run.progress("features", total as u64);
        let fbank = Fbank::new(&config.fbank)?;
        let prepare = |cuts: Vec<Cut>, speeds: &[f64]| -> Result<Vec<Utterance>> {
            let made = cuts.into_par_iter().map(|cut| {
                let made = utterance(cut, speeds, &fbank, &frontend);
                bar.inc(speeds.len() as u64);
                made
            });
            made.collect()
        };
        let data = Self {
            train: prepare(paired, &config.speeds)?,
            speech: prepare(speech, &[1.0])?,
            dev: prepare(limit(&corpus.dev), &[1.0])?,
            tests: corpus
                .tests
                .iter()
                .map(|(name, cuts)| Ok((name.clone(), prepare(limit(cuts), &[1.0])?)))
                .collect::<Result<_>>()?,
            text,
            frontend,
        };
        bar.finish();
        if config.lambda_ctc > 0.0 {
            data.train.iter().try_for_each(|u| check_ctc(u, &config.speeds))?;
        }
        let seconds: f64 = data.train.iter().map(|u| u.cut.duration).sum();
        run.set("train_utterances", data.train.len())?;
        run.set("train_hours", (seconds / 36.0).round() / 100.0)?;
        run.set("unpaired_sentences", data.text.len())?;
        run.set("vocabulary", data.frontend.vocab_size())?;
        run.set("corpus_hash", fingerprint(&data))?;
        Ok(data)
    }
}

/// A hash over what is trained and scored on: ids, transcripts and feature values.
fn fingerprint(data: &Data) -> String {
    let splits = data
        .tests
        .iter()
        .map(|(_, split)| split)
        .chain([&data.train, &data.dev]);
    let hash = splits.flatten().fold(0, |hash, u| {
        let hash = subkey(
            hash,
            key(u.labels.len() as u64, &format!("{} {}", u.cut.id, u.text)),
        );
        let values = u.features[0].values.iter();
        subkey(
            hash,
            values.fold(0u64, |h, v| h.rotate_left(5) ^ u64::from(v.to_bits())),
        )
    });
    format!("{hash:016x}")
}

/// The utterances whose speech and transcripts go together.
fn paired(config: &Config, corpus: &Corpus) -> Result<Vec<Cut>> {
    let all = match config.paired {
        Paired::All => &corpus.train,
        Paired::LowResource => &corpus.low_resource,
    };
    let Some(minutes) = config.paired_minutes else {
        return Ok(all.clone());
    };
    // More minutes hold all that fewer have.
    let (first, rest): (Vec<&Cut>, Vec<&Cut>) = all.iter().partition(|cut| cut.low_resource);
    let mut seconds = 60.0 * minutes;
    let mut chosen = vec![];
    for cut in first.into_iter().chain(rest) {
        if seconds < cut.duration {
            return Ok(chosen);
        }
        seconds -= cut.duration;
        chosen.push(cut.clone());
    }
    bail!(
        "paired_minutes: expected no more than the corpus has, got {minutes}, which is {:.1} too many",
        seconds / 60.0
    )
}

/// Sentences that nobody speaks to the model: what the grammar of the corpus generates, or where there is none the
/// transcripts that are left unpaired.
fn unpaired(config: &Config, setting: &Setting, corpus: &Corpus, paired: &[Cut]) -> Vec<String> {
    let most = config.unpaired_sentences;
    if setting.corpus == "mini" {
        // One and the same for every seed of the training; more of it begins with less.
        let seed = 20_240_606;
        return sandhi_corpus::unpaired_text(seed, most, &corpus.held_out_text());
    }
    let used: HashSet<&str> = paired.iter().map(|cut| cut.id.as_str()).collect();
    let left = corpus.train.iter().filter(|cut| !used.contains(cut.id.as_str()));
    left.take(most).map(|cut| cut.text.clone()).collect()
}

fn frontend(corpus: &Corpus, sentences: &[String]) -> Result<TextFrontend> {
    let normalize = NormalizeConfig::default();
    let texts = corpus.train.iter().map(|cut| &cut.text).chain(sentences);
    let texts = texts.map(|text| sandhi_text::normalize(text, &normalize));
    let graphemes = Graphemes::train(texts, Unknown::Error)?;
    Ok(TextFrontend::new(normalize, graphemes))
}

/// Log-mel features, each bin with mean 0 and variance 1 over the utterance.
pub(crate) fn features(waveform: &Waveform, fbank: &Fbank) -> Result<Features> {
    let mut features = fbank.compute(waveform)?;
    // Here the file or the utterance is known; in a batch it would only be a number.
    if features.num_frames < RECEPTIVE_FIELD {
        let (frames, seconds) = (features.num_frames, waveform.duration());
        bail!(
            "{seconds:.3} s give {frames} feature frames, but the encoder needs at least {RECEPTIVE_FIELD}"
        );
    }
    normalize_utterance(&mut features);
    Ok(features)
}

fn utterance(cut: Cut, speeds: &[f64], fbank: &Fbank, frontend: &TextFrontend) -> Result<Utterance> {
    let id = cut.id.clone();
    let make = || -> Result<Utterance> {
        let mut waveform = Waveform::read_at(&cut.audio, fbank.config().sample_rate)?;
        let start = (cut.start * f64::from(waveform.sample_rate)).round() as usize;
        if start > 0 || (cut.num_samples as usize) < waveform.samples.len() {
            let end = (start + cut.num_samples as usize).min(waveform.samples.len());
            waveform.samples = waveform.samples[start.min(end)..end].to_vec();
        }
        let at = |&factor: &f64| features(&speed(&waveform, factor)?, fbank);
        Ok(Utterance {
            text: frontend.normalize(&cut.text),
            labels: frontend.encode(&cut.text)?,
            features: speeds.iter().map(at).collect::<Result<_>>()?,
            cut,
        })
    };
    make().with_context(|| format!("utterance {id}"))
}

/// CTC reads one label a frame at most: found out here, where the utterance has a name, not hours into the training.
fn check_ctc(utterance: &Utterance, speeds: &[f64]) -> Result<()> {
    let needed = Ctc::new(0, &utterance.labels).shortest();
    for (features, speed) in utterance.features.iter().zip(speeds) {
        let frames = frames_after(features.num_frames);
        if frames < needed {
            bail!(
                "utterance {}: at speed {speed} it has {frames} encoder frames, but CTC needs {needed} for its labels; \
                 set lambda_ctc=0 or slower speeds",
                utterance.cut.id
            );
        }
    }
    Ok(())
}

/// Batches whose need of memory is predicted before a run.
const LOOKED_AT: u64 = 2000;

/// Makes the batch of any step.
pub(crate) struct Batches {
    data: Arc<Data>,
    config: Config,
    seed: u64,
    plan: Plan,
}

impl Batches {
    pub(crate) fn new(data: Arc<Data>, config: &Config, seed: u64) -> Self {
        let b = config.budget;
        let budget = BatchBudget {
            max_frames: b.max_frames,
            max_cells: b.max_cells,
            max_utterances: b.max_utterances,
        };
        let size = |u: &Utterance| {
            u.features
                .iter()
                .map(|f| Size {
                    frames: f.num_frames,
                    labels: u.labels.len(),
                })
                .collect()
        };
        let sizes = data.train.iter().map(size).collect();
        let plan = Plan::new(seed, budget, sizes, data.text.len());
        Self {
            data,
            config: config.clone(),
            seed,
            plan,
        }
    }

    /// The batch of a part, counted from 1 over the parts of all steps.
    pub(crate) fn batch(&mut self, step: u64) -> Result<Batch> {
        let blank = self.data.frontend.specials().blank;
        let draw = |purpose: &str, index: usize| subkey(subkey(key(self.seed, purpose), step), index as u64);
        let (mut rows, mut labels, mut names, mut frames) = (vec![], vec![], vec![], 0);
        for choice in self.plan.paired(step)? {
            let utterance = &self.data.train[choice.utterance];
            let mut features = utterance.features[choice.speed].clone();
            spec_augment(
                &mut features,
                &self.config.augment,
                draw("augment", choice.utterance),
            );
            frames += features.num_frames;
            names.push(utterance.cut.id.clone());
            rows.push(features.values);
            labels.push(utterance.labels.clone());
        }
        let mut sentences = vec![];
        let text = match self.config.text_batch {
            0 => None,
            count => {
                let chosen = self.plan.text(step, count);
                sentences.extend(chosen.iter().map(|i| format!("unpaired-{i}")));
                let text: Vec<Vec<u32>> = chosen.iter().map(|&i| self.data.text[i].clone()).collect();
                let mut masked = text.clone();
                for (row, &i) in masked.iter_mut().zip(&chosen) {
                    mask_spans(
                        row,
                        &self.config.mask,
                        self.data.frontend.specials().mask,
                        draw("mask", i),
                    );
                }
                Some((Labels::new(text, blank)?, Labels::new(masked, blank)?))
            }
        };
        let features = Padded::from_rows(&rows, self.config.fbank.num_bins, &Device::Cpu)?;
        Ok(Batch {
            features,
            transcript: Labels::new(labels, blank)?,
            text,
            of_step: self.of_step(step)?,
            names: (names, sentences),
            seconds: frames as f64 * self.config.fbank.shift_ms / 1000.0,
        })
    }

    /// The batch that is predicted to need the most memory, of the first [`LOOKED_AT`] of the run: some epochs, after
    /// which the same utterances come in much the same batches.
    pub(crate) fn largest(&mut self, parameters: usize) -> Result<Need> {
        let trainer = &self.config.trainer;
        let mut largest: Option<Need> = None;
        let batches = trainer.steps.saturating_mul(trainer.accumulate as u64);
        for index in 1..=batches.min(LOOKED_AT) {
            let (mut speech, mut text) = (Extent::default(), Extent::default());
            for choice in self.plan.paired(index)? {
                let utterance = &self.data.train[choice.utterance];
                let frames = frames_after(utterance.features[choice.speed].num_frames);
                speech.rows += 1;
                speech.frames = speech.frames.max(frames);
                speech.labels = speech.labels.max(utterance.labels.len());
            }
            if self.config.text_batch > 0 {
                for sentence in self.plan.text(index, self.config.text_batch) {
                    text.rows += 1;
                    text.labels = text.labels.max(self.data.text[sentence].len());
                }
                text.frames = self.config.upsampling.positions(text.labels, self.config.repeat);
            }
            let need = Need::of(&self.config, parameters, index, speech, text);
            if largest
                .as_ref()
                .is_none_or(|largest| need.bytes() > largest.bytes())
            {
                largest = Some(need);
            }
        }
        largest.context("a run without steps has no batch")
    }

    /// What the whole step of a part has.
    fn of_step(&mut self, part: u64) -> Result<Counts> {
        let parts = self.config.trainer.accumulate as u64;
        let first = (part - 1) / parts * parts + 1;
        let mut paired = 0;
        for part in first..first + parts {
            paired += self.plan.paired(part)?.len();
        }
        let text = self.config.text_batch * self.config.trainer.accumulate;
        Ok(Counts { paired, text })
    }
}

#[cfg(test)]
mod tests {
    use sandhi_lab::Scale;
    use sandhi_train::prefetch;

    use super::*;

    const STEPS: u64 = 12;

    fn load(threads: usize) -> (Config, Arc<Data>) {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let setting = Setting::embedded(Scale::Smoke);
        let mut config = Config::at(&setting);
        config.speeds = vec![0.9, 1.0, 1.1];
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::at(dir.path(), 1).unwrap();
        let data = pool.install(|| Data::load(&config, &setting, &mut run));
        (config, Arc::new(data.unwrap()))
    }

    /// Everything of a batch as words.
    fn words(batch: &Batch) -> Vec<u64> {
        let values = batch
            .features
            .values()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let mut words: Vec<u64> = values.iter().map(|value| u64::from(value.to_bits())).collect();
        let text = batch.text.iter().flat_map(|(text, masked)| [text, masked]);
        for labels in text.chain([&batch.transcript]) {
            words.extend(labels.rows().iter().flatten().map(|&label| u64::from(label)));
        }
        words.push(batch.seconds.to_bits());
        words
    }

    #[test]
    fn batches_have_the_same_bits_for_any_number_of_workers_and_threads() {
        let (config, data) = load(1);
        let mut one = Batches::new(data, &config, 5);
        let expected: Vec<Vec<u64>> = (1..=STEPS).map(|step| words(&one.batch(step).unwrap())).collect();
        assert!(expected.windows(2).all(|pair| pair[0] != pair[1]));

        // Features computed by other threads; two workers that take turns, and run ahead.
        let (config, data) = load(3);
        let mut workers = [0, 1].map(|_| {
            let mut source = Batches::new(data.clone(), &config, 5);
            prefetch(3, move |step| source.batch(step), 1)
        });
        // Backwards too: nothing may depend on what was asked for before.
        for step in (1..=STEPS).chain((1..=STEPS).rev()) {
            let batch = workers[step as usize % 2].get(step).unwrap();
            assert!(words(&batch) == expected[step as usize - 1], "step {step}");
        }
        let mut other = Batches::new(data, &config, 6);
        assert!(words(&other.batch(1).unwrap()) != expected[0]);
    }
}
