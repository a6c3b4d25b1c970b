//! `cargo xtask reproduce`: one process per run; what is done is reused, what was stopped goes on.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use sandhi_lab::report::Report;
use sandhi_lab::{INTERRUPTED, Identity, Plan, Scale, Status, format_duration, write_atomic};

use crate::jobs::{self, Event, Job, Screen, Shares};
use crate::paper;
use crate::status::state;

const EXAMPLES: &str = "\
Examples:
  cargo xtask reproduce astra                     default arms, embedded corpus, tens of minutes on two cores
  cargo xtask reproduce astra --scale smoke       does everything connect? about a minute, says nothing of claims
  cargo xtask reproduce astra --arms all --seeds 3
  cargo xtask reproduce astra --corpus an4 --data-root ~/data/an4 --arms rnnt
  cargo xtask reproduce astra --set trainer.steps=500 --fresh

Stop it with Ctrl-C: the run saves its state, and the same command goes on from there.";

/// Where an experiment is carried out, handed through to it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// How much to spend: smoke (a minute), mini (minutes to tens of minutes), paper (the published setting)
    #[arg(long, value_enum, default_value_t = Scale::Mini)]
    scale: Scale,
    /// The corpus; the embedded one unless named
    #[arg(long)]
    corpus: Option<String>,
    /// The directory of a corpus that is not embedded [default: the corpus in $SANDHI_DATA]
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Replace one field of every arm's configuration (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl Place {
    /// The arguments an experiment understands.
    fn arguments(&self) -> anyhow::Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = vec!["--scale".into(), self.scale.to_string().into()];
        if let Some(corpus) = &self.corpus {
            arguments.extend(["--corpus".into(), corpus.into()]);
        }
        if let Some(root) = &self.data_root {
            // The experiment runs in the root of the repository, the path was given from here.
            let absolute = std::path::absolute(root).context("cannot resolve --data-root")?;
            arguments.extend(["--data-root".into(), absolute.into()]);
        }
        for change in &self.overrides {
            arguments.extend(["--set".into(), change.into()]);
        }
        Ok(arguments)
    }
}

/// Options of `reproduce`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The paper, as `cargo xtask list` shows it
    paper: String,
    #[command(flatten)]
    place: Place,
    /// The arms to run, separated by commas, or `all` [default: those marked in `cargo xtask list`]
    #[arg(long, value_name = "ARM,..", value_delimiter = ',')]
    arms: Vec<String>,
    /// How many seeds per arm; several give intervals over seeds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// How many runs at a time; they share the cores [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Only show what would be run
    #[arg(long)]
    dry_run: bool,
    /// Drop what is there and start over
    #[arg(long)]
    fresh: bool,
}

/// Options of `report`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportOptions {
    /// The paper
    paper: String,
    #[command(flatten)]
    place: Place,
}

/// Builds, runs, reports.
pub(crate) fn reproduce(root: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    paper::known(root, &options.paper)?;
    let binary = paper::build(root, &["--release", "-p", &options.paper], &options.paper)?;
    carry_out(root, &binary, options)
}

/// Makes the report again.
pub(crate) fn report(root: &Path, options: &ReportOptions) -> anyhow::Result<()> {
    paper::known(root, &options.paper)?;
    let binary = paper::build(root, &["--release", "-p", &options.paper], &options.paper)?;
    let plan = paper::plan(root, &binary, &options.place.arguments()?)?;
    keep_plan(root, &plan)?;
    write_report(root, &plan)
}

/// One run to be made.
struct Planned<'a> {
    arm: &'a str,
    seed: u64,
    dir: PathBuf,
    /// What is there, in words.
    found: String,
    reuse: bool,
}

impl Planned<'_> {
    fn name(&self) -> String {
        format!("{} seed {}", self.arm, self.seed)
    }
}

