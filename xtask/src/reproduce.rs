//! `cargo xtask reproduce`: one process per run; what is done is reused, what was stopped goes on.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use sandhi_lab::Plan;

use crate::making::Making;
use crate::paper;
use crate::runs::{Runs, counted};

const EXAMPLES: &str = "\
Examples:
  cargo xtask reproduce astra                     default arms, embedded corpus, tens of minutes on two cores
  cargo xtask reproduce astra --scale smoke       does everything connect? about a minute, says nothing of claims
  cargo xtask reproduce astra --arms all --seeds 3
  cargo xtask reproduce astra --arms all --dry-run   what is there, what would be run, how long it would take
  cargo xtask reproduce astra --corpus an4 --data-root ~/data/an4
  cargo xtask reproduce astra --set trainer.steps=500 --fresh

Stop it with Ctrl-C: the run saves its state, and the same command goes on from there.";

/// Options of `reproduce`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The paper, as `cargo xtask list` shows it
    paper: String,
    /// The arms to run, separated by commas, or `all` [default: those marked in `cargo xtask list`]
    #[arg(long, value_name = "ARM,..", value_delimiter = ',')]
    arms: Vec<String>,
    #[command(flatten)]
    making: Making,
}

/// Builds, runs, reports.
pub(crate) fn reproduce(root: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let binary = paper::build_known(root, &options.paper)?;
    carry_out(root, &binary, options)
}

fn carry_out(root: &Path, binary: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let plan = paper::plan(root, binary, &options.making.place.arguments()?)?;
    let arms = selected(&plan, &options.arms)?;
    let runs = Runs::new(root, &plan, &options.making, &arms)?;
    let lines = if options.making.dry_run {
        runs.lines(&arms)
    } else {
        String::new()
    };
    let head = runs.head(&counted(arms.len(), "arm"));
    writeln!(std::io::stderr(), "{head}\n{lines}  {}", runs.time(&arms))?;
    if options.making.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    runs.carry_out(binary)
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sandhi_lab::{Identity, Status};

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

    fn identity(root: &Path, arm: &str) -> Identity {
        let dir = root.join("runs/noisy-channel/mini").join(arm).join("seed-0");
        Identity::read(&dir).unwrap().unwrap()
    }

    #[test]
    fn reproduce_runs_reuses_stops_fails_and_reports() {
        let binary = paper::noisy_channel();
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
        let binary = paper::noisy_channel();
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
        let binary = paper::noisy_channel();
        let root = tempfile::tempdir().unwrap();
        let error = carry_out(root.path(), &binary, &options(&["--arms", "loud,quite"])).unwrap_err();
        assert!(error.to_string().contains("did you mean 'quiet'"), "{error}");
        assert!(carry_out(root.path(), &binary, &options(&["--set", "nois=1"])).is_err());
        assert!(!root.path().join("runs").exists());
    }
}
