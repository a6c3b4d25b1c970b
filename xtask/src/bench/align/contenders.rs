//! What is computed of the costs, and by whom.

use clap::ValueEnum;

use crate::bench::contender::{Contender, Kind, Script, asked};
use crate::bench::environment::{Environment, TORCH, WARPING};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// The path of forced alignment, which others call monotonic alignment search
    Forced,
    /// The path of dynamic time warping and its cost
    Warping,
    /// The cost of dynamic time warping alone
    Distance,
    /// The cost of the best alignment in the paper's reading, beside the naive recursion
    EveryLabel,
    /// Soft-DTW and its gradient
    Soft,
}

impl Task {
    pub(crate) const ALL: [Self; 5] = [
        Self::Forced,
        Self::Warping,
        Self::Distance,
        Self::EveryLabel,
        Self::Soft,
    ];

    /// As the workers call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forced => "forced",
            Self::Warping => "warping",
            Self::Distance => "distance",
            Self::EveryLabel => "every-label",
            Self::Soft => "soft",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Forced => "`Forced`, the path of monotonic alignment search",
            Self::Warping => "`Warping`, the path of dynamic time warping and its cost",
            Self::Distance => "`Warping`, its cost alone",
            Self::EveryLabel => "`EveryLabel`, the cost in the paper's reading",
            Self::Soft => "soft `Warping`, its value and its gradient",
        }
    }
}

/// An implementation of others.
#[derive(Debug)]
struct Rival {
    /// As users ask for it, and as pip does.
    name: &'static str,
    tasks: &'static [Task],
    script: Script,
}

const fn rival(
    name: &'static str,
    tasks: &'static [Task],
    file: &'static str,
    environment: &'static Environment,
) -> Rival {
    let script = Script { file, environment };
    Rival { name, tasks, script }
}

static RIVALS: [Rival; 6] = [
    rival(
        "monotonic-alignment-search",
        &[Task::Forced],
        "crates/align/bench/mas_path.py",
        &TORCH,
    ),
    rival(
        "librosa",
        &[Task::Forced, Task::Warping],
        "crates/align/bench/librosa_warping.py",
        &WARPING,
    ),
    rival(
        "tslearn",
        &[Task::Warping, Task::Soft],
        "crates/align/bench/tslearn_warping.py",
        &WARPING,
    ),
    rival(
        "dtw-python",
        &[Task::Warping, Task::Distance],
        "crates/align/bench/dtw_python_warping.py",
        &WARPING,
    ),
    rival(
        "dtaidistance",
        &[Task::Warping, Task::Distance],
        "crates/align/bench/dtaidistance_warping.py",
        &WARPING,
    ),
    rival(
        "pysdtw",
        &[Task::Soft],
        "crates/align/bench/pysdtw_soft.py",
        &TORCH,
    ),
];

/// The rivals asked for by name.
pub(crate) fn rivals(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    asked(&RIVALS.each_ref().map(|rival| rival.name), names)
}

/// Everyone in a task: ours first, then what else our worker has, the rivals, and the floor.
pub(crate) fn contenders(task: Task, rivals: &[&str]) -> Vec<Contender> {
    let mut all = vec![Contender::new("ours", Kind::Ours("ours"))];
    match task {
        Task::EveryLabel => all.push(Contender::new("naive recursion, O(T² U)", Kind::Ours("naive"))),
        Task::Soft => all.push(Contender::new("ours, without a tape", Kind::Ours("at-once"))),
        Task::Forced | Task::Warping | Task::Distance => {}
    }
    let theirs = RIVALS
        .iter()
        .filter(|rival| rival.tasks.contains(&task) && rivals.contains(&rival.name));
    all.extend(theirs.map(|rival| Contender::new(rival.name, Kind::Rival(&rival.script))));
    all.push(Contender::new(
        "floor: read the costs once",
        Kind::Floor("floor-read"),
    ));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rivals_are_known_by_name() {
        let asked = |name: &str| rivals(&[name.to_owned()]);
        assert_eq!(asked("all").unwrap().len(), RIVALS.len());
        assert_eq!(asked("librosa").unwrap(), ["librosa"]);
        let error = asked("tslearm").unwrap_err().to_string();
        assert!(error.contains("did you mean 'tslearn'"), "{error}");
    }

    #[test]
    fn rivals_meet_ours_where_they_compute_the_same() {
        let all = rivals(&["all".to_owned()]).unwrap();
        let names = |task| contenders(task, &all).iter().map(|c| c.name).collect::<Vec<_>>();
        assert_eq!(
            names(Task::Soft)[1..4],
            ["ours, without a tape", "tslearn", "pysdtw"]
        );
        assert_eq!(names(Task::EveryLabel)[1], "naive recursion, O(T² U)");
        for task in Task::ALL {
            let all = contenders(task, &all);
            assert!(matches!(all[0].kind, Kind::Ours("ours")) && all[all.len() - 1].is_floor());
            assert_eq!(
                contenders(task, &[]).len(),
                2 + usize::from(matches!(task, Task::EveryLabel | Task::Soft))
            );
        }
    }

    #[test]
    fn workers_are_where_they_are_said_to_be() {
        for rival in &RIVALS {
            assert!(crate::root().join(rival.script.file).is_file(), "{}", rival.name);
        }
    }
}
