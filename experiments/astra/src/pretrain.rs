//! BEST-RQ: the speech path learns to predict masked speech, before it hears what was said.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use sandhi_bestrq::{
    MaskedFeatures, MaskedPrediction, RandomProjectionQuantizer, Targets, codebook_usage, mask,
};
use sandhi_conformer::frames_after;
use sandhi_core::{Ledger, Lengths, Padded};
use sandhi_corpus::{BatchBudget, Size};
use sandhi_lab::{Run, write_atomic};
use sandhi_model::SpeechPath;
use sandhi_nn::random::{key, subkey};
use sandhi_nn::{Mode, Params};
use sandhi_recipe::{Data, Plan, Utterance, length_batches};
use sandhi_train::{Part, Trainer, prefetch};

use crate::config::{Config, Pretraining};

/// The stage's directory below the run's.
const STAGE: &str = "pretraining";
/// What it leaves there.
const WEIGHTS: &str = "speech-path.safetensors";
/// The head's scope; what is outside of it is the speech path.
const HEAD: &str = "bestrq";
/// The quantizer is one and the same for every seed of the training, as a corpus is.
const QUANTIZER_SEED: u64 = 220_201_855;

/// Starts the speech path of `params` from weights that were trained on speech alone; trains these first, unless that was
/// done already.
pub(crate) fn pretrain(config: &Config, data: &Arc<Data>, run: &mut Run, params: &Params) -> Result<()> {
    let Some(settings) = &config.pretraining else {
        return Ok(());
    };
    let path = run.dir().join(STAGE).join(WEIGHTS);
    if !path.exists() {
        train(config, settings, data, run, &path)?;
    }
    let weights = candle_core::safetensors::load(&path, &Device::Cpu);
    let weights = weights.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(params.adopt(&weights.into_iter().collect())?)
}

fn train(config: &Config, settings: &Pretraining, data: &Arc<Data>, run: &mut Run, to: &Path) -> Result<()> {
    let mut stage = run.stage(STAGE)?;
    let seed = run.seed();
    let params = Params::seeded(seed, DType::F32, &Device::Cpu);
    let network = Network::new(config, settings, &params)?;
    let task = Arc::new(Task::new(config, settings)?);
    let dev: Vec<Batch> = length_batches(config.budget.max_frames, &data.dev)
        .into_iter()
        .map(|batch| {
            let utterances: Vec<&Utterance> = batch.iter().map(|&i| &data.dev[i]).collect();
            task.batch(&utterances, key(0, "dev"))
        })
        .collect::<Result<_>>()?;
    let usage = codebook_usage(dev.iter().map(|batch| &batch.targets))?;
    run.set(
        "pretraining_perplexity",
        usage.iter().map(|u| u.perplexity().round()).collect::<Vec<_>>(),
    )?;

    let mut trainer = Trainer::new(&params, settings.trainer(config))?;
    let mut source = Batches::new(config, task, data.clone(), key(seed, STAGE));
    let mut batches = prefetch(2, move |step| source.batch(step), 1);
    let outcome = trainer.fit(
        &mut stage,
        |micro| -> Result<_> {
            let batch = batches.get(micro.step)?;
            let mode = Mode::Train {
                seed,
                step: micro.step,
            };
            let (nats, seen) = network.loss(&batch, mode)?;
            let mut ledger = Ledger::default();
            ledger.add_counted("bestrq", 1.0, nats, seen.masked.max(1) as f64)?;
            Ok(Part::from(ledger)
                .amount("audio_seconds", batch.seconds)
                .waited(batches.waited())
                .names("bestrq", batch.names.as_slice()))
        },
        |step, stage| -> Result<f64> {
            let seen = network.look(&dev)?;
            stage.log(
                step,
                "dev",
                &[("bestrq", seen.mean()), ("accuracy", seen.accuracy())],
            )?;
            Ok(seen.mean())
        },
    );
    if let Err(error) = outcome {
        return Err(match error.downcast_ref() {
            // The stage was asked to stop, so the run is.
            Some(sandhi_train::Error::Interrupted { step }) => run.interrupt(*step).into(),
            _ => error,
        });
    }
    let seen = network.look(&dev)?;
    run.set("pretraining_nats", (1000.0 * seen.mean()).round() / 1000.0)?;
    run.set("pretraining_accuracy", (10.0 * seen.accuracy()).round() / 10.0)?;
    let head = format!("{HEAD}.");
    let path = params
        .snapshot()?
        .into_iter()
        .filter(|(name, _)| !name.starts_with(&head));
    write_atomic(to, &safetensors::serialize(path, None)?)?;
    Ok(stage.done()?)
}

/// What is trained in this stage.
struct Network {
    speech: SpeechPath,
    head: MaskedPrediction,
}

