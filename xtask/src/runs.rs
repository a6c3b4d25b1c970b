//! The runs of a paper in a setting: which are there, which are to be made, and making them, one process each.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sandhi_lab::{INTERRUPTED, Identity, Plan, PlanArm, Status, format_duration};

use crate::jobs::{self, Event, Job, Screen, Shares};
use crate::making::Making;
use crate::status::state;
use crate::time::{Estimate, Total};
use crate::{paper, report};

/// Runs that were asked for.
pub(crate) struct Runs<'a> {
    root: &'a Path,
    plan: &'a Plan,
    making: &'a Making,
    planned: Vec<Planned<'a>>,
}

/// One of them.
struct Planned<'a> {
    arm: &'a str,
    seed: u64,
    dir: PathBuf,
    /// What is there, in words.
    found: String,
    reuse: bool,
    estimate: Estimate,
}

impl Planned<'_> {
    fn name(&self) -> String {
        format!("{} seed {}", self.arm, self.seed)
    }
}

impl<'a> Runs<'a> {
    /// All seeds of arms. Seed by seed, so that all arms can be compared after the first.
    pub(crate) fn new(
        root: &'a Path,
        plan: &'a Plan,
        making: &'a Making,
        arms: &[&'a str],
    ) -> anyhow::Result<Self> {
        let setting = report::folder(root, plan);
        let mut planned = Vec::new();
        for seed in 0..making.seeds {
            for &name in arms {
                let arm = plan.arm(name)?;
                planned.push(one(arm, seed, &setting.join(name), making.fresh)?);
            }
        }
        Ok(Self {
            root,
            plan,
            making,
            planned,
        })
    }

    /// What all this is, in a line: `what` in which setting, and how much of it is there.
    pub(crate) fn head(&self, what: &str) -> String {
        let (seeds, reused) = (
            self.making.seeds,
            self.planned.iter().filter(|run| run.reuse).count(),
        );
        let reused = match reused {
            0 => String::new(),
            1 => "  (1 run reused: done with the same configuration)".to_owned(),
            _ => format!("  ({reused} runs reused: done with the same configuration)"),
        };
        format!(
            "{}  {what} x {}, setting {}{reused}",
            self.plan.reference.key,
            counted(seeds as usize, "seed"),
            self.plan.setting.name(),
        )
    }

    /// A line for each run of arms: whether it is reused or made, what is there, how long it will take.
    pub(crate) fn lines(&self, arms: &[&str]) -> String {
        let runs = self.planned.iter().filter(|run| arms.contains(&run.arm));
        let width = runs.clone().map(|run| run.arm.len()).max().unwrap_or(0);
        let lines = runs.map(|run| {
            let action = if run.reuse { "reuse" } else { "run" };
            let time = if run.reuse {
                String::new()
            } else {
                format!(", {}", run.estimate)
            };
            let (arm, seed, found) = (run.arm, run.seed, &run.found);
            format!("  {action:<6} {arm:<width$}  seed {seed:<3} {found}{time}\n")
        });
        lines.collect()
    }

    /// How long it takes to make the runs of arms that are not there.
    pub(crate) fn time(&self, arms: &[&str]) -> Total<'a> {
        let runs = self.to_make().filter(|run| arms.contains(&run.arm));
        let runs: Vec<(&'a str, Estimate)> = runs.map(|run| (run.arm, run.estimate)).collect();
        let at_a_time = self.shares(runs.len()).at_a_time;
        Total::new(runs, at_a_time)
    }

    fn to_make(&self) -> impl Iterator<Item = &Planned<'a>> {
        self.planned.iter().filter(|run| !run.reuse)
    }

    fn shares(&self, jobs: usize) -> Shares {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Shares::new(self.making.jobs.map(usize::from), jobs, cores)
    }

    /// Makes the runs that are not there, and the report.
    pub(crate) fn carry_out(&self, binary: &Path) -> anyhow::Result<ExitCode> {
        report::keep_plan(self.root, self.plan)?;
        let to_make: Vec<&Planned<'_>> = self.to_make().collect();
        let shares = self.shares(to_make.len());
        let screen = Screen::new(shares.at_a_time);
        for run in self.planned.iter().filter(|run| run.reuse) {
            screen.say(&format!("{}: reused", run.name()))?;
        }
        let jobs = to_make.iter().map(|run| self.job(run, binary));
        let jobs = jobs.collect::<anyhow::Result<_>>()?;
        let mut failed = Vec::new();
        let stopped = jobs::run(jobs, shares, &screen, |event| match event {
            Event::Started(i) => {
                let (run, of) = (to_make[i], to_make.len());
                screen.say(&format!("[{}/{of}] {}: {}", i + 1, run.name(), run.found))
            }
            Event::Ended(i, status, took) => {
                let (run, of) = (to_make[i], to_make.len());
                let took = format_duration(took.as_secs_f64());
                let became = if status.success() {
                    format!("done in {took}")
                } else if status.code() == Some(INTERRUPTED) {
                    format!("stopped after {took}; the same command goes on from there")
                } else {
                    failed.push(run.name());
                    let log = run.dir.join("log.txt");
                    format!("failed ({status}) after {took}; see {}", log.display())
                };
                screen.say(&format!("[{}/{of}] {}: {became}", i + 1, run.name()))
            }
        })?;
        if stopped {
            return Ok(ExitCode::from(INTERRUPTED as u8));
        }
        if failed.len() < self.planned.len() {
            report::write(self.root, self.plan)?;
        }
        if failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(std::io::stderr(), "failed: {}", failed.join(", "))?;
        Ok(ExitCode::FAILURE)
    }

    fn job(&self, run: &Planned<'_>, binary: &Path) -> anyhow::Result<Job> {
        let mut command = paper::program(self.root, binary)?;
        command
            .arg("run")
            .args(["--arm", run.arm, "--seed", &run.seed.to_string()])
            .args(self.making.place.arguments()?);
        if self.making.fresh {
            command.arg("--fresh");
        }
        let name = run.name();
        Ok(Job { name, command })
    }
}

fn one<'a>(arm: &'a PlanArm, seed: u64, arm_dir: &Path, fresh: bool) -> anyhow::Result<Planned<'a>> {
    let dir = arm_dir.join(format!("seed-{seed}"));
    let identity = Identity::read(&dir)?;
    let same = identity
        .as_ref()
        .filter(|found| found.config_hash == arm.config_hash && !fresh);
    let found = match (&identity, same) {
        (None, _) => "new".to_owned(),
        (Some(_), _) if fresh => "starts over".to_owned(),
        (Some(_), None) => "another configuration is there".to_owned(),
        (_, Some(same)) => state(&dir, same),
    };
    let spent = same.map_or(0.0, |found| found.wall_seconds);
    Ok(Planned {
        arm: &arm.name,
        seed,
        found,
        reuse: same.is_some_and(|found| found.status == Status::Done),
        estimate: Estimate::of(arm, arm_dir)?.less(spent),
        dir,
    })
}

/// `1 arm`, `2 arms`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}
