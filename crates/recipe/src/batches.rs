//! What a step trains on: a function of the seed and the step.

use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::Device;
use sandhi_audio::spec_augment;
use sandhi_conformer::frames_after;
use sandhi_core::{Labels, Padded};
use sandhi_corpus::{BatchBudget, Size};
use sandhi_nn::random::{key, subkey};
use sandhi_text::mask_spans;

use crate::data::{Data, Frontends};
use crate::memory::{Extent, Need, Sizes};
use crate::options::DataOptions;
use crate::plan::{Choice, Plan};
use crate::utterance::Utterance;

/// Batches whose need of memory is predicted before a run.
const LOOKED_AT: u64 = 2000;

/// A sentence that nobody speaks to the model.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    /// As the decoder writes it.
    labels: Vec<u32>,
    /// As the text encoder is told it.
    input: Vec<u32>,
}

impl Sentence {
    pub(crate) fn new(text: &str, frontends: &Frontends) -> Result<Self> {
        Ok(Self {
            labels: frontends.labels.encode(text)?,
            input: frontends.encode_input(text, None)?,
        })
    }
}

/// Unpaired text in a batch.
#[derive(Clone, Debug)]
pub struct Sentences {
    /// What is to be written.
    pub labels: Labels,
    /// What the text encoder is shown of it.
    pub shown: Labels,
}

/// What one part of a step trains on.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Paired speech, `[B, T0, F]`.
    pub features: Padded,
    /// Its transcripts.
    pub transcript: Labels,
    /// What the text encoder is shown of the transcripts.
    pub shown: Labels,
    /// Which utterances these are, and at which of their speeds.
    pub choices: Vec<Choice>,
    /// Unpaired text, if any is injected.
    pub text: Option<Sentences>,
    /// How many utterances and sentences all parts of the step have: what the losses are divided by.
    pub of_step: Counts,
    /// What the utterances and the sentences are called.
    pub names: (Vec<String>, Vec<String>),
    /// Seconds of speech, at the speed it is heard.
    pub seconds: f64,
}

/// Utterances and sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Utterances.
    pub paired: usize,
    /// Sentences.
    pub text: usize,
}

/// Makes the batch of any step.
#[derive(Debug)]
pub struct Batches {
    data: Arc<Data>,
    options: DataOptions,
    seed: u64,
    plan: Plan,
}

impl Batches {
    /// Over the training data of a run.
    pub fn new(data: Arc<Data>, options: DataOptions, seed: u64) -> Self {
        let b = options.budget;
        let budget = BatchBudget {
            max_frames: b.max_frames,
            max_cells: b.max_cells,
            max_utterances: b.max_utterances,
        };
        let size = |u: &Utterance| {
            let size = |frames| Size {
                frames,
                labels: u.labels.len(),
            };
            u.features.iter().map(|f| size(f.num_frames)).collect()
        };
        let sizes = data.train.iter().map(size).collect();
        let mut plan = Plan::new(seed, budget, sizes, data.sentences.len());
        if let Some(temperature) = options.language_temperature {
            let languages = data.train.iter().map(|u| u.cut.language.clone());
            plan = plan.balanced(languages.collect(), temperature);
        }
        Self {
            data,
            options,
            seed,
            plan,
        }
    }

    /// The batch of a part, counted from 1 over the parts of all steps.
    ///
    /// # Errors
    ///
    /// If an utterance alone is over the budget.
    pub fn batch(&mut self, part: u64) -> Result<Batch> {
        let specials = self.data.frontends.labels.specials();
        let input = self.data.frontends.input().specials();
        let draw = |purpose: &str, index: usize| subkey(subkey(key(self.seed, purpose), part), index as u64);
        let hidden = |labels: &[u32], key: u64| {
            let mut labels = labels.to_vec();
            mask_spans(&mut labels, &self.options.mask, input.mask, key);
            labels
        };
        let (mut rows, mut labels, mut shown, mut names, mut frames) = (vec![], vec![], vec![], vec![], 0);
        let choices = self.plan.paired(part)?;
        for choice in &choices {
            let utterance = &self.data.train[choice.utterance];
            let mut features = utterance.features[choice.speed].clone();
            spec_augment(
                &mut features,
                &self.options.augment,
                draw("augment", choice.utterance),
            );
            frames += features.num_frames;
            names.push(utterance.cut.id.clone());
            rows.push(features.values);
            labels.push(utterance.labels.clone());
            shown.push(match self.options.mask_transcripts {
                true => hidden(&utterance.input, draw("mask-transcript", choice.utterance)),
                false => utterance.input.clone(),
            });
        }
        let mut sentences = vec![];
        let text = match self.options.text_batch {
            0 => None,
            count => {
                let chosen = self.plan.text(part, count);
                sentences.extend(chosen.iter().map(|i| format!("unpaired-{i}")));
                let all = &self.data.sentences;
                let written = chosen.iter().map(|&i| all[i].labels.clone()).collect();
                let shown = chosen.iter().map(|&i| hidden(&all[i].input, draw("mask", i)));
                Some(Sentences {
                    labels: Labels::new(written, specials.blank)?,
                    shown: Labels::new(shown.collect(), input.blank)?,
                })
            }
        };
        Ok(Batch {
            features: Padded::from_rows(&rows, self.options.fbank.num_bins, &Device::Cpu)?,
            transcript: Labels::new(labels, specials.blank)?,
            shown: Labels::new(shown, input.blank)?,
            choices,
            text,
            of_step: self.of_step(part)?,
            names: (names, sentences),
            seconds: frames as f64 * self.options.fbank.shift_ms / 1000.0,
        })
    }

