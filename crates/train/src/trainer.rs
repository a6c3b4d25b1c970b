//! The training loop.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor};
use sandhi_lab::{Progress, Run};
use sandhi_nn::Params;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Found, Store};
use crate::dump::{self, listed};
use crate::part::Seen;
use crate::signals::Listening;
use crate::snapshots::{self, Snapshots};
use crate::state::State;
use crate::tensors::{Array, from_bytes, to_bytes};
use crate::window::Pace;
use crate::{AdamW, Average, Error, Gradients, Memory, Part, Result, TrainerConfig, clip_global_norm};

const BEST: &str = "best.safetensors";
const PARAMS: &str = "params.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGE: &str = "ema.safetensors";
const STATE: &str = "state.toml";
const SNAPSHOTS: &str = "snapshots";
const MEAN_LAST: &str = "mean-last.safetensors";
const MEAN_BEST: &str = "mean-best.safetensors";

/// Which part of which step an objective is asked for. Data, masks and dropout are functions of the seed and of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Micro {
    /// The optimizer step, counted from 1.
    pub step: u64,
    /// The part of the step, counted from 0.
    pub part: usize,
    /// The number of parts of every step.
    pub parts: usize,
}

/// The best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// After which step.
    pub step: u64,
    /// What the validation returned.
    pub metric: f64,
}

/// Which weights the parameters hold after training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Those of the best validation (the averaged ones, if there is an average).
    Best,
    /// The moving average after the last step; there was no validation, or none with a finite metric.
    Average,
    /// Those of the last step; there was neither a usable validation nor an average.
    Last,
}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Steps taken, skipped ones included.
    pub step: u64,
    /// The best validation.
    pub best: Option<Best>,
    /// Whether it ended before the configured number of steps, because validation no longer improved.
    pub stopped_early: bool,
    /// Steps that were skipped because a loss or a gradient was not finite.
    pub skipped: u64,
    /// What the parameters hold now, and `checkpoints/best.safetensors` with them.
    pub weights: Weights,
}

/// Trains the parameters of a model on an objective.
///
/// See the crate documentation for an example and for what is saved when.
pub struct Trainer {
    params: Params,
    config: TrainerConfig,
    adam: AdamW,
    average: Option<Average>,
    gradients: Gradients,
    seen: Vec<Seen>,
    stop: Arc<AtomicBool>,
    examined: bool,
}

/// What one step came to.
enum Step {
    Taken {
        loss: f64,
        terms: Vec<(&'static str, f64)>,
        norm: f64,
    },
    NotFinite(String),
}

impl Trainer {
    /// A trainer of every variable that `params` holds now. Build the whole model first.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a field cannot be honoured or a variable is not f32.
    pub fn new(params: &Params, config: TrainerConfig) -> Result<Self> {
        config.check()?;
        let average = config
            .ema_decay
            .map(|decay| Average::new(params, decay))
            .transpose()?;
        Ok(Self {
            params: params.clone(),
            adam: AdamW::new(params, config.adam)?,
            average,
            gradients: Gradients::new(params)?,
            seen: Vec::new(),
            stop: Arc::default(),
            examined: false,
            config,
        })
    }

