//! The experiment: reference, arms, claims, run.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};
use sandhi_core::{Labels, Padded};
use sandhi_lab::{
    Ablation, Arm, Claim, Contrast, Departure, Experiment, Reference, Run, Scale, Setting, Unknown,
};
use sandhi_model::CascadeModel;
use sandhi_nn::{Mode, Params};
use sandhi_recipe::{
    Batch, Batches, Data, DataOptions, Decoding, Frontends, Latency, Recipe, Seen, Utterance, Weights,
    alignment_figure, decode, dev_error_rate, export, look, recognise, test, train,
};
use sandhi_transducer::Hypothesis;

use crate::ablations::ablations;
use crate::arms::arms;
use crate::claims::{MORE_IN_SEVERAL_LANGUAGES, claims};
use crate::config::{Config, Matching};
use crate::layers::{self, gold_cells};
use crate::matching::Cells;
use crate::objective::{TERMS, lattice, objective, shown};
use crate::teacher;

/// The paper.
pub(crate) struct BestAlignment;

impl Experiment for BestAlignment {
    type Config = Config;

    const REFERENCE: Reference = Reference {
        key: "best-alignment",
        title: "Improving Joint Speech-Text Representations Without Alignment",
        authors: "Cal Peyser, Zhong Meng, Ke Hu, Rohit Prabhavalkar, Andrew Rosenberg, Tara N. Sainath, Michael Picheny, Kyunghyun Cho",
        venue: "Interspeech 2023",
        arxiv: "2308.06125",
        bibtex: include_str!("../paper.bib"),
    };

    fn corpora() -> &'static [&'static str] {
        &["mini", "an4", "mini-multilingual"]
    }

    fn arms(setting: &Setting) -> Result<Vec<Arm<Config>>> {
        Ok(arms(setting))
    }

    fn claims(setting: &Setting) -> Vec<Claim> {
        claims(setting)
    }

    fn contrasts() -> Vec<Contrast> {
        vec![MORE_IN_SEVERAL_LANGUAGES]
    }

    fn ablations(setting: &Setting) -> Vec<Ablation> {
        ablations(setting)
    }

    fn expected_seconds(config: &Config, setting: &Setting) -> Option<f64> {
        config.expected_seconds(setting.scale)
    }

    fn departures(setting: &Setting) -> Vec<Departure> {
        let d = |what, why| Departure { what, why };
        let (data, reason) = match setting.corpus.as_str() {
            "mini" => (
                "synthetic English of one grammar in place of a search engine's queries",
                "the embedded corpus: anybody has it",
            ),
            "an4" => (
                "real speech of an hour, a quarter of it paired, in place of a search engine's queries",
                "a corpus that anybody can have",
            ),
            _ => (
                "synthetic speech of four languages, fifteen minutes each, in place of a search engine's queries",
                "a corpus that anybody can make",
            ),
        };
        let size = match setting.scale {
            Scale::Smoke => Some(d(
                "a model of a fraction of a million parameters, and a few utterances",
                "a look at whether it runs: nothing can be concluded",
            )),
            Scale::Mini => Some(d(
                "a model of about 1.3 M parameters in place of some hundred million",
                "two cores and minutes",
            )),
            Scale::Paper => None,
        };
        let all = vec![
            d(data, reason),
            d(
                "an auxiliary CTC loss on the last level in every arm, lambda_ctc",
                "with so little paired speech a transducer alone learns the transcripts by heart",
            ),
            d(
                "the weight of consistency rises over the first fifth of the steps, match_warmup",
                "embeddings that do not say anything yet are brought together soonest by making all of them alike",
            ),
            d(
                "no domain label among the features, no FastEmit",
                "one domain; when words are written is measured, see latency",
            ),
        ];
        size.into_iter().chain(all).collect()
    }

    fn unknowns() -> Vec<Unknown> {
        let u = |what, reading| Unknown { what, reading };
        vec![
            u(
                "which side the alignment must cover",
                "every label, at a frame no earlier than the one before (reading A); group reading has the others",
            ),
            u("whether the distance is squared", "it is not; arm best-squared"),
            u(
                "at which levels, and whether they are added or averaged",
                "the mean over all blocks of the shared encoders; group levels",
            ),
            u(
                "whether embeddings are normalised before they are compared",
                "they are not; arm best-standardized",
            ),
            u(
                "whether the text that is compared is masked",
                "it is, as it is when it is written; arm best-mask-0 masks nothing",
            ),
            u("how much text is masked", "15 % in spans of 2; group masking"),
            u("the weights of the losses", "group weights; chosen on dev"),
            u(
                "whether text is upsampled",
                "it is not, as the paper argues against; arm upsampled is the heuristic",
            ),
        ]
    }

    fn run(config: &Config, setting: &Setting, run: &mut Run) -> Result<()> {
        config.check()?;
        let heard = match config.self_training {
            true => teacher::heard(config, setting, run)?,
            false => BTreeMap::new(),
        };
        let mut data = Data::load(&config.data(), setting, run)?;
        if config.self_training {
            let added = data.add_heard(&heard)?;
            run.set("heard_utterances", added)?;
        }
        let data = Arc::new(data);
        let model = learn(config, &data, run)?;

        let (decoding, frontend) = (config.decoding(), &data.frontends.labels);
        let full = |features: &Padded| Self::recognise(&model, features, &decoding);
        let full: &dyn Fn(&Padded) -> Result<Vec<Hypothesis>> = &full;
        let streaming = |features: &Padded| streaming(&model, features, &decoding);
        let streaming: &dyn Fn(&Padded) -> Result<Vec<Hypothesis>> = &streaming;
        for (name, utterances) in &data.tests {
            test((name, utterances), frontend, &decoding, full, run)?;
        }
        for (name, utterances) in &data.tests {
            let name = format!("{name}-streaming");
            test((&name, utterances), frontend, &decoding, streaming, run)?;
        }
        if let Some((_, utterances)) = data.tests.first() {
            let hear = |features: &Padded, labels: &Labels| {
                let levels = speech_levels(&model, features)?;
                let arcs = lattice(
                    model.full_decoder(),
                    &levels[config.last_level()],
                    labels,
                    Mode::Eval,
                )?;
                Ok((arcs, full(features)?.swap_remove(0)))
            };
            alignment_figure(utterances, frontend, &config.fbank, hear, run)?;
            if config.uses_text() {
                layers::figure(config, &model, &data, utterances, run)?;
            }
        }
        layers::probe(config, &model, &data, config.trainer.steps, run)?;
        internal_lm(&model, &data, run)?;
        latency(config, &model, &data, run)?;
        export::<Self>(run.dir(), &run.dir().join("export"), Weights::Best)
    }
}