fn carry_out(root: &Path, binary: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let place = options.place.arguments()?;
    let plan = paper::plan(root, binary, &place)?;
    let arms = selected(&plan, &options.arms)?;
    let runs = planned(root, &plan, &arms, options)?;
    let mut out = std::io::stderr();
    let reused = runs.iter().filter(|run| run.reuse).count();
    writeln!(
        out,
        "{}  {} arms x {} seeds, setting {}{}",
        plan.reference.key,
        arms.len(),
        options.seeds,
        plan.setting.name(),
        if reused > 0 {
            format!("  ({reused} runs reused: done with the same configuration)")
        } else {
            String::new()
        },
    )?;
    if options.dry_run {
        for run in &runs {
            let action = if run.reuse { "reuse" } else { "run" };
            writeln!(
                out,
                "  {action:<6} {:<16} seed {:<3} {}",
                run.arm, run.seed, run.found
            )?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    keep_plan(root, &plan)?;

    let to_make: Vec<&Planned<'_>> = runs.iter().filter(|run| !run.reuse).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shares = Shares::new(options.jobs.map(usize::from), to_make.len(), cores);
    let screen = Screen::new(shares.at_a_time);
    for run in runs.iter().filter(|run| run.reuse) {
        screen.say(&format!("{}: reused", run.name()))?;
    }
    let job = |run: &&Planned<'_>| -> anyhow::Result<Job> {
        let mut command = paper::program(root, binary)?;
        command
            .arg("run")
            .args(["--arm", run.arm, "--seed", &run.seed.to_string()])
            .args(&place);
        if options.fresh {
            command.arg("--fresh");
        }
        let name = run.name();
        Ok(Job { name, command })
    };
    let jobs = to_make.iter().map(job).collect::<anyhow::Result<_>>()?;
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
    if failed.len() < runs.len() {
        write_report(root, &plan)?;
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "failed: {}", failed.join(", "))?;
    Ok(ExitCode::FAILURE)
}

/// The arms asked for, in the experiment's order.
fn selected<'a>(plan: &'a Plan, asked: &[String]) -> anyhow::Result<Vec<&'a str>> {
    for name in asked.iter().filter(|name| *name != "all") {
        plan.arm(name)?;
    }
    let all = asked.iter().any(|name| name == "all");
    let wanted = |name: &String, default: bool| {
        if asked.is_empty() {
            default
        } else {
            all || asked.contains(name)
        }
    };
    let arms: Vec<&str> = plan
        .arms
        .iter()
        .filter(|arm| wanted(&arm.name, arm.default))
        .map(|arm| arm.name.as_str())
        .collect();
    if arms.is_empty() {
        bail!("{} has no default arms; choose with --arms", plan.reference.key);
    }
    Ok(arms)
}

/// The runs to make. Seed by seed, so that all arms can be compared after the first.
fn planned<'a>(
    root: &Path,
    plan: &Plan,
    arms: &[&'a str],
    options: &Options,
) -> anyhow::Result<Vec<Planned<'a>>> {
    let base = root
        .join("runs")
        .join(&plan.reference.key)
        .join(plan.setting.name());
    let mut runs = Vec::new();
    for seed in 0..options.seeds {
        for &arm in arms {
            let dir = base.join(arm).join(format!("seed-{seed}"));
            let identity = Identity::read(&dir)?;
            let same = identity.as_ref().is_some_and(|found| {
                found.config_hash
                    == plan
                        .arm(arm)
                        .map(|arm| arm.config_hash.as_str())
                        .unwrap_or_default()
            });
            let done = identity
                .as_ref()
                .is_some_and(|found| found.status == Status::Done);
            let found = match &identity {
                None => "new".to_owned(),
                Some(_) if options.fresh => "starts over".to_owned(),
                Some(_) if !same => "another configuration is there".to_owned(),
                Some(found) => state(&dir, found),
            };
            runs.push(Planned {
                arm,
                seed,
                dir,
                found,
                reuse: done && same && !options.fresh,
            });
        }
    }
    Ok(runs)
}

/// Keeps the plan beside the runs: what the report is made from, and what `verify` checks runs against.
fn keep_plan(root: &Path, plan: &Plan) -> anyhow::Result<()> {
    let dir = root
        .join("runs")
        .join(&plan.reference.key)
        .join(plan.setting.name());
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(write_atomic(
        &dir.join("plan.json"),
        &serde_json::to_vec_pretty(plan)?,
    )?)
}

