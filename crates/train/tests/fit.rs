//! Laws of the training loop, on a small network: what a kill, an interruption or damage may not change.

#![allow(clippy::unwrap_used)]

mod network;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use network::{Network, STEPS, config, rich};
use sandhi_lab::{Metric, Run, read_metrics};
use sandhi_train::{Error, Outcome, Trainer, TrainerConfig, Weights};

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
    metrics.retain(|line| line.phase != "machine");
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
    for name in ["mean-last", "mean-best"] {
        let path = dir.join(format!("checkpoints/{name}.safetensors"));
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
        snapshots: 0,
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
fn fit_leaves_the_means_of_the_last_and_of_the_best_validations() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let mut run = Run::at(dir.path(), 1).unwrap();
    let mut weights = BTreeMap::new();
    let outcome = Trainer::new(
        &network.params,
        TrainerConfig {
            snapshots: 2,
            ..config()
        },
    )
    .unwrap()
    .fit(
        &mut run,
        |micro| network.objective(micro),
        |step, _| {
            weights.insert(step, network.params.snapshot()?);
            // Best at 16, then at 24; the last ones are 32 and 40.
            Ok::<f64, Error>((step as f64 - 17.0).abs())
        },
    );
    outcome.unwrap();
    for (name, steps) in [("mean-last", [32, 40]), ("mean-best", [16, 24])] {
        network
            .params
            .load(&dir.path().join(format!("checkpoints/{name}.safetensors")))
            .unwrap();
        for (parameter, mean) in network.params.snapshot().unwrap() {
            let [a, b] = steps.map(|step: u64| weights[&step][&parameter].clone());
            let off = (mean - ((a + b).unwrap() * 0.5).unwrap()).unwrap().abs().unwrap();
            let off = off.max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(off < 1e-6, "{name}: {parameter} is off by {off}");
        }
    }
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