/// Trains a model on the data to the end, from where the run is; returns it with its best weights. Refuses gold alignments of
/// utterances whose words have no times.
pub(crate) fn learn(config: &Config, data: &Arc<Data>, run: &mut Run) -> Result<CascadeModel> {
    let untimed = |u: &&Utterance| gold_cells(config, data, u, 1.0, u.own().num_frames).is_none();
    if config.matching == Matching::Gold
        && let Some(utterance) = data.train.iter().find(untimed)
    {
        let (id, known) = (&utterance.cut.id, utterance.cut.words.len());
        bail!(
            "utterance {id}: matching = \"gold\" expected the times of every word of \"{}\", got {known} of them",
            utterance.text
        );
    }
    let params = Params::seeded(run.seed(), DType::F32, &Device::Cpu);
    let model = BestAlignment::network(config, &data.frontends, &params)?;
    run.set("parameters", params.num_values())?;
    let (decoding, frontend) = (config.decoding(), &data.frontends.labels);
    train(
        run,
        &config.trainer,
        (&params, &config.sizes(params.num_values())),
        Batches::new(data.clone(), config.data(), run.seed()),
        TERMS,
        |batch, mode, step| {
            let gold = gold_of(config, data, batch);
            objective(config, &model, batch, gold.as_ref(), mode, step)
        },
        |step, run| -> Result<f64> {
            let full = |features: &Padded| BestAlignment::recognise(&model, features, &decoding);
            let rate = dev_error_rate(&data.dev, frontend, &decoding, &full)?;
            let first = |features: &Padded| streaming(&model, features, &decoding);
            let first_pass = dev_error_rate(&data.dev, frontend, &decoding, &first)?;
            run.log(step, "dev", &[("wer", rate), ("streaming_wer", first_pass)])?;
            let see =
                |features: &Padded, utterances: &[&Utterance]| see(config, &model, features, utterances);
            let fbank = (&config.fbank, frontend);
            look(&data.dev, fbank, config.budget.max_frames, see, step, run)?;
            if config.uses_text() {
                layers::look(config, &model, data, step, run)?;
            }
            Ok(rate)
        },
    )?;
    Ok(model)
}

/// Where the labels of a batch were spoken, for the arm that wants to know.
fn gold_of(config: &Config, data: &Data, batch: &Batch) -> Option<Cells> {
    if config.matching != Matching::Gold {
        return None;
    }
    let heard = batch.choices.iter().zip(batch.features.lengths().as_slice());
    let cells = heard.map(|(choice, &frames)| {
        let utterance = &data.train[choice.utterance];
        let (speed, frames) = (
            utterance.speeds[choice.speed],
            sandhi_conformer::frames_after(frames),
        );
        gold_cells(config, data, utterance, speed, frames)
    });
    cells.collect()
}

