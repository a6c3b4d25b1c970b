//! The experiment: reference, arms, claims, run.

use std::sync::Arc;

use anyhow::Result;
use candle_core::{DType, Device};
use sandhi_lab::{Ablation, Arm, Claim, Departure, Experiment, Reference, Run, Setting, Unknown};
use sandhi_nn::{Mode, Params};
use sandhi_train::{Trainer, prefetch};

use crate::ablations::ablations;
use crate::arms::arms;
use crate::config::Config;
use crate::data::{Batches, Data};
use crate::evaluate;
use crate::export::{Weights, export};
use crate::memory;
use crate::network::Network;
use crate::objective::{consistency, objective, part};
use crate::pretrain::pretrain;
use crate::quality;

/// The text front end in a run directory.
pub(crate) const FRONTEND: &str = "frontend.json";

/// The paper.
pub(crate) struct Astra;

impl Experiment for Astra {
    type Config = Config;

    const REFERENCE: Reference = Reference {
        key: "astra",
        title: "ASTRA: Aligning Speech and Text Representations for ASR without Sampling",
        authors: "Neeraj Gaur, Rohan Agrawal, Gary Wang, Parisa Haghani, Andrew Rosenberg, Bhuvana Ramabhadran",
        venue: "Interspeech 2024",
        arxiv: "2406.06664",
        bibtex: include_str!("../paper.bib"),
    };

    fn corpora() -> &'static [&'static str] {
        &["mini", "an4"]
    }

    fn arms(setting: &Setting) -> Result<Vec<Arm<Config>>> {
        Ok(arms(setting))
    }

    fn claims(setting: &Setting) -> Vec<Claim> {
        let split = |name: &'static str, embedded: &'static str| {
            if setting.corpus == "mini" { embedded } else { name }
        };
        let common = split("test/wer", "test-common/wer");
        let rare = split("test/wer", "test-rare/wer");
        let claim = |source, statement, metric, better, worse| Claim {
            source,
            statement,
            metric,
            better,
            worse,
            margin: 0.0,
        };
        // Set before there was any run of the arm it is applied to: about what seeds of one arm differ by.
        let matches = |source, statement, metric, better, worse| Claim {
            margin: 2.0,
            ..claim(source, statement, metric, better, worse)
        };
        vec![
            claim(
                "abstract",
                "text injection with ASTRA lowers the error rate",
                common,
                "astra",
                "rnnt",
            ),
            claim(
                "section 1",
                "unpaired text helps on words the paired speech lacks",
                rare,
                "text",
                "rnnt",
            ),
            matches(
                "abstract",
                "ASTRA matches learned durations (within 2 points)",
                rare,
                "astra",
                "maestro",
            ),
            claim(
                "abstract",
                "ASTRA needs no upsampling: it is at least as good as fixed repetition",
                rare,
                "astra",
                "upsampled",
            ),
            claim(
                "section 3",
                "consistency adds to text injection",
                rare,
                "astra",
                "text",
            ),
            claim(
                "section 5",
                "the loss is better before the shared encoder",
                common,
                "astra",
                "astra-shared",
            ),
            claim(
                "section 5",
                "MAE is better than MSE",
                common,
                "astra",
                "astra-mse",
            ),
        ]
    }

    fn ablations(setting: &Setting) -> Vec<Ablation> {
        ablations(setting)
    }

    fn expected_seconds(config: &Config, setting: &Setting) -> Option<f64> {
        config.expected_seconds(setting.scale)
    }

    fn departures() -> Vec<Departure> {
        let d = |what, why| Departure { what, why };
        vec![
            d(
                "BEST-RQ pre-training only in arms of its own, on an hour of speech",
                "the corpora of this scale have no unpaired speech to speak of",
            ),
            d(
                "an auxiliary CTC loss on the shared encoder in every arm, lambda_ctc",
                "on dev of the mini corpus arm rnnt is better with weight 0.5 than with none",
            ),
            d(
                "a model of about 2 M parameters in place of some 600 M",
                "two cores and minutes",
            ),
            d(
                "layer norm in place of batch norm in the convolution module",
                "an utterance's result must not depend on its batch",
            ),
            d(
                "characters of one language in place of 102 languages of FLEURS",
                "the embedded corpus is English speech",
            ),
            d(
                "the last weights are a moving average (EMA)",
                "short trainings end less noisily",
            ),
        ]
    }

    fn unknowns() -> Vec<Unknown> {
        let u = |what, reading| Unknown { what, reading };
        vec![
            u(
                "whether gradient reaches the alignment",
                "arm astra (it does) against astra-held",
            ),
            u(
                "which quantity the loss bounds",
                "arm astra (expected cost) against astra-soft",
            ),
            u(
                "whether the loss is divided by the number of labels",
                "it is; lambda_match scales it",
            ),
            u(
                "loss weights and their schedule",
                "fields lambda_text, lambda_match, match_warmup; on dev of the mini corpus lambda_text 1 was better than 0.3 (arm \
                 text) and lambda_match 3 no worse than 1 (arm astra, lambda_text 0.3); match_warmup was set by hand",
            ),
            u(
                "masking of the text-only input",
                "field mask: spans over 15 % of the labels, as in JOIST",
            ),
            u("widths of all layers", "field model; marked as decisions"),
        ]
    }

    fn run(config: &Config, setting: &Setting, run: &mut Run) -> Result<()> {
        config.check()?;
        let data = Arc::new(Data::load(config, setting, run)?);
        data.frontend.save(run.dir().join(FRONTEND))?;
        let params = Params::seeded(run.seed(), DType::F32, &Device::Cpu);
        let (vocabulary, blank) = (data.frontend.vocab_size(), data.frontend.specials().blank);
        let network = Network::new(config, vocabulary, blank, &params)?;
        let model = &network.joint;
        run.set("parameters", params.num_values())?;

        pretrain(config, &data, run, &params)?;

        // It refuses a configuration that makes no sense, before anything is planned by it.
        let mut trainer = Trainer::new(&params, config.trainer.clone())?;
        let (matching, seed) = (consistency(config), run.seed());
        let mut source = Batches::new(data.clone(), config, seed);
        if run.checks_memory() {
            memory::try_largest(config, &network, &params, &mut source, run)?;
        } else {
            source.largest(params.num_values())?.check()?;
        }
        let mut batches = prefetch(2, move |step| source.batch(step), 1);
        let outcome = trainer.fit(
            run,
            |micro| -> Result<_> {
                // Every part of an accumulated step is a batch of its own.
                let index = (micro.step - 1) * micro.parts as u64 + micro.part as u64 + 1;
                let mode = Mode::Train { seed, step: index };
                let matching = matching.as_deref().map(|m| m as &dyn sandhi_core::Consistency);
                let batch = batches.get(index)?;
                let loss = objective(config, matching, &network, &batch, mode, micro.step)?;
                Ok(part(loss, &batch, batches.waited()))
            },
            |step, run| -> Result<f64> {
                let rate = evaluate::dev_error_rate(config, model, &data)?;
                run.log(step, "dev", &[("wer", rate)])?;
                quality::look(config, &network, &data, step, run)?;
                Ok(rate)
            },
        )?;
        if let Some(best) = outcome.best {
            run.set("best_dev_wer", best.metric)?;
            run.set("best_step", best.step)?;
        }
        run.set("skipped_steps", outcome.skipped)?;
        run.set("threads", rayon::current_num_threads())?;
        evaluate::test(config, model, &data, run)?;
        evaluate::alignment(config, model, &data, run)?;
        export(run.dir(), &run.dir().join("export"), Weights::Best)
    }
}