/// What a loss was taken over.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    nats: f64,
    /// Frames.
    masked: usize,
    /// Of the first codebook.
    correct: usize,
}

impl Seen {
    /// Nats for each masked frame.
    fn mean(self) -> f64 {
        self.nats / self.masked.max(1) as f64
    }

    /// In percent of the masked frames.
    fn accuracy(self) -> f64 {
        100.0 * self.correct as f64 / self.masked.max(1) as f64
    }
}

impl Network {
    fn new(config: &Config, settings: &Pretraining, params: &Params) -> Result<Self> {
        let (books, codes) = (settings.quantizer.num_codebooks, settings.quantizer.codebook_size);
        Ok(Self {
            speech: SpeechPath::new(&config.model, params)?,
            head: MaskedPrediction::new(config.model.block.dim, books, codes, &params.scope(HEAD))?,
        })
    }

    fn loss(&self, batch: &Batch, mode: Mode) -> Result<(candle_core::Tensor, Seen)> {
        let encoded = self.speech.encode(&batch.masked.features, mode)?;
        let encoded = self.speech.share(&encoded, mode)?;
        let loss = self.head.loss(&encoded, &batch.targets, &batch.masked.frames)?;
        let seen = Seen {
            nats: f64::from(loss.per_utterance.sum_all()?.to_scalar::<f32>()?),
            masked: loss.total_masked(),
            correct: loss.num_correct[0],
        };
        Ok((loss.per_utterance, seen))
    }

    fn look(&self, batches: &[Batch]) -> Result<Seen> {
        batches.iter().try_fold(Seen::default(), |all, batch| {
            let (_, seen) = self.loss(batch, Mode::Eval)?;
            Ok(Seen {
                nats: all.nats + seen.nats,
                masked: all.masked + seen.masked,
                correct: all.correct + seen.correct,
            })
        })
    }
}

/// Masked speech and what was said under the masks.
struct Batch {
    masked: MaskedFeatures,
    targets: Targets,
    names: Vec<String>,
    seconds: f64,
}

/// From utterances to what is to be predicted.
struct Task {
    quantizer: RandomProjectionQuantizer,
    mask: sandhi_bestrq::MaskConfig,
    bins: usize,
    shift: f64,
}

impl Task {
    fn new(config: &Config, settings: &Pretraining) -> Result<Self> {
        Ok(Self {
            quantizer: RandomProjectionQuantizer::new(&settings.quantizer, QUANTIZER_SEED)?,
            mask: settings.mask,
            bins: config.fbank.num_bins,
            shift: config.fbank.shift_ms / 1000.0,
        })
    }

    /// The masks are a function of `key` and the utterance.
    fn batch(&self, utterances: &[&Utterance], mask_key: u64) -> Result<Batch> {
        let rows: Vec<Vec<f32>> = utterances.iter().map(|u| u.own().values.clone()).collect();
        let features = Padded::from_rows(&rows, self.bins, &Device::Cpu)?;
        let lengths = features.lengths().as_slice();
        let frames = Lengths::new(lengths.iter().map(|&n| frames_after(n)).collect());
        let seconds = lengths.iter().sum::<usize>() as f64 * self.shift;
        let seeds: Vec<u64> = utterances.iter().map(|u| key(mask_key, &u.cut.id)).collect();
        let stacking = &self.quantizer.config().stacking;
        Ok(Batch {
            targets: self.quantizer.targets(&features, &frames)?,
            masked: mask(&features, &frames, stacking, &self.mask, &seeds)?,
            names: utterances.iter().map(|u| u.cut.id.clone()).collect(),
            seconds,
        })
    }
}

/// Makes the batch of any step.
struct Batches {
    task: Arc<Task>,
    data: Arc<Data>,
    key: u64,
    plan: Plan,
}

impl Batches {
    fn new(config: &Config, task: Arc<Task>, data: Arc<Data>, key: u64) -> Self {
        let budget = BatchBudget {
            max_frames: config.budget.max_frames,
            // Nothing here grows with frames times labels.
            max_cells: usize::MAX,
            max_utterances: config.budget.max_utterances,
        };
        let size = |u: &Utterance| Size {
            frames: u.own().num_frames,
            labels: 0,
        };
        let sizes = data.speech.iter().map(|u| vec![size(u)]).collect();
        Self {
            plan: Plan::new(key, budget, sizes, 0),
            task,
            data,
            key,
        }
    }

    fn batch(&mut self, step: u64) -> Result<Batch> {
        let chosen = self.plan.paired(step)?;
        let utterances: Vec<&Utterance> = chosen.iter().map(|c| &self.data.speech[c.utterance]).collect();
        self.task.batch(&utterances, subkey(self.key, step))
    }
}
