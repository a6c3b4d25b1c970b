//! `cargo xtask ablate`: the arms of the groups asked for, each run once, each compared with its group's reference.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use sandhi_lab::{Plan, PlanAblation};

use crate::making::Making;
use crate::paper;
use crate::runs::{Runs, counted};

const EXAMPLES: &str = "\
Examples:
  cargo xtask ablate astra --dry-run              the groups, what is there, what is to be run and for how long
  cargo xtask ablate astra                        every group, then the report with a table for each
  cargo xtask ablate astra --only NAME,NAME       some groups; `cargo xtask list` names them
  cargo xtask ablate astra --only NAME --seeds 3  with intervals over seeds
  cargo xtask ablate astra --only NAME --set trainer.steps=500 --fresh

An arm that is in several groups is run once; a run that is done with the same configuration is reused, be it from
`reproduce` or from here. Stop it with Ctrl-C, and the same command goes on.";

/// Options of `ablate`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The paper, as `cargo xtask list` shows it
    paper: String,
    /// The groups, separated by commas [default: all]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    making: Making,
}

/// Builds, shows the plan, runs, reports.
pub(crate) fn ablate(root: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let binary = paper::build_known(root, &options.paper)?;
    carry_out(root, &binary, options)
}

fn carry_out(root: &Path, binary: &Path, options: &Options) -> anyhow::Result<ExitCode> {
    let plan = paper::plan(root, binary, &options.making.place.arguments()?)?;
    let groups = selected(&plan, &options.only)?;
    let arms = united(&plan, &groups);
    let runs = Runs::new(root, &plan, &options.making, &arms)?;
    write!(std::io::stderr(), "{}", description(&runs, &groups, &arms))?;
    if options.making.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    runs.carry_out(binary)
}

/// The groups asked for, in the order of the experiment.
fn selected<'a>(plan: &'a Plan, asked: &[String]) -> anyhow::Result<Vec<&'a PlanAblation>> {
    if plan.ablations.is_empty() {
        bail!(
            "{} has no ablations in setting {}",
            plan.reference.key,
            plan.setting.name()
        );
    }
    for name in asked {
        plan.ablation(name)?;
    }
    let wanted = |group: &&PlanAblation| asked.is_empty() || asked.contains(&group.name);
    Ok(plan.ablations.iter().filter(wanted).collect())
}

/// The arms of groups, each once, in the order of the experiment.
fn united<'a>(plan: &'a Plan, groups: &[&PlanAblation]) -> Vec<&'a str> {
    let names = plan.arms.iter().map(|arm| arm.name.as_str());
    names
        .filter(|name| {
            groups
                .iter()
                .any(|group| group.arms.iter().any(|arm| arm == name))
        })
        .collect()
}

