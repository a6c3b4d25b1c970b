//! What the training loop says of losses, gradients and variables that are not as they should be.

#![allow(clippy::unwrap_used)]

mod network;

use candle_core::Tensor;
use network::{BATCH, Network, config};
use sandhi_core::Ledger;
use sandhi_lab::{Run, read_metrics};
use sandhi_nn::Init;
use sandhi_train::{Error, Micro, Part, Trainer, TrainerConfig};

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
        log.contains("step 20 is skipped: the gradient is not finite in second.weight (utterances 0, 1, 2"),
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
    let Err(Error::NotFinite {
        step: 10,
        skipped: 2,
        patience: 1,
        dump,
        ..
    }) = outcome
    else {
        panic!("{outcome:?}")
    };
    // The batch, with what each utterance came to, and the network.
    let read = |name: &str| -> toml::Table {
        let text = std::fs::read_to_string(dump.join(name)).unwrap();
        text.parse().unwrap()
    };
    let (batch, network) = (read("batch.toml"), read("parameters.toml"));
    let terms = batch["parts"][0].as_array().unwrap();
    let names: Vec<&str> = terms.iter().map(|term| term["term"].as_str().unwrap()).collect();
    assert_eq!(names, ["error", "size", "log"]);
    assert_eq!(terms[0]["utterances"].as_array().unwrap().len(), BATCH);
    assert!(!terms[2]["utterances"][0]["loss"].as_float().unwrap().is_finite());
    let parameters = network["parameters"].as_array().unwrap();
    let weight = parameters
        .iter()
        .find(|p| p["name"].as_str() == Some("second.weight"));
    assert!(weight.unwrap()["norm"].as_float().unwrap() > 0.0);
    assert_eq!(weight.unwrap()["not_finite"].as_integer(), Some(0));
}

#[test]
fn fit_calls_utterances_by_their_names() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Network::new());
    let mut run = Run::at(dir.path(), 1).unwrap();
    let outcome = Trainer::new(&network.params, config()).unwrap().fit(
        &mut run,
        |micro| {
            let mut loss = network.objective(micro)?;
            let zero = network.w2.sum_all()?.reshape(1)?.affine(0.0, 0.0)?;
            let spoiled = match micro.step {
                9 => zero.log()?,
                _ => zero,
            };
            loss.add("log", 1.0, Tensor::cat(&[&spoiled.zeros_like()?, &spoiled], 0)?)?;
            let names = ["first".to_owned(), "second".to_owned()];
            Ok::<_, Error>(Part::from(loss).names("log", names).amount("rows", BATCH as f64))
        },
        |_, _| network.validate(),
    );
    assert_eq!(outcome.unwrap().skipped, 1);
    let log = std::fs::read_to_string(dir.path().join("log.txt")).unwrap();
    assert!(
        log.contains("step 9 is skipped: log of utterance second in part 0 is -inf"),
        "{log}"
    );
    let metrics = read_metrics(dir.path()).unwrap();
    let machine = metrics.iter().find(|line| line.phase == "machine").unwrap();
    let value = |name: &str| machine.values[name].unwrap();
    assert!(
        value("rows_per_second") > 0.0 && value("seconds") > 0.0,
        "{machine:?}"
    );
    assert!(
        value("peak_mib") >= value("resident_mib") && value("resident_mib") > 1.0,
        "{machine:?}"
    );
    assert_eq!(value("wait"), 0.0);
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