/// Speech at every level, without a graph.
fn speech_levels(model: &CascadeModel, features: &Padded) -> Result<Vec<Padded>> {
    let speech = model.encode_speech(features, Mode::Eval)?.detach();
    Ok(model.levels(&speech, usize::MAX, Mode::Eval)?)
}

/// What is recognised while speech goes on: greedily, as [`crate::stream`] does, since what a beam keeps may still change.
fn streaming(model: &CascadeModel, features: &Padded, decoding: &Decoding) -> Result<Vec<Hypothesis>> {
    let greedy = Decoding {
        beam: None,
        ..*decoding
    };
    let speech = model.encode_speech(features, Mode::Eval)?.detach();
    let level = model.streaming_level();
    let levels = model.levels(&speech, level, Mode::Eval)?;
    recognise(model.streaming_decoder(), &levels[level].detach(), &greedy)
}

/// What the encoders make of a batch, without a graph.
fn see(config: &Config, model: &CascadeModel, features: &Padded, utterances: &[&Utterance]) -> Result<Seen> {
    let labels = utterances.iter().map(|u| u.labels.clone()).collect();
    let labels = Labels::new(labels, model.full_decoder().blank())?;
    let levels = speech_levels(model, features)?;
    let arcs = |decoder, level: usize| -> Result<_> {
        Ok(lattice(decoder, &levels[level].detach(), &labels, Mode::Eval)?.detach())
    };
    let text = match config.uses_text() {
        true => {
            let inputs = utterances.iter().map(|u| u.input.clone()).collect();
            let inputs = Labels::new(inputs, model.full_decoder().blank())?;
            Some(model.encode_text(&shown(config, &inputs)?, Mode::Eval)?.detach())
        }
        false => None,
    };
    Ok(Seen {
        speech: levels[0].detach(),
        text,
        arcs: vec![
            ("alignment", arcs(model.full_decoder(), config.last_level())?),
            (
                "alignment-streaming",
                arcs(model.streaming_decoder(), model.streaming_level())?,
            ),
        ],
    })
}

/// Logs phase `latency`: how much of the speech after a word of dev is heard before the streaming decoder has written it.
fn latency(config: &Config, model: &CascadeModel, data: &Data, run: &mut Run) -> Result<()> {
    let decoding = config.decoding();
    let hypotheses = decode(&data.dev, &decoding, &|features| {
        streaming(model, features, &decoding)
    })?;
    let mut latency = Latency::default();
    for (utterance, hypothesis) in data.dev.iter().zip(&hypotheses) {
        let frames = sandhi_conformer::frames_after(utterance.own().num_frames);
        let sees = |frame| config.streaming_reach(frame, frames);
        latency.add(utterance, hypothesis, sees, &config.fbank, &data.frontends.labels)?;
    }
    match latency.values() {
        values if values.is_empty() => Ok(()),
        values => Ok(run.log(config.trainer.steps, "latency", &values)?),
    }
}

/// How surprised the decoders alone are by the transcripts of dev: the perplexity of a label under the internal language model.
fn internal_lm(model: &CascadeModel, data: &Data, run: &mut Run) -> Result<()> {
    let labels = data.dev.iter().map(|u| u.labels.clone()).collect();
    let labels = Labels::new(labels, model.full_decoder().blank())?;
    let count: usize = labels.lengths().as_slice().iter().sum();
    for (name, decoder) in [
        ("internal_lm_perplexity", model.full_decoder()),
        ("internal_lm_perplexity_streaming", model.streaming_decoder()),
    ] {
        let nats = decoder.internal_lm(&labels, Mode::Eval)?;
        let nats = f64::from(nats.sum_all()?.to_scalar::<f32>().context("internal LM")?);
        run.set(name, ((nats / count.max(1) as f64).exp() * 100.0).round() / 100.0)?;
    }
    Ok(())
}

impl Recipe for BestAlignment {
    type Network = CascadeModel;

    fn data(config: &Config) -> DataOptions {
        config.data()
    }

    fn decoding(config: &Config) -> Decoding {
        config.decoding()
    }

    fn network(config: &Config, frontends: &Frontends, params: &Params) -> sandhi_core::Result<CascadeModel> {
        let frontend = &frontends.labels;
        let (vocabulary, blank) = (frontend.vocab_size(), frontend.specials().blank);
        let mut model = CascadeModel::new(&config.model, vocabulary, blank, params)?;
        if config.uses_text() {
            model = model.with_text(&config.model, frontends.input().vocab_size(), params)?;
        }
        if config.lambda_ctc > 0.0 {
            model = model.with_ctc(&config.model, params)?;
        }
        Ok(model)
    }

    fn recognise(model: &CascadeModel, features: &Padded, decoding: &Decoding) -> Result<Vec<Hypothesis>> {
        let levels = speech_levels(model, features)?;
        let last = levels.last().context("a model has at least its embeddings")?;
        recognise(model.full_decoder(), &last.detach(), decoding)
    }
}