/// The plan in words: each group with its runs and its time, and the time of all where there are several.
fn description(runs: &Runs<'_>, groups: &[&PlanAblation], arms: &[&str]) -> String {
    let what = format!(
        "{}, {}",
        counted(groups.len(), "ablation"),
        counted(arms.len(), "arm")
    );
    let mut text = format!("{}\n", runs.head(&what));
    for group in groups {
        let of_group: Vec<&str> = group.arms.iter().map(String::as_str).collect();
        text.push_str(&format!(
            "\n{}: {} (against {})\n{}  {}\n",
            group.name,
            group.question,
            of_group[0],
            runs.lines(&of_group),
            runs.time(&of_group)
        ));
    }
    if groups.len() == 1 {
        return text;
    }
    let members: usize = groups.iter().map(|group| group.arms.len()).sum();
    let once = if members > arms.len() {
        "; an arm of several groups is run once"
    } else {
        ""
    };
    format!("{text}\nin all: {}{once}\n", runs.time(arms))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sandhi_lab::Identity;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        let all = ["ablate", "noisy-channel", "--jobs", "2"].iter().chain(arguments);
        Cli::try_parse_from(all).unwrap().options
    }

    /// What a dry run shows.
    fn shown(root: &Path, binary: &Path, arguments: &[&str]) -> anyhow::Result<String> {
        let options = options(arguments);
        let plan = paper::plan(root, binary, &options.making.place.arguments()?)?;
        let groups = selected(&plan, &options.only)?;
        let arms = united(&plan, &groups);
        let runs = Runs::new(root, &plan, &options.making, &arms)?;
        Ok(description(&runs, &groups, &arms))
    }

    fn identity(root: &Path, arm: &str, seed: u64) -> Option<Identity> {
        let dir = root.join(format!("runs/noisy-channel/mini/{arm}/seed-{seed}"));
        Identity::read(&dir).unwrap()
    }

    #[test]
    fn ablate_shows_each_group_with_its_time_before_anything_is_run() {
        let (binary, root) = (paper::noisy_channel(), tempfile::tempdir().unwrap());
        let root = root.path();
        // Ten steps with a pause of six seconds each.
        let text = shown(root, &binary, &["--set", "pause_ms=6000"]).unwrap();
        for part in [
            "noisy-channel  2 ablations, 3 arms x 1 seed, setting mini",
            "loudness: how much of the error rate is noise? (against loud)",
            "  run    quiet   seed 0   new, 1 min 00 s expected",
            "  time   about 1 min 30 s: 3 runs, 2 at a time (3 expected by the experiment)",
            "silence: is a little noise worse than none? (against silent)",
            "  time   about 1 min 00 s: 2 runs, 2 at a time (2 expected by the experiment)",
            "in all: time   about 1 min 30 s: 3 runs, 2 at a time (3 expected by the experiment); an arm of several groups is run once",
        ] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        let text = shown(root, &binary, &["--only", "silence", "--seeds", "2"]).unwrap();
        assert!(!text.contains("loudness") && !text.contains("in all"), "{text}");
        assert!(
            text.contains("time   unknown: 4 runs, 2 at a time (4 unknown: quiet, silent)"),
            "{text}"
        );
        let dry = options(&["--dry-run", "--set", "pause_ms=6000"]);
        assert_eq!(carry_out(root, &binary, &dry).unwrap(), ExitCode::SUCCESS);
        assert!(!root.join("runs").exists());
    }

    #[test]
    fn ablate_runs_what_is_missing_once_and_reports_the_group() {
        let (binary, root) = (paper::noisy_channel(), tempfile::tempdir().unwrap());
        let root = root.path();
        let carry = |arguments: &[&str]| carry_out(root, &binary, &options(arguments)).unwrap();
        assert_eq!(carry(&["--only", "silence"]), ExitCode::SUCCESS);
        assert!(identity(root, "loud", 0).is_none(), "no arm of another group");

        // What one run took is expected of another seed; what is there is reused.
        let run = root.join("runs/noisy-channel/mini/quiet/seed-0/run.toml");
        let text = std::fs::read_to_string(&run).unwrap();
        let seconds = text
            .lines()
            .find(|line| line.starts_with("wall_seconds"))
            .unwrap();
        std::fs::write(&run, text.replace(seconds, "wall_seconds = 90.0")).unwrap();
        let text = shown(root, &binary, &["--only", "loudness", "--seeds", "2"]).unwrap();
        for part in [
            "(2 runs reused: done with the same configuration)",
            "  reuse  quiet   seed 0   done in 1 min 30 s\n",
            "  run    quiet   seed 1   new, 1 min 30 s measured before",
            "  run    loud    seed 1   new, time unknown",
            "time   at least 45 s: 4 runs, 2 at a time (2 measured before, 2 unknown: loud)",
        ] {
            assert!(text.contains(part), "{part} is missing: {text}");
        }

        assert_eq!(carry(&["--seeds", "2"]), ExitCode::SUCCESS);
        for (arm, seed) in [("loud", 0), ("quiet", 0), ("quiet", 1), ("silent", 1)] {
            assert_eq!(identity(root, arm, seed).unwrap().sessions, 1, "{arm} {seed}");
        }
        let report = std::fs::read_to_string(root.join("reports/noisy-channel/mini/README.md")).unwrap();
        let group = report.split("### `loudness`").nth(1).unwrap();
        let row = group.lines().find(|line| line.starts_with("| `silent`")).unwrap();
        assert!(row.contains("**better**") && row.ends_with("| 2 |"), "{report}");
    }

    #[test]
    fn ablate_of_an_unknown_group_names_the_nearest() {
        let (binary, root) = (paper::noisy_channel(), tempfile::tempdir().unwrap());
        let error = carry_out(root.path(), &binary, &options(&["--only", "silence,luodness"])).unwrap_err();
        assert!(error.to_string().contains("did you mean 'loudness'"), "{error}");
        assert!(!root.path().join("runs").exists());
    }
}
