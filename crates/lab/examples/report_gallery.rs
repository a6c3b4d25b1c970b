//! Typesets a report over invented runs, to look at while changing how reports look:
//! `cargo run -p sandhi-lab --example report_gallery -- DIR` writes `DIR/runs/astra/mini/report.html`.

#[path = "../tests/common/mod.rs"]
#[allow(clippy::unwrap_used)] // Shared with the tests.
mod common;

use std::path::PathBuf;

use anyhow::Context;
use sandhi_lab::Scale;
use sandhi_lab::report::Report;

fn main() -> anyhow::Result<()> {
    let dir = PathBuf::from(
        std::env::args()
            .nth(1)
            .context("expected the directory to write to")?,
    );
    let runs = dir.join("runs");
    common::runs(&runs, Scale::Mini, 2);
    Report::collect(&common::plan(Scale::Mini), &runs)?.write(&runs, &dir.join("reports"))?;
    Ok(())
}
