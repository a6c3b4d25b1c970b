use std::io::Write;
use std::path::Path;

use crate::paper;

/// Shows every paper with its arms and its ablations.
pub(crate) fn list(root: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for paper in paper::papers(root)? {
        let binary = paper::build(root, &["--release", "-p", &paper], &paper)?;
        let plan = paper::plan(root, &binary, &[])?;
        let reference = &plan.reference;
        writeln!(out, "{paper}  {}", reference.title)?;
        writeln!(
            out,
            "{:width$}  {}, {}",
            "",
            reference.authors,
            reference.venue,
            width = paper.len()
        )?;
        let width = plan.arms.iter().map(|arm| arm.name.len()).max().unwrap_or(0);
        for arm in &plan.arms {
            let mark = if arm.default { '*' } else { ' ' };
            writeln!(out, "  {mark} {:<width$}  {}", arm.name, arm.why)?;
        }
        for group in &plan.ablations {
            let arms = group.arms.join(", ");
            writeln!(out, "  ablation {}: {}  ({arms})", group.name, group.question)?;
        }
        writeln!(out, "  corpora: {}", plan.corpora.join(", "))?;
    }
    writeln!(
        out,
        "* run by a plain `cargo xtask reproduce`; the others with --arms, the arms of ablations with `cargo xtask ablate`"
    )?;
    Ok(())
}
