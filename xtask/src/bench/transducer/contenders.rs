//! Who computes the loss, and from what.

use clap::ValueEnum;

use super::shape::{SHAPES, Shape};
use crate::bench::contender::{Contender, Kind, Script, asked};
use crate::bench::environment::{PADDLE, TENSORFLOW, TORCH};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Logits to losses and the gradient of the logits
    Loss,
    /// The same with the expected cost and its gradients on top
    Expected,
    /// Projections of speech and transcript to losses and the gradients of all parameters
    Joiner,
}

impl Task {
    /// As our worker calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Expected => "expected",
            Self::Joiner => "joiner",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Loss => "logits to losses and the gradient of the logits",
            Self::Expected => "the loss alone, and with the expected cost on top",
            Self::Joiner => "projections of width 256 to losses and the gradients of all parameters",
        }
    }

    /// What is timed unless other shapes are asked for.
    pub(crate) fn shapes(self) -> Vec<Shape> {
        match self {
            Self::Loss | Self::Expected => SHAPES.to_vec(),
            Self::Joiner => vec![SHAPES[2]],
        }
    }
}

/// A loss of others.
#[derive(Debug)]
struct Rival {
    /// As users ask for it.
    asked: &'static str,
    task: Task,
    name: &'static str,
    script: Script,
}

const RIVALS: [Rival; 5] = [
    Rival {
        asked: "torchaudio",
        task: Task::Loss,
        name: "torchaudio",
        script: Script {
            file: "crates/transducer/bench/torchaudio_loss.py",
            environment: &TORCH,
        },
    },
    Rival {
        asked: "tensorflow",
        task: Task::Loss,
        name: "tensorflow + rnnt",
        script: Script {
            file: "crates/transducer/bench/tensorflow_loss.py",
            environment: &TENSORFLOW,
        },
    },
    Rival {
        asked: "paddle",
        task: Task::Loss,
        name: "paddle",
        script: Script {
            file: "crates/transducer/bench/paddle_loss.py",
            environment: &PADDLE,
        },
    },
    Rival {
        asked: "warprnnt_numba",
        task: Task::Loss,
        name: "warprnnt_numba",
        script: Script {
            file: "crates/transducer/bench/warprnnt_numba_loss.py",
            environment: &TORCH,
        },
    },
    Rival {
        asked: "torchaudio",
        task: Task::Joiner,
        name: "torch joiner + torchaudio",
        script: Script {
            file: "crates/transducer/bench/torch_joiner.py",
            environment: &TORCH,
        },
    },
];

/// The rivals asked for by name.
pub(crate) fn rivals(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let mut known: Vec<&'static str> = RIVALS.iter().map(|rival| rival.asked).collect();
    known.dedup();
    known.truncate(4);
    asked(&known, names)
}

/// Everyone in a task: ours first, then the rivals, then the floors.
pub(crate) fn contenders(task: Task, rivals: &[&str], keep_pages: bool) -> Vec<Contender> {
    let ours = |name, mode| Contender::new(name, Kind::Ours(mode));
    let floor = |name, mode| Contender::new(name, Kind::Floor(mode));
    let (ours, floors) = match task {
        Task::Loss => (
            vec![
                ours("ours: buffer reused", "reuse"),
                ours("ours: in place", "in-place"),
                ours("ours: tensors", "loss"),
            ],
            vec![
                floor("floor: softmax", "floor-softmax"),
                floor("floor: read twice, write once", "floor-rw"),
                floor("floor: the same into fresh pages", "floor-fresh"),
            ],
        ),
        Task::Expected => (
            vec![
                ours("ours: loss alone", "loss"),
                ours("ours: with expected cost", "expected"),
            ],
            Vec::new(),
        ),
        Task::Joiner => (
            vec![
                ours("ours: fused joiner", "joiner"),
                ours("ours: joiner of tensors", "dense"),
            ],
            Vec::new(),
        ),
    };
    let theirs = RIVALS
        .iter()
        .filter(|rival| rival.task == task && rivals.contains(&rival.asked))
        .map(|rival| Contender::new(rival.name, Kind::Rival(&rival.script)));
    let all = ours.into_iter().chain(theirs).chain(floors);
    all.map(|contender| Contender {
        keep_pages,
        ..contender
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rivals_are_known_by_name() {
        let asked = |names: &[&str]| rivals(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(asked(&[]).unwrap(), Vec::<&str>::new());
        assert_eq!(
            asked(&["all"]).unwrap(),
            ["torchaudio", "tensorflow", "paddle", "warprnnt_numba"]
        );
        assert_eq!(asked(&["paddle"]).unwrap(), ["paddle"]);
        let error = asked(&["torchaudo"]).unwrap_err().to_string();
        assert!(error.contains("did you mean 'torchaudio'"), "{error}");
    }

    #[test]
    fn ours_come_first_and_floors_last() {
        let all = contenders(Task::Loss, &["torchaudio"], true);
        assert!(matches!(all[0].kind, Kind::Ours("reuse")));
        assert_eq!(all[3].name, "torchaudio");
        assert!(all[4..].iter().all(Contender::is_floor));
        assert!(
            all.iter()
                .all(|contender| contender.keep_pages && !contender.unlocked)
        );
        assert_eq!(
            contenders(Task::Joiner, &["torchaudio", "paddle"], false).len(),
            3
        );
        assert_eq!(contenders(Task::Expected, &["torchaudio"], false).len(), 2);
    }
}
