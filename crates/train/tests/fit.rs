//! Laws of the training loop, on a small network: what a kill, an interruption or damage may not change.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use sandhi_core::Ledger;
use sandhi_lab::{Metric, Run, read_metrics};
use sandhi_nn::{Init, Params};
use sandhi_train::{AdamWConfig, Error, Micro, Outcome, Schedule, Trainer, TrainerConfig, Weights};

const STEPS: u64 = 40;
const BATCH: usize = 6;

fn config() -> TrainerConfig {
    TrainerConfig {
        steps: STEPS,
        accumulate: 1,
        clip_norm: Some(1.0),
        ema_decay: None,
        log_every: 7,
        checkpoint_every: 5,
        keep: 2,
        validate_every: 8,
        patience: 0,
        non_finite_patience: 2,
        schedule: Schedule::Cosine {
            peak: 0.05,
            warmup: 0.125,
            floor: 0.001,
        },
        adam: AdamWConfig {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.01,
        },
    }
}

/// With everything that a checkpoint must carry.
fn rich() -> TrainerConfig {
    TrainerConfig {
        accumulate: 3,
        ema_decay: Some(0.95),
        ..config()
    }
}

/// y = tanh(x W₁ + b₁) W₂, to be fitted to a fixed function of x.
struct Network {
    params: Params,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
}

impl Network {
    fn new() -> Self {
        let params = Params::seeded(11, DType::F32, &Device::Cpu);
        let get = |name: &str, shape: &[usize], init| params.get(name, shape, init).unwrap();
        let w1 = get("first.weight", &[4, 16], Init::XavierUniform);
        let b1 = get("first.bias", &[16], Init::Zeros);
        let w2 = get("second.weight", &[16, 2], Init::XavierUniform);
        Self { w1, b1, w2, params }
    }

    /// The squared error of each row of `x`.
    fn errors(&self, x: &Tensor) -> TensorResult<Tensor> {
        let hidden = x.matmul(&self.w1)?.broadcast_add(&self.b1)?.tanh()?;
        let wanted = x.narrow(1, 0, 2)?.contiguous()?.sin()?;
        (hidden.matmul(&self.w2)? - wanted)?.sqr()?.sum(1)
    }

    /// The objective of a part: rows `part`, `part + parts`, … of the step's batch, so that parts are unequal.
    fn objective(&self, micro: Micro) -> Result<Ledger, Error> {
        let rows = batch(micro.step);
        let rows: Vec<f32> = rows
            .chunks(4)
            .skip(micro.part)
            .step_by(micro.parts)
            .flatten()
            .copied()
            .collect();
        let x = Tensor::from_vec(rows.clone(), (rows.len() / 4, 4), &Device::Cpu)?;
        let mut ledger = Ledger::default();
        ledger.add_counted("error", 1.0, self.errors(&x)?, BATCH as f64)?;
        let size = self.w2.sqr()?.sum_all()?.reshape(1)?;
        ledger.add_counted("size", 1e-3, size, micro.parts as f64)?;
        Ok(ledger)
    }

    /// The error on rows that no step sees.
    fn validate(&self) -> Result<f64, Error> {
        let x = Tensor::from_vec(batch(0), (BATCH, 4), &Device::Cpu)?;
        Ok(f64::from(self.errors(&x)?.mean_all()?.to_scalar::<f32>()?))
    }

    fn bits(&self) -> Vec<u32> {
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        self.params
            .snapshot()
            .unwrap()
            .values()
            .flat_map(values)
            .map(f32::to_bits)
            .collect()
    }
}

/// The batch of a step, a function of the step alone.
fn batch(step: u64) -> Vec<f32> {
    let draws = Params::seeded(5, DType::F32, &Device::Cpu);
    let rows = draws.get(&format!("batch {step}"), &[BATCH * 4], Init::Normal { std: 1.0 });
    rows.unwrap().to_vec1().unwrap()
}

/// Trains in `dir` with a fresh network, as a new process would, and dies without a word before `dies` is computed.
fn session(dir: &Path, config: &TrainerConfig, dies: Option<u64>) -> (Network, Result<Outcome, Error>) {
    let network = Network::new();
    let mut run = Run::at(dir, 1).unwrap();
    let mut trainer = Trainer::new(&network.params, config.clone()).unwrap();
    let outcome = trainer.fit(
        &mut run,
        |micro| match dies {
            Some(step) if micro.step == step => Err(death()),
            _ => network.objective(micro),
        },
        |step, run| {
            let metric = network.validate()?;
            run.log(step, "dev", &[("error", metric)])?;
            Ok(metric)
        },
    );
    (network, outcome)
}

fn death() -> Error {
    Error::Producer {
        step: 0,
        reason: "killed".to_owned(),
    }
}

