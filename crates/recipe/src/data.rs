//! From a corpus on disk to features and labels in memory.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use sandhi_audio::{Fbank, Features, GlobalCmvn, normalize_utterance};
use sandhi_corpus::{Corpus, Cut};
use sandhi_lab::{Run, Setting, write_atomic};
use sandhi_nn::random::{key, subkey};
use sandhi_text::{Graphemes, Lexicon, NormalizeConfig, Phonemes, PronouncerConfig, TextFrontend, Unknown};

use crate::batches::Sentence;
use crate::corpora::{corpus, paired, unpaired};
use crate::options::{DataOptions, Normalization, TextInput, Unseen};
use crate::unseen::keep_apart;
use crate::utterance::Utterance;

/// The decoder's front end, in a run as in an export.
const LABELS: &str = "frontend.json";
/// The text encoder's, where it has one of its own.
const INPUT: &str = "input.json";
/// Mean and variance of the training speech, where features are normalised by them.
const CMVN: &str = "cmvn.json";

/// What is fitted to a corpus before anything is trained: from text to labels, for the decoder and for the text encoder, and what
/// normalises features.
#[derive(Clone, Debug)]
pub struct Frontends {
    /// What the decoder writes.
    pub labels: TextFrontend,
    /// What the text encoder is told; without it the same.
    own_input: Option<TextFrontend>,
    /// Mean and variance of the training speech; without it each utterance has its own.
    cmvn: Option<GlobalCmvn>,
}

impl Frontends {
    /// The front end of the text encoder.
    pub fn input(&self) -> &TextFrontend {
        self.own_input.as_ref().unwrap_or(&self.labels)
    }

    /// The labels that the text encoder is told. Where a corpus has several languages, a word is looked up in the lexicon of
    /// its own: one spelling may sound different in two.
    pub(crate) fn encode_input(&self, text: &str, language: Option<&String>) -> Result<Vec<u32>> {
        let input = self.input();
        let Some(language) = language.filter(|_| self.own_input.is_some()) else {
            return Ok(input.encode(text)?);
        };
        let text = input.normalize(text);
        let words: Vec<String> = text.split(' ').map(|word| tagged(word, Some(language))).collect();
        Ok(input.tokenizer().encode(&words.join(" "))?)
    }

    /// Brings every bin to mean 0 and variance 1.
    ///
    /// # Errors
    ///
    /// If the features have another number of bins than the training speech.
    pub fn normalize(&self, features: &mut Features) -> Result<()> {
        match &self.cmvn {
            Some(cmvn) => cmvn.apply(features)?,
            None => normalize_utterance(features),
        }
        Ok(())
    }

    /// Whether features are normalised by what is known before an utterance begins.
    pub fn can_stream(&self) -> bool {
        self.cmvn.is_some()
    }

    /// The files it is saved in, those there are.
    pub(crate) fn files(&self) -> Vec<&'static str> {
        let mut files = vec![LABELS];
        files.extend(self.own_input.as_ref().map(|_| INPUT));
        files.extend(self.cmvn.as_ref().map(|_| CMVN));
        files
    }

    pub(crate) fn save(&self, dir: &Path) -> Result<()> {
        self.labels.save(dir.join(LABELS))?;
        if let Some(input) = &self.own_input {
            input.save(dir.join(INPUT))?;
        }
        if let Some(cmvn) = &self.cmvn {
            write_atomic(&dir.join(CMVN), &serde_json::to_vec(cmvn)?)?;
        }
        Ok(())
    }

    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let (input, cmvn) = (dir.join(INPUT), dir.join(CMVN));
        let read = || -> Result<GlobalCmvn> { Ok(serde_json::from_slice(&std::fs::read(&cmvn)?)?) };
        Ok(Self {
            labels: TextFrontend::load(dir.join(LABELS))?,
            own_input: match input.exists() {
                true => Some(TextFrontend::load(input)?),
                false => None,
            },
            cmvn: match cmvn.exists() {
                true => Some(read().with_context(|| format!("cannot read {}", cmvn.display()))?),
                false => None,
            },
        })
    }

    fn new(options: &DataOptions, corpus: &Corpus, sentences: &[String]) -> Result<Self> {
        let normalize = NormalizeConfig::default();
        // What is not heard in training is still to be written with its own letters.
        let unheard = corpus.tests.iter().flat_map(|(_, cuts)| cuts);
        let unheard = unheard.filter(|_| options.unseen == Unseen::French);
        let texts = corpus
            .train
            .iter()
            .chain(unheard)
            .map(|cut| &cut.text)
            .chain(sentences);
        let texts = texts.map(|text| sandhi_text::normalize(text, &normalize));
        let graphemes = Graphemes::train(texts, Unknown::Error)?;
        let own_input = match options.input {
            TextInput::Labels => None,
            TextInput::Phones => {
                let lines = corpus.lexicons.iter().flat_map(|(language, words)| {
                    let tag = |word| tagged(word, corpus.several_languages().then_some(language));
                    words
                        .iter()
                        .map(move |(word, phones)| format!("{} {}", tag(word), phones.join(" ")))
                });
                let phonemes = Phonemes::new(Lexicon::parse(lines)?, Unknown::Error)?;
                let phonemes = phonemes.pronouncing(PronouncerConfig::default())?;
                Some(TextFrontend::new(normalize, phonemes))
            }
        };
        Ok(Self {
            labels: TextFrontend::new(normalize, graphemes),
            own_input,
            cmvn: None,
        })
    }
}