    /// The batch that is predicted to need the most memory, of the first 2000 of so many: some epochs, after
    /// which the same utterances come in much the same batches.
    ///
    /// # Errors
    ///
    /// If there is no batch at all, or an utterance alone is over the budget.
    pub fn largest(&mut self, batches: u64, sizes: &Sizes) -> Result<Need> {
        let mut largest: Option<Need> = None;
        for index in 1..=batches.min(LOOKED_AT) {
            let (mut speech, mut text) = (Extent::default(), Extent::default());
            for choice in self.plan.paired(index)? {
                let utterance = &self.data.train[choice.utterance];
                let frames = frames_after(utterance.features[choice.speed].num_frames);
                speech.rows += 1;
                speech.frames = speech.frames.max(frames);
                speech.labels = speech.labels.max(utterance.labels.len());
            }
            if self.options.text_batch > 0 {
                for sentence in self.plan.text(index, self.options.text_batch) {
                    text.rows += 1;
                    text.labels = text.labels.max(self.data.sentences[sentence].labels.len());
                }
                text.frames = text.labels * sizes.positions;
            }
            let need = sizes.need(index, speech, text);
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
        let parts = self.options.accumulate as u64;
        let first = (part - 1) / parts * parts + 1;
        let mut paired = 0;
        for part in first..first + parts {
            paired += self.plan.paired(part)?.len();
        }
        let text = self.options.text_batch * self.options.accumulate;
        Ok(Counts { paired, text })
    }
}

#[cfg(test)]
mod tests {
    use sandhi_lab::{Run, Scale, Setting};
    use sandhi_train::prefetch;

    use super::*;

    const STEPS: u64 = 12;

    fn load(threads: usize) -> Arc<Data> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let setting = Setting::embedded(Scale::Smoke);
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::at(dir.path(), 1).unwrap();
        let data = pool.install(|| Data::load(&DataOptions::for_tests(), &setting, &mut run));
        Arc::new(data.unwrap())
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
        let text = batch.text.iter().flat_map(|text| [&text.labels, &text.shown]);
        for labels in text.chain([&batch.transcript, &batch.shown]) {
            words.extend(labels.rows().iter().flatten().map(|&label| u64::from(label)));
        }
        words.push(batch.seconds.to_bits());
        words
    }

    #[test]
    fn batches_have_the_same_bits_for_any_number_of_workers_and_threads() {
        let mut one = Batches::new(load(1), DataOptions::for_tests(), 5);
        let expected: Vec<Vec<u64>> = (1..=STEPS).map(|step| words(&one.batch(step).unwrap())).collect();
        assert!(expected.windows(2).all(|pair| pair[0] != pair[1]));

        // Features computed by other threads; two workers that take turns, and run ahead.
        let data = load(3);
        let mut workers = [0, 1].map(|_| {
            let mut source = Batches::new(data.clone(), DataOptions::for_tests(), 5);
            prefetch(3, move |step| source.batch(step), 1)
        });
        // Backwards too: nothing may depend on what was asked for before.
        for step in (1..=STEPS).chain((1..=STEPS).rev()) {
            let batch = workers[step as usize % 2].get(step).unwrap();
            assert!(words(&batch) == expected[step as usize - 1], "step {step}");
        }
        let mut other = Batches::new(data, DataOptions::for_tests(), 6);
        assert!(words(&other.batch(1).unwrap()) != expected[0]);
    }
}