/// All that a finished run leaves, times aside.
#[derive(Debug, PartialEq)]
struct Remains {
    outcome: Outcome,
    weights: Vec<u32>,
    metrics: Vec<Metric>,
    files: BTreeMap<String, Vec<u8>>,
}

fn remains(dir: &Path, network: &Network, outcome: Outcome) -> Remains {
    let mut metrics = read_metrics(dir).unwrap();
    for metric in &mut metrics {
        metric.values.remove("seconds");
    }
    let mut files = BTreeMap::new();
    let last = format!("step-{:08}", outcome.step);
    for name in ["params", "optimizer", "ema", "best"] {
        let path = dir
            .join("checkpoints")
            .join(&last)
            .join(format!("{name}.safetensors"));
        if path.exists() {
            files.insert(name.to_owned(), std::fs::read(path).unwrap());
        }
    }
    files.insert(
        "kept".to_owned(),
        std::fs::read(dir.join("checkpoints/best.safetensors")).unwrap(),
    );
    Remains {
        outcome,
        weights: network.bits(),
        metrics,
        files,
    }
}

fn straight(config: &TrainerConfig) -> Remains {
    let dir = tempfile::tempdir().unwrap();
    let (network, outcome) = session(dir.path(), config, None);
    remains(dir.path(), &network, outcome.unwrap())
}

#[test]
fn fit_learns() {
    let remains = straight(&config());
    let best = remains.outcome.best.unwrap();
    let before = Network::new().validate().unwrap();
    assert!(
        best.metric < 0.2 * before,
        "{} is not far below {before}",
        best.metric
    );
    assert_eq!(remains.outcome.weights, Weights::Best);
    assert_eq!(remains.outcome.step, STEPS);
}

#[test]
fn fit_killed_and_resumed_equals_uninterrupted() {
    for config in [config(), rich()] {
        let expected = straight(&config);
        // Before the first checkpoint, right after one, right before one, after the last validation but one.
        for dies in [1, 3, 6, 10, 19, 34, STEPS] {
            let dir = tempfile::tempdir().unwrap();
            let (_, outcome) = session(dir.path(), &config, Some(dies));
            assert!(matches!(outcome, Err(Error::Producer { .. })));
            let (network, outcome) = session(dir.path(), &config, None);
            assert!(
                remains(dir.path(), &network, outcome.unwrap()) == expected,
                "killed at step {dies}"
            );
        }
    }
}

#[test]
fn fit_killed_again_and_again_equals_uninterrupted() {
    let (config, dir) = (rich(), tempfile::tempdir().unwrap());
    for dies in [4, 7, 13, 14, 29] {
        session(dir.path(), &config, Some(dies)).1.unwrap_err();
        // A kill while a checkpoint was being written leaves a part of it.
        let left = dir.path().join(format!("checkpoints/step-{:08}.tmp", dies + 1));
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("params.safetensors"), b"half a file").unwrap();
        std::fs::write(
            dir.path().join("checkpoints/best.safetensors.tmp"),
            b"half a file",
        )
        .unwrap();
    }
    let (network, outcome) = session(dir.path(), &config, None);
    assert!(remains(dir.path(), &network, outcome.unwrap()) == straight(&config));
}

#[test]
fn fit_takes_the_best_of_its_checkpoint_not_one_of_the_dropped_future() {
    let (config, dir) = (config(), tempfile::tempdir().unwrap());
    session(dir.path(), &config, Some(18)).1.unwrap_err();
    // As if a validation after the checkpoint of step 15 had left other weights than it will leave again.
    let best = dir.path().join("checkpoints/best.safetensors");
    std::fs::write(dir.path().join("other"), std::fs::read(&best).unwrap()).unwrap();
    std::fs::rename(dir.path().join("other"), &best).unwrap();
    std::fs::write(&best, b"weights of a future that is gone").unwrap();
    session(dir.path(), &config, Some(16)).1.unwrap_err();
    let kept = dir.path().join("checkpoints/step-00000015/best.safetensors");
    assert_eq!(std::fs::read(best).unwrap(), std::fs::read(kept).unwrap());
}

#[test]
fn fit_asked_to_stop_saves_and_continues_with_the_same_bits() {
    let (config, dir) = (rich(), tempfile::tempdir().unwrap());
    let network = Network::new();
    {
        let mut run = Run::at(dir.path(), 1).unwrap();
        let mut trainer = Trainer::new(&network.params, config.clone()).unwrap();
        let stop = trainer.stop_flag();
        let outcome = trainer.fit(
            &mut run,
            |micro| {
                stop.fetch_or(micro.step == 12, Ordering::SeqCst);
                network.objective(micro)
            },
            |step, run| {
                let metric = network.validate()?;
                run.log(step, "dev", &[("error", metric)])?;
                Ok::<_, Error>(metric)
            },
        );
        assert!(
            matches!(outcome, Err(Error::Interrupted { step: 12 })),
            "{outcome:?}"
        );
    }
    assert!(
        dir.path()
            .join("checkpoints/step-00000012/manifest.toml")
            .exists()
    );
    let (network, outcome) = session(dir.path(), &config, None);
    assert!(remains(dir.path(), &network, outcome.unwrap()).weights == straight(&config).weights);
}

