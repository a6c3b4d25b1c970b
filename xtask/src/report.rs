//! `cargo xtask report`: from the runs that are there to the report.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sandhi_lab::report::Report;
use sandhi_lab::{Plan, write_atomic};

use crate::making::Place;
use crate::paper;

/// Options of `report`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The paper
    paper: String,
    #[command(flatten)]
    place: Place,
}

/// Makes the report again.
pub(crate) fn report(root: &Path, options: &Options) -> anyhow::Result<()> {
    let binary = paper::build_known(root, &options.paper)?;
    let plan = paper::plan(root, &binary, &options.place.arguments()?)?;
    keep_plan(root, &plan)?;
    write(root, &plan)
}

/// Where the runs of a plan's setting are.
pub(crate) fn folder(root: &Path, plan: &Plan) -> PathBuf {
    root.join("runs")
        .join(&plan.reference.key)
        .join(plan.setting.name())
}

/// Keeps the plan beside the runs: what the report is made from, and what `verify` checks runs against.
pub(crate) fn keep_plan(root: &Path, plan: &Plan) -> anyhow::Result<()> {
    let dir = folder(root, plan);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(write_atomic(
        &dir.join("plan.json"),
        &serde_json::to_vec_pretty(plan)?,
    )?)
}

/// Writes the report and shows its tables.
pub(crate) fn write(root: &Path, plan: &Plan) -> anyhow::Result<()> {
    let report = Report::collect(plan, &root.join("runs"))?;
    let written = report.write(&root.join("runs"), &root.join("reports"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", report.terminal_table())?;
    let ablations = report.terminal_ablations();
    if !ablations.is_empty() {
        writeln!(out, "\n{ablations}\n")?;
    }
    for path in [&written.html, &written.markdown] {
        writeln!(
            out,
            "report  {}",
            path.strip_prefix(root).unwrap_or(path).display()
        )?;
    }
    Ok(())
}