fn write_report(root: &Path, plan: &Plan) -> anyhow::Result<()> {
    let report = Report::collect(plan, &root.join("runs"))?;
    let written = report.write(&root.join("runs"), &root.join("reports"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", report.terminal_table())?;
    for path in [&written.html, &written.markdown] {
        writeln!(
            out,
            "report  {}",
            path.strip_prefix(root).unwrap_or(path).display()
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        let all = ["reproduce", "noisy-channel", "--scale", "mini"]
            .iter()
            .chain(arguments);
        Cli::try_parse_from(all).unwrap().options
    }

    /// The experiment without a model that the lab has for this.
    fn experiment() -> PathBuf {
        let arguments = ["-p", "sandhi-lab", "--example", "noisy_channel"];
        paper::build(&crate::root(), &arguments, "noisy_channel").unwrap()
    }

    fn identity(root: &Path, arm: &str) -> Identity {
        let dir = root.join("runs/noisy-channel/mini").join(arm).join("seed-0");
        Identity::read(&dir).unwrap().unwrap()
    }

    #[test]
    fn reproduce_runs_reuses_stops_fails_and_reports() {
        let binary = experiment();
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let carry = |arguments: &[&str]| {
            let one_by_one = [&["--jobs", "1"], arguments].concat();
            carry_out(root, &binary, &options(&one_by_one)).unwrap()
        };

        // A dry run leaves nothing behind.
        assert_eq!(carry(&["--dry-run"]), ExitCode::SUCCESS);
        assert!(!root.join("runs").exists());

        // A run that stops ends the series; the same command goes on.
        let stopping = ["--set", "interrupt_at=4"];
        assert_eq!(carry(&stopping), ExitCode::from(75));
        assert_eq!(identity(root, "loud").status, Status::Interrupted);
        assert!(!root.join("runs/noisy-channel/mini/quiet").exists());
        assert_eq!(carry(&stopping), ExitCode::from(75));
        assert_eq!(identity(root, "loud").status, Status::Done);
        assert_eq!(carry(&stopping), ExitCode::SUCCESS);
        assert_eq!(identity(root, "loud").sessions, 2);
        assert_eq!(identity(root, "quiet").sessions, 2);
        assert!(
            !root.join("runs/noisy-channel/mini/silent").exists(),
            "only default arms"
        );

        // All is done: nothing is run again.
        assert_eq!(carry(&stopping), ExitCode::SUCCESS);
        assert_eq!(identity(root, "quiet").sessions, 2);
        let report = std::fs::read_to_string(root.join("reports/noisy-channel/mini/README.md")).unwrap();
        assert!(
            report.contains("**reproduced**") && report.contains("--set interrupt_at=4"),
            "{report}"
        );
        assert!(root.join("runs/noisy-channel/mini/report.html").exists());

        // A failing run is told at the end; the others go on.
        assert_eq!(carry(&["--fresh", "--set", "fail_at=3"]), ExitCode::FAILURE);
        assert_eq!(identity(root, "loud").status, Status::Failed);
        assert_eq!(identity(root, "quiet").status, Status::Failed);

        crate::status::status(root, None).unwrap();
    }

    #[test]
    fn reproduce_side_by_side_equals_one_by_one() {
        let binary = experiment();
        let utterances = |jobs: &str| {
            let root = tempfile::tempdir().unwrap();
            let done = carry_out(root.path(), &binary, &options(&["--jobs", jobs])).unwrap();
            assert_eq!(done, ExitCode::SUCCESS);
            ["loud", "quiet"].map(|arm| {
                let dir = root
                    .path()
                    .join("runs/noisy-channel/mini")
                    .join(arm)
                    .join("seed-0");
                std::fs::read_to_string(dir.join("utterances.test.jsonl")).unwrap()
            })
        };
        assert_eq!(utterances("1"), utterances("2"));
    }

    #[test]
    fn reproduce_of_an_unknown_arm_or_key_names_the_nearest() {
        let binary = experiment();
        let root = tempfile::tempdir().unwrap();
        let error = carry_out(root.path(), &binary, &options(&["--arms", "loud,quite"])).unwrap_err();
        assert!(error.to_string().contains("did you mean 'quiet'"), "{error}");
        assert!(carry_out(root.path(), &binary, &options(&["--set", "nois=1"])).is_err());
        assert!(!root.path().join("runs").exists());
    }
}