#[test]
fn fit_finished_is_not_trained_again() {
    let (config, dir) = (rich(), tempfile::tempdir().unwrap());
    let (network, outcome) = session(dir.path(), &config, None);
    let first = remains(dir.path(), &network, outcome.unwrap());
    // Any step would end it.
    let again = (1..=STEPS + 1).map(|step| session(dir.path(), &config, Some(step)));
    for (network, outcome) in again.take(3) {
        assert!(remains(dir.path(), &network, outcome.unwrap()) == first);
    }
}

#[test]
fn fit_falls_back_from_a_corrupt_checkpoint_and_says_so() {
    let (config, dir) = (rich(), tempfile::tempdir().unwrap());
    session(dir.path(), &config, Some(18)).1.unwrap_err();
    let newest = dir.path().join("checkpoints/step-00000015/optimizer.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let (network, outcome) = session(dir.path(), &config, None);
    assert!(remains(dir.path(), &network, outcome.unwrap()) == straight(&config));
    let log = std::fs::read_to_string(dir.path().join("log.txt")).unwrap();
    assert!(
        log.contains("step-00000015/optimizer.safetensors") && log.contains("step-00000010"),
        "{log}"
    );
}

#[test]
fn fit_with_no_usable_checkpoint_does_not_start_over_silently() {
    let (config, dir) = (config(), tempfile::tempdir().unwrap());
    session(dir.path(), &config, Some(18)).1.unwrap_err();
    for step in [10, 15] {
        std::fs::write(
            dir.path().join(format!("checkpoints/step-{step:08}/state.toml")),
            b"step = 1",
        )
        .unwrap();
    }
    let (_, outcome) = session(dir.path(), &config, None);
    assert!(
        matches!(outcome, Err(Error::NoCheckpoint { num: 2, .. })),
        "{outcome:?}"
    );
}

#[test]
fn fit_that_cannot_save_names_the_path() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("checkpoints"),
        b"a file where a directory should be",
    )
    .unwrap();
    let (_, outcome) = session(dir.path(), &config(), None);
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("checkpoints"), "{error}");
}

#[test]
fn fit_in_parts_equals_fit_at_once() {
    let once = straight(&TrainerConfig {
        clip_norm: None,
        ..config()
    });
    let parts = straight(&TrainerConfig {
        clip_norm: None,
        accumulate: 3,
        ..config()
    });
    let close = |(a, b): (&u32, &u32)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 2e-4;
    assert!(once.weights.iter().zip(&parts.weights).all(close));
    // The first line is before any difference could grow.
    for name in ["loss", "error", "size", "grad_norm"] {
        let (a, b) = (
            once.metrics[0].values[name].unwrap(),
            parts.metrics[0].values[name].unwrap(),
        );
        assert!((a - b).abs() < 1e-6, "{name}: {a} is not {b}");
    }
}

#[test]
fn fit_ends_with_the_weights_its_rule_names() {
    // With the average, validation and the end see other weights than those in training.
    let averaged = straight(&rich());
    assert_eq!(averaged.outcome.weights, Weights::Best);
    assert_eq!(averaged.files["kept"], averaged.files["best"]);
    assert_ne!(averaged.files["kept"], averaged.files["params"]);

    let blind = straight(&TrainerConfig {
        validate_every: 0,
        ..rich()
    });
    assert_eq!(
        (blind.outcome.weights, blind.outcome.best),
        (Weights::Average, None)
    );
    assert_ne!(blind.files["kept"], blind.files["params"]);
    // Validation does not disturb the training.
    assert_eq!(blind.files["params"], averaged.files["params"]);

    let plain = straight(&TrainerConfig {
        validate_every: 0,
        ..config()
    });
    assert_eq!(plain.outcome.weights, Weights::Last);
    assert_eq!(plain.files["kept"], plain.files["params"]);
}

#[test]
fn fit_stops_early_and_returns_to_the_best() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let config = TrainerConfig {
        validate_every: 4,
        patience: 2,
        ..config()
    };
    let mut run = Run::at(dir.path(), 1).unwrap();
    let metrics = BTreeMap::from([(4, 0.5), (8, 0.4), (12, f64::NAN), (16, 0.4)]);
    let mut at_best = Vec::new();
    let outcome = Trainer::new(&network.params, config).unwrap().fit(
        &mut run,
        |micro| network.objective(micro),
        |step, _| {
            if step == 8 {
                at_best = network.bits();
            }
            Ok::<f64, Error>(metrics[&step])
        },
    );
    let outcome = outcome.unwrap();
    assert!(outcome.stopped_early);
    assert_eq!((outcome.step, outcome.best.unwrap().step), (16, 8));
    assert_eq!(network.bits(), at_best);
}