    /// Setting this asks [`Trainer::fit`] to save and stop after the step in work, as SIGINT and SIGTERM do.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Trains to the end, from the newest checkpoint of the run if there is one.
    ///
    /// * `objective` gives the loss terms of one part of a step, as a [`Ledger`](sandhi_core::Ledger) or as a [`Part`]
    ///   that says more. Its terms are divided by the counts of the whole step
    ///   ([`add_counted`](sandhi_core::Ledger::add_counted)), so that the parts add up.
    /// * `validate` gives a metric of the parameters as they are when it is called, lower being better; it sees the
    ///   averaged weights if there is an average. What it logs through the run is its own affair.
    ///
    /// Both are called with the same arguments again when a run continues, and must then give the same.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] once a signal came and the state is saved, [`Error::NotFinite`], [`Error::Dead`],
    /// [`Error::NoCheckpoint`], [`Error::Corrupt`], [`Error::Io`]; and whatever the closures return.
    pub fn fit<E: From<Error>, P: Into<Part>>(
        &mut self,
        run: &mut Run,
        mut objective: impl FnMut(Micro) -> Result<P, E>,
        mut validate: impl FnMut(u64, &mut Run) -> Result<f64, E>,
    ) -> Result<Outcome, E> {
        let listening = Listening::start().map_err(Error::io("cannot listen for", "SIGINT and SIGTERM"))?;
        let store = Store::open(run.dir().join("checkpoints"), self.config.keep)?;
        let mut state = self.resume(&store, run)?;
        let bar = run.progress("train", self.config.steps);
        bar.set_position(state.step);
        let mut pace = Pace::start();
        while !state.finished {
            let step = state.step + 1;
            pace.begin();
            let result = self.step(step, run, &mut pace, &mut objective)?;
            pace.end();
            match result {
                Step::Taken { loss, terms, norm } => {
                    state.skipped_in_a_row = 0;
                    state.window.add("loss", loss);
                    state.window.add("grad_norm", norm);
                    terms
                        .iter()
                        .for_each(|(name, value)| state.window.add(name, *value));
                    self.show(&bar, step, loss, &terms, norm, &pace);
                }
                Step::NotFinite(what) => self.skip(step, what, &mut state, run)?,
            }
            state.step = step;
            bar.set_position(step);
            let last = step == self.config.steps;
            if step == 1 || last || step.is_multiple_of(self.config.log_every) {
                self.log(&mut state, run, &mut pace)?;
            }
            let every = self.config.validate_every;
            if every > 0 && (last || step.is_multiple_of(every)) {
                self.validate(&mut state, &store, run, &mut validate)?;
            }
            state.stopped_early = !last
                && self.config.patience > 0
                && state.validations_without_improvement >= self.config.patience;
            state.finished = last || state.stopped_early;
            let stop = listening.came() || self.stop.load(Ordering::SeqCst);
            if state.finished || stop || step.is_multiple_of(self.config.checkpoint_every) {
                self.save(&state, &store)?;
            }
            if stop {
                // The run has to know, so that its end counts as an interruption and not as a failure.
                let _ = run.interrupt(step);
                return Err(Error::Interrupted { step }.into());
            }
        }
        bar.finish();
        Ok(self.finish(&state, &store)?)
    }

