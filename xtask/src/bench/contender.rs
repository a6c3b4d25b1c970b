//! Who is timed.

use anyhow::bail;
use clap::ValueEnum;
use sandhi_lab::did_you_mean;

use super::environment::{Environment, PADDLE, TENSORFLOW, TORCH};
use super::shape::{SHAPES, Shape};

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

/// A worker, by what starts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A mode of our worker; the first of a task is what the others are measured in.
    Ours(&'static str),
    /// A mode of our worker that computes no loss: a bound on all that do.
    Floor(&'static str),
    Rival(&'static Script),
}

/// A worker in Python.
#[derive(Debug)]
pub(crate) struct Script {
    /// As users ask for it.
    rival: &'static str,
    task: Task,
    name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) environment: &'static Environment,
}

const SCRIPTS: [Script; 5] = [
    Script {
        rival: "torchaudio",
        task: Task::Loss,
        name: "torchaudio",
        file: "torchaudio_loss.py",
        environment: &TORCH,
    },
    Script {
        rival: "tensorflow",
        task: Task::Loss,
        name: "tensorflow + rnnt",
        file: "tensorflow_loss.py",
        environment: &TENSORFLOW,
    },
    Script {
        rival: "paddle",
        task: Task::Loss,
        name: "paddle",
        file: "paddle_loss.py",
        environment: &PADDLE,
    },
    Script {
        rival: "warprnnt_numba",
        task: Task::Loss,
        name: "warprnnt_numba",
        file: "warprnnt_numba_loss.py",
        environment: &TORCH,
    },
    Script {
        rival: "torchaudio",
        task: Task::Joiner,
        name: "torch joiner + torchaudio",
        file: "torch_joiner.py",
        environment: &TORCH,
    },
];

impl Contender {
    pub(crate) fn script(&self) -> Option<&'static Script> {
        match self.kind {
            Kind::Rival(script) => Some(script),
            Kind::Ours(_) | Kind::Floor(_) => None,
        }
    }

    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor(_))
    }
}

/// The rivals asked for by name.
pub(crate) fn rivals(asked: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let mut known: Vec<&'static str> = SCRIPTS.iter().map(|script| script.rival).collect();
    known.dedup();
    known.truncate(4);
    let mut found = Vec::new();
    for name in asked {
        if name == "all" {
            return Ok(known);
        }
        match known.iter().find(|known| *known == name) {
            Some(name) => found.push(*name),
            None => {
                let meant = did_you_mean(name, known.iter().copied());
                let meant = meant
                    .map(|meant| format!(", did you mean '{meant}'?"))
                    .unwrap_or_default();
                bail!(
                    "unknown rival '{name}'{meant}; there are: {}, all",
                    known.join(", ")
                );
            }
        }
    }
    Ok(found)
}

/// Everyone in a task: ours first, then the rivals, then the floors.
pub(crate) fn contenders(task: Task, rivals: &[&str]) -> Vec<Contender> {
    let ours = |name, mode| Contender {
        name,
        kind: Kind::Ours(mode),
    };
    let floor = |name, mode| Contender {
        name,
        kind: Kind::Floor(mode),
    };
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
    let theirs = SCRIPTS
        .iter()
        .filter(|script| script.task == task && rivals.contains(&script.rival))
        .map(|script| Contender {
            name: script.name,
            kind: Kind::Rival(script),
        });
    ours.into_iter().chain(theirs).chain(floors).collect()
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
        let all = contenders(Task::Loss, &["torchaudio"]);
        assert!(matches!(all[0].kind, Kind::Ours("reuse")));
        assert_eq!(all[3].name, "torchaudio");
        assert!(all[4..].iter().all(Contender::is_floor));
        assert_eq!(contenders(Task::Joiner, &["torchaudio", "paddle"]).len(), 3);
        assert_eq!(contenders(Task::Expected, &["torchaudio"]).len(), 2);
    }
}