/// A word as the lexicon of several languages has it.
fn tagged(word: &str, language: Option<&String>) -> String {
    match language {
        Some(language) => format!("{language}:{word}"),
        None => word.to_owned(),
    }
}

/// Everything a run needs of its corpus.
#[derive(Debug)]
pub struct Data {
    /// Paired speech.
    pub train: Vec<Utterance>,
    /// All of the training speech, if it was asked for.
    pub speech: Vec<Utterance>,
    /// For choosing among weights.
    pub dev: Vec<Utterance>,
    /// The test sets by name.
    pub tests: Vec<(String, Vec<Utterance>)>,
    /// Unpaired sentences.
    pub(crate) sentences: Vec<Sentence>,
    /// From text to labels.
    pub frontends: Frontends,
}

impl Data {
    /// Reads the corpus, fits the front ends to its text, and computes all features in parallel. Leaves the front ends in the run.
    ///
    /// # Errors
    ///
    /// If the corpus is not there or does not hold what the options ask for; an utterance that cannot be used is named.
    pub fn load(options: &DataOptions, setting: &Setting, run: &mut Run) -> Result<Self> {
        let corpus = keep_apart(corpus(setting)?, options.unseen)?;
        let most = match options.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let limit = |cuts: &[Cut]| -> Vec<Cut> { cuts.iter().take(most).cloned().collect() };
        let paired = limit(&paired(options, &corpus)?);
        let texts = unpaired(options, setting, &corpus, &paired);
        let frontends = Frontends::new(options, &corpus, &texts)?;
        if options.text_batch > 0 && texts.is_empty() {
            bail!(
                "this arm injects text, but the corpus leaves none unpaired; set unpaired_sentences or paired"
            );
        }
        let sentences = match options.text_batch {
            0 => vec![],
            _ => texts
                .iter()
                .map(|text| Sentence::new(text, &frontends))
                .collect::<Result<_>>()?,
        };

        let speech = match options.all_speech {
            true => limit(&corpus.train),
            false => vec![],
        };
        let tests = || corpus.tests.iter().map(|(name, cuts)| (name, limit(cuts)));
        let once =
            speech.len() + limit(&corpus.dev).len() + tests().map(|(_, cuts)| cuts.len()).sum::<usize>();
        let bar = run.progress("features", (paired.len() * options.speeds.len() + once) as u64);
        let fbank = Fbank::new(&options.fbank)?;
        let several = corpus.several_languages();
        let prepare = |cuts: Vec<Cut>, speeds: &[f64]| -> Result<Vec<Utterance>> {
            let made = cuts.into_par_iter().map(|cut| {
                let made = Utterance::read(cut, several, speeds, &fbank, &frontends);
                bar.inc(speeds.len() as u64);
                made
            });
            made.collect()
        };
        let mut data = Self {
            train: prepare(paired, &options.speeds)?,
            speech: prepare(speech, &[1.0])?,
            dev: prepare(limit(&corpus.dev), &[1.0])?,
            tests: tests()
                .map(|(name, cuts)| Ok((name.clone(), prepare(cuts, &[1.0])?)))
                .collect::<Result<_>>()?,
            sentences,
            frontends,
        };
        bar.finish();
        data.normalize(options.normalization)?;
        if options.ctc {
            data.train.iter().try_for_each(Utterance::check_ctc)?;
        }
        data.describe(run)?;
        data.frontends.save(run.dir())?;
        Ok(data)
    }