    /// Computes the gradients of a step and applies them, unless something is not finite.
    fn step<E: From<Error>, P: Into<Part>>(
        &mut self,
        step: u64,
        run: &mut Run,
        pace: &mut Pace,
        objective: &mut impl FnMut(Micro) -> Result<P, E>,
    ) -> Result<Step, E> {
        let parts = self.config.accumulate;
        self.gradients.clear();
        self.seen.clear();
        let (mut loss, mut terms) = (0.0, Vec::<(&'static str, f64)>::new());
        for part in 0..parts {
            let given: Part = objective(Micro { step, part, parts })?.into();
            pace.add(given.waited, &given.amounts);
            match self.backward(&given, part, &mut loss, &mut terms)? {
                None => {}
                Some(what) => return Ok(Step::NotFinite(what)),
            }
        }
        if !self.examined {
            self.examine(step, run)?;
            self.examined = true;
        }
        let norm = clip_global_norm(
            &mut self.gradients,
            self.config.clip_norm.unwrap_or(f64::INFINITY),
        );
        if !norm.is_finite() {
            let utterances: Vec<String> = self.seen.iter().flat_map(Seen::utterances).collect();
            return Ok(Step::NotFinite(format!(
                "the gradient is not finite in {} (utterances {})",
                listed(&self.gradients.not_finite()),
                listed(&utterances)
            )));
        }
        self.adam
            .step(&self.gradients, self.config.schedule.lr(step, self.config.steps))?;
        if let Some(average) = &mut self.average {
            average.update()?;
        }
        Ok(Step::Taken { loss, terms, norm })
    }

    /// Adds one part of a step; says what is not finite, if anything is.
    fn backward(
        &mut self,
        given: &Part,
        part: usize,
        loss: &mut f64,
        terms: &mut Vec<(&'static str, f64)>,
    ) -> Result<Option<String>> {
        let seen = Seen::new(given)?;
        let what = seen.not_finite().map(|(term, utterance, value)| {
            format!("{term} of utterance {utterance} in part {part} is {value}")
        });
        self.seen.push(seen);
        if let Some(what) = what {
            // A network that is broken already breaks whatever it is shown.
            let broken = dump::broken(&self.params)?;
            return Ok(Some(match broken.as_slice() {
                [] => what,
                names => format!("{what}, the weights are not finite in {}", listed(names)),
            }));
        }
        let total = given.loss.total()?;
        let value = total.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        if !value.is_finite() {
            return Ok(Some(format!("the sum of the terms in part {part} is {value}")));
        }
        *loss += value;
        for (name, value) in given.loss.values()? {
            match terms.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => terms.push((name, value)),
            }
        }
        self.gradients.add(&total.backward()?)?;
        Ok(None)
    }

    /// After the first step: a variable without a gradient would stay random forever, and the loss would still fall.
    fn examine(&self, step: u64, run: &mut Run) -> Result<()> {
        let mut names: Vec<String> = self.gradients.missing().into_iter().map(str::to_owned).collect();
        if self.params.vars().len() != self.adam.num_variables() {
            // Made by the objective itself, after the trainer.
            let late = self.params.vars().into_iter().map(|(name, _)| name);
            names.extend(late.filter(|name| self.gradients.get(name).is_none()));
            names.sort();
            names.dedup();
        }
        if !names.is_empty() {
            return Err(Error::Dead { step, names });
        }
        // Zeros can be right, as behind a factor that starts at zero.
        let zero = self.gradients.zero();
        if !zero.is_empty() {
            run.warn(format!(
                "step {step}: the gradient is zero throughout for {}",
                zero.join(", ")
            ));
        }
        Ok(())
    }

    fn skip(&self, step: u64, what: String, state: &mut State, run: &mut Run) -> Result<()> {
        state.skipped += 1;
        state.skipped_in_a_row += 1;
        let (skipped, patience) = (state.skipped_in_a_row, self.config.non_finite_patience);
        if skipped > patience {
            let dump = dump::write(run.dir(), step, &what, &self.seen, &self.params, &self.gradients)?;
            return Err(Error::NotFinite {
                step,
                what,
                dump,
                skipped,
                patience,
            });
        }
        run.warn(format!("step {step} is skipped: {what}"));
        Ok(())
    }

    fn show(&self, bar: &Progress, step: u64, loss: f64, terms: &[(&str, f64)], norm: f64, pace: &Pace) {
        let mut message = format!("loss {loss:.3}");
        if terms.len() > 1 {
            terms
                .iter()
                .for_each(|(name, value)| message.push_str(&format!("  {name} {value:.3}")));
        }
        let lr = self.config.schedule.lr(step, self.config.steps);
        message.push_str(&format!(
            "  lr {lr:.1e}  norm {norm:.2}  {:.2} s/step  wait {:.0} %",
            pace.seconds_per_step(),
            100.0 * pace.wait()
        ));
        for (name, rate) in pace.rates() {
            message.push_str(&format!("  {name} {rate:.1}/s"));
        }
        bar.set_message(message);
    }

    fn log(&self, state: &mut State, run: &mut Run, pace: &mut Pace) -> Result<()> {
        let mut values = state.window.means();
        values.push(("lr", self.config.schedule.lr(state.step, self.config.steps)));
        if state.skipped > 0 {
            values.push(("skipped", state.skipped as f64));
        }
        run.log(state.step, "train", &values)?;
        self.log_machine(state.step, run, pace)?;
        state.window.clear();
        *pace = Pace::start();
        Ok(())
    }

    /// What another machine would have done at another pace: a line of its own, so that all others can be compared.
    fn log_machine(&self, step: u64, run: &mut Run, pace: &Pace) -> Result<()> {
        let rates: Vec<(String, f64)> = pace
            .rates()
            .map(|(name, rate)| (format!("{name}_per_second"), rate))
            .collect();
        let mut values = vec![("seconds", pace.seconds_per_step()), ("wait", pace.wait())];
        values.extend(rates.iter().map(|(name, rate)| (name.as_str(), *rate)));
        if let Some(memory) = Memory::of_this_process() {
            values.push(("resident_mib", memory.resident_mib));
            values.push(("peak_mib", memory.peak_mib));
        }
        Ok(run.log(step, "machine", &values)?)
    }

    /// Validates, with the averaged weights in place if there are any, and keeps the weights if they are the best.
    fn validate<E: From<Error>>(
        &mut self,
        state: &mut State,
        store: &Store,
        run: &mut Run,
        validate: &mut impl FnMut(u64, &mut Run) -> Result<f64, E>,
    ) -> Result<(), E> {
        self.swap()?;
        let result = validate(state.step, run).and_then(|metric| {
            // A metric that is not a number is no improvement.
            if metric < state.best.map_or(f64::INFINITY, |best| best.metric) {
                state.best = Some(Best {
                    step: state.step,
                    metric,
                });
                state.validations_without_improvement = 0;
                self.keep(store, state.step)?;
            } else {
                state.validations_without_improvement += 1;
            }
            Ok(metric)
        });
        // Back to the weights in training before anything else, whatever happened.
        self.swap()?;
        let metric = result?;
        Ok(self.snapshot(state, store, metric)?)
    }

    /// Keeps the weights in training, not their moving average: the mean is the average here.
    fn snapshot(&self, state: &mut State, store: &Store, metric: f64) -> Result<()> {
        if self.config.snapshots == 0 {
            return Ok(());
        }
        let kept = Snapshots::open(store.path(SNAPSHOTS))?;
        let taken = kept.take(state.step, metric, &self.params_bytes()?)?;
        state.snapshots.push(taken);
        snapshots::thin(&mut state.snapshots, self.config.snapshots);
        Ok(())
    }

    fn swap(&mut self) -> Result<()> {
        self.average.as_mut().map_or(Ok(()), Average::swap)
    }

    /// Writes the parameters as they are to `best.safetensors`.
    fn keep(&self, store: &Store, step: u64) -> Result<()> {
        store.write(step, BEST, &self.params_bytes()?)
    }

    fn save(&self, state: &State, store: &Store) -> Result<()> {
        let mut files = vec![
            (PARAMS, self.params_bytes()?),
            (OPTIMIZER, self.adam.to_safetensors()?),
            (STATE, state.to_bytes()?),
        ];
        if let Some(average) = &self.average {
            files.push((AVERAGE, average.to_safetensors()?));
        }
        let best = store.path(BEST);
        store.save(state.step, &files, state.best.map(|_| (BEST, best.as_path())))?;
        if self.config.snapshots == 0 {
            return Ok(());
        }
        // An older checkpoint may be gone back to, and needs what it lists.
        let mut needed = BTreeSet::new();
        for (path, bytes) in store.each(STATE)? {
            if let Ok(state) = State::from_bytes(&bytes, &state.config_hash, &path) {
                needed.extend(state.snapshots.iter().map(|snapshot| snapshot.step));
            }
        }
        Snapshots::open(store.path(SNAPSHOTS))?.keep_only(&needed)
    }

    /// Takes up the newest checkpoint, or starts at the beginning. What was logged beyond it is dropped.
    fn resume(&mut self, store: &Store, run: &mut Run) -> Result<State> {
        let Some(found) = store.newest(|text| run.warn(text))? else {
            run.rewind(0)?;
            return Ok(State::new(run.config_hash()));
        };
        let (bytes, path) = found.file(STATE)?;
        let state = State::from_bytes(bytes, run.config_hash(), &path)?;
        let (bytes, path) = found.file(OPTIMIZER)?;
        self.adam.restore(bytes, &path)?;
        if let Some(average) = &mut self.average {
            let (bytes, path) = found.file(AVERAGE)?;
            average.restore(bytes, &path)?;
        }
        let (bytes, path) = found.file(PARAMS)?;
        self.set_params(bytes, &path)?;
        self.resume_best(&state, store, &found)?;
        run.rewind(state.step)?;
        Ok(state)
    }

    /// Puts back the best weights as they were at the checkpoint: those on disk may be of a later step.
    fn resume_best(&self, state: &State, store: &Store, found: &Found) -> Result<()> {
        let path = store.path(BEST);
        if state.best.is_some() {
            let (bytes, _) = found.file(BEST)?;
            return Ok(sandhi_lab::write_atomic(&path, bytes)?);
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("cannot remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Leaves the parameters at the weights the run is to be judged by.
    fn finish(&mut self, state: &State, store: &Store) -> Result<Outcome> {
        if !state.snapshots.is_empty() {
            let (kept, most) = (Snapshots::open(store.path(SNAPSHOTS))?, self.config.snapshots);
            for (name, of) in [
                (MEAN_LAST, snapshots::last(&state.snapshots, most)),
                (MEAN_BEST, snapshots::best(&state.snapshots, most)),
            ] {
                sandhi_lab::write_atomic(&store.path(name), &kept.mean(of)?)?;
            }
        }
        let weights = if state.best.is_some() {
            let path = store.path(BEST);
            let bytes = std::fs::read(&path).map_err(Error::io("cannot read", &path))?;
            self.set_params(&bytes, &path)?;
            Weights::Best
        } else {
            self.swap()?;
            self.keep(store, state.step)?;
            if self.average.is_some() {
                Weights::Average
            } else {
                Weights::Last
            }
        };
        let State {
            step,
            best,
            stopped_early,
            skipped,
            ..
        } = *state;
        Ok(Outcome {
            step,
            best,
            stopped_early,
            skipped,
            weights,
        })
    }

    fn params_bytes(&self) -> Result<Vec<u8>> {
        let array = |tensor: Tensor| -> Result<Array<'static>> {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            Ok(Array {
                shape: tensor.dims().to_vec(),
                values: values.into(),
            })
        };
        let vars = self.params.vars().into_iter();
        let arrays = vars
            .map(|(name, var)| Ok((name, array(var.as_tensor().clone())?)))
            .collect::<Result<Vec<_>>>()?;
        to_bytes(arrays, None)
    }

    fn set_params(&self, bytes: &[u8], path: &Path) -> Result<()> {
        let (arrays, _) = from_bytes(bytes, path)?;
        let tensor =
            |array: Array<'_>| Tensor::from_vec(array.values.into_owned(), array.shape, &Device::Cpu);
        let tensors = arrays
            .into_iter()
            .map(|(name, array)| Ok((name, tensor(array)?)))
            .collect::<Result<_>>()?;
        self.params
            .restore(&tensors)
            .map_err(|error| Error::corrupt(path, error.to_string()))
    }
}