#[test]
fn fit_skips_what_is_not_finite_and_names_it() {
    // The loss is not finite at steps 9 and 10, the gradient alone at 20: √x has an infinite slope at 0.
    let spoiled = |network: &Network, micro: Micro| -> Result<Ledger, Error> {
        let mut ledger = network.objective(micro)?;
        let corner = network.w2.narrow(0, 0, 1)?.narrow(1, 0, 1)?.reshape(1)?;
        let zero = (&corner - corner.detach())?;
        match micro.step {
            9 | 10 => {
                ledger.add("log", 1.0, zero.log()?)?;
            }
            20 => {
                ledger.add("root", 1.0, zero.sqrt()?)?;
            }
            _ => {}
        }
        Ok(ledger)
    };
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let mut run = Run::at(dir.path(), 1).unwrap();
    let outcome = Trainer::new(&network.params, config()).unwrap().fit(
        &mut run,
        |micro| spoiled(&network, micro),
        |_, _| network.validate(),
    );
    assert_eq!(outcome.unwrap().skipped, 3);
    assert!(
        network
            .bits()
            .iter()
            .all(|&bits| f32::from_bits(bits).is_finite())
    );
    let log = std::fs::read_to_string(dir.path().join("log.txt")).unwrap();
    assert!(
        log.contains("step 9 is skipped: log of utterance 0 in part 0 is"),
        "{log}"
    );
    assert!(
        log.contains("step 20 is skipped: the gradient is not finite in second.weight"),
        "{log}"
    );

    // One step less of patience, and the second in a row ends it.
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let mut run = Run::at(dir.path(), 1).unwrap();
    let strict = TrainerConfig {
        non_finite_patience: 1,
        ..config()
    };
    let outcome = Trainer::new(&network.params, strict).unwrap().fit(
        &mut run,
        |micro| spoiled(&network, micro),
        |_, _| network.validate(),
    );
    assert!(
        matches!(
            outcome,
            Err(Error::NotFinite {
                step: 10,
                skipped: 2,
                patience: 1,
                ..
            })
        ),
        "{outcome:?}"
    );
}

#[test]
fn fit_names_parameters_that_no_loss_reaches() {
    for late in [false, true] {
        let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
        let make = |name| network.params.get(name, &[2], Init::Ones).unwrap();
        if !late {
            make("forgotten.bias");
        }
        let mut run = Run::at(dir.path(), 1).unwrap();
        let outcome = Trainer::new(&network.params, config()).unwrap().fit(
            &mut run,
            |micro| {
                if late {
                    // Made after the trainer, so that no optimizer would ever move it.
                    let used = make("forgotten.bias").sum_all()?.reshape(1)?;
                    let mut ledger = network.objective(micro)?;
                    ledger.add("late", 1.0, used)?;
                    return Ok(ledger);
                }
                network.objective(micro)
            },
            |_, _| network.validate(),
        );
        match outcome {
            Err(Error::Dead { step: 1, names }) => assert_eq!(names, ["forgotten.bias"]),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn fit_warns_of_a_gradient_of_zeros() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let gate = network.params.get("gate", &[1], Init::Zeros).unwrap();
    let factor = network.params.get("factor", &[1], Init::Zeros).unwrap();
    let mut run = Run::at(dir.path(), 1).unwrap();
    let outcome = Trainer::new(&network.params, config()).unwrap().fit(
        &mut run,
        |micro| {
            let mut ledger = network.objective(micro)?;
            // The slope of each factor is the other one, zero; adding 1 to one of them lets the other move.
            ledger.add("product", 1.0, (&gate * (&factor + 1.0)?)?)?;
            Ok(ledger)
        },
        |_, _| network.validate(),
    );
    outcome.unwrap();
    let log = std::fs::read_to_string(dir.path().join("log.txt")).unwrap();
    assert!(
        log.contains("the gradient is zero throughout for factor"),
        "{log}"
    );
    assert!(!log.contains("for factor, gate"), "{log}");
}

#[test]
fn fit_returns_the_error_of_a_closure_and_puts_the_weights_back() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let mut run = Run::at(dir.path(), 1).unwrap();
    let mut in_training = Vec::new();
    let outcome = Trainer::new(&network.params, rich()).unwrap().fit(
        &mut run,
        |micro| network.objective(micro),
        |_, _| {
            in_training = network.bits();
            Err(death())
        },
    );
    assert!(matches!(outcome, Err(Error::Producer { .. })));
    // Validation saw the average; what remains are the weights in training.
    assert_ne!(network.bits(), in_training);
}