    /// Fits what normalises features, if it is to be fitted, and applies it everywhere.
    fn normalize(&mut self, normalization: Normalization) -> Result<()> {
        if normalization == Normalization::Corpus {
            let bins = self.train.first().map_or(0, |u| u.features[0].num_bins);
            let mut cmvn = GlobalCmvn::new(bins);
            for features in self.train.iter().flat_map(|u| &u.features) {
                cmvn.accumulate(features)?;
            }
            self.frontends.cmvn = Some(cmvn);
        }
        let tests = self.tests.iter_mut().flat_map(|(_, utterances)| utterances);
        let all = self
            .train
            .iter_mut()
            .chain(&mut self.speech)
            .chain(&mut self.dev)
            .chain(tests);
        let all: Vec<&mut Utterance> = all.collect();
        all.into_par_iter().try_for_each(|utterance| {
            let mut each = utterance.features.iter_mut();
            each.try_for_each(|features| self.frontends.normalize(features))
        })
    }

    /// Adds training speech that was heard by a machine, by utterance: what it heard takes the place of a transcript. Returns how many
    /// were added; nothing heard, or more labels than CTC can place, adds nothing.
    ///
    /// # Errors
    ///
    /// If a text has a character that the front ends do not know.
    pub fn add_heard(&mut self, heard: &BTreeMap<String, String>) -> Result<usize> {
        let known: HashSet<String> = self.train.iter().map(|u| u.cut.id.clone()).collect();
        let before = self.train.len();
        for utterance in self.speech.iter().filter(|u| !known.contains(&u.cut.id)) {
            let Some(text) = heard.get(&utterance.cut.id).filter(|text| !text.is_empty()) else {
                continue;
            };
            let added = Utterance {
                text: text.clone(),
                labels: self.frontends.labels.encode(text)?,
                input: self.frontends.encode_input(text, None)?,
                ..utterance.clone()
            };
            if added.check_ctc().is_ok() {
                self.train.push(added);
            }
        }
        Ok(self.train.len() - before)
    }

    fn describe(&self, run: &mut Run) -> Result<()> {
        let seconds: f64 = self.train.iter().map(|u| u.cut.duration).sum();
        run.set("train_utterances", self.train.len())?;
        run.set("train_hours", (seconds / 36.0).round() / 100.0)?;
        run.set("unpaired_sentences", self.sentences.len())?;
        run.set("vocabulary", self.frontends.labels.vocab_size())?;
        Ok(run.set("corpus_hash", self.fingerprint())?)
    }

    /// A hash over what is trained and scored on: ids, transcripts and feature values.
    fn fingerprint(&self) -> String {
        let splits = self
            .tests
            .iter()
            .map(|(_, split)| split)
            .chain([&self.train, &self.dev]);
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
}

#[cfg(test)]
mod tests {
    use sandhi_lab::Scale;

    use super::*;

    #[test]
    fn speech_that_was_heard_joins_the_paired() {
        let options = DataOptions {
            all_speech: true,
            limit: 0,
            paired_minutes: Some(1.0),
            ..DataOptions::for_tests()
        };
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::at(dir.path(), 1).unwrap();
        let mut data = Data::load(&options, &Setting::embedded(Scale::Smoke), &mut run).unwrap();
        let (before, paired) = (data.train.len(), data.train[0].cut.id.clone());
        let others: Vec<&Utterance> = data.speech.iter().filter(|u| !u.cut.low_resource).collect();
        let id = |i: usize| others[i].cut.id.clone();
        let heard = [
            (paired, "paired already".to_owned()),
            (id(0), "her son cooks".to_owned()),
            (id(1), String::new()),
            (id(2), "more than it has frames ".repeat(40).trim().to_owned()),
            ("nobody".to_owned(), "said this".to_owned()),
        ];
        let taken = id(0);
        assert_eq!(data.add_heard(&heard.into()).unwrap(), 1);
        assert_eq!(data.train.len(), before + 1);
        let added = &data.train[before];
        assert_eq!(
            (added.cut.id.as_str(), added.text.as_str()),
            (taken.as_str(), "her son cooks")
        );
        assert_eq!(
            data.frontends.labels.decode(&added.labels).unwrap(),
            "her son cooks"
        );
        assert_eq!(added.features.len(), 1);
    }
}
