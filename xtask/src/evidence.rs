//! `cargo xtask evidence`: what reports rest on, small enough to be committed.
//!
//! Runs are not committed; what they say of themselves can be. A kept run is the files that reports are made from, without
//! weights and checkpoints. Restored on another machine it is reused like one made there, so that a table of many hours
//! can be made in parts, and anyone can check a committed report against what was measured.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use sandhi_lab::{Identity, Plan, Scale, Status, write_atomic};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::report::{folder, keep_plan};
use crate::status::subdirectories;
use crate::verify::{plans, plans_in};

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Keep what the runs that are done say of themselves, in `reports/<paper>/<setting>/runs`, to be committed
    Keep {
        /// Only this paper
        paper: Option<String>,
    },
    /// Put kept runs where runs are, unless one is there; `report`, `verify` and `reproduce` take them as they take others
    Restore {
        /// Only this paper
        paper: Option<String>,
    },
}

/// Keeps or restores.
pub(crate) fn evidence(root: &Path, command: &EvidenceCommand) -> anyhow::Result<()> {
    match command {
        EvidenceCommand::Keep { paper } => keep(root, paper.as_deref()),
        EvidenceCommand::Restore { paper } => restore(root, paper.as_deref()),
    }
}

/// Where the kept runs of a plan's setting are.
fn kept(root: &Path, plan: &Plan) -> PathBuf {
    root.join("reports")
        .join(&plan.reference.key)
        .join(plan.setting.name())
        .join("runs")
}

fn keep(root: &Path, only: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut count = 0;
    for mut plan in plans(root, only)? {
        // Nothing is concluded from the smoke scale.
        if plan.setting.scale == Scale::Smoke {
            continue;
        }
        let to = kept(root, &plan);
        std::fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        for arm in subdirectories(&folder(root, &plan))? {
            for run in subdirectories(&arm)? {
                let done = Identity::read(&run)?.filter(|found| found.status == Status::Done);
                let Some(done) = done else { continue };
                let path = to.join(format!("{}.seed-{}.zip", done.arm, done.seed));
                write_atomic(&path, &pack(&run, done)?)?;
                count += 1;
                writeln!(
                    out,
                    "kept  {}",
                    path.strip_prefix(root).unwrap_or(&path).display()
                )?;
            }
        }
        // Where the corpus is on this machine is no evidence.
        plan.setting.data_root = None;
        write_atomic(&to.join("plan.json"), &serde_json::to_vec_pretty(&plan)?)?;
    }
    if count == 0 {
        bail!("no run is complete above scale smoke; `cargo xtask status` shows which are there");
    }
    Ok(())
}

/// Whether reports are made from a file of a run directory.
fn is_evidence(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|found| found.to_str());
    matches!(extension, Some("toml" | "json" | "jsonl"))
}

/// What a run says of itself, without where the corpus is on this machine.
fn placeless(mut run: Identity) -> Identity {
    if let Some(place) = run.data_root.take() {
        run.command = run.command.replace(&*place.to_string_lossy(), "DIR");
    }
    run
}

/// The evidence in a run directory. The same files make the same bytes.
fn pack(run: &Path, identity: Identity) -> anyhow::Result<Vec<u8>> {
    let entries = std::fs::read_dir(run).with_context(|| format!("cannot read {}", run.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && is_evidence(&name) {
            names.push(name);
        }
    }
    names.sort();
    let identity = toml::to_string(&placeless(identity))?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        let path = run.join(&name);
        let bytes = match name.as_str() {
            Identity::FILE => identity.clone().into_bytes(),
            _ => std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        };
        archive.start_file(name, options)?;
        archive.write_all(&bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn restore(root: &Path, only: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let plans = plans_in(&root.join("reports"), Path::new("runs/plan.json"), only)?;
    if plans.is_empty() {
        bail!("no run was kept in reports; `cargo xtask evidence keep` keeps those that are there");
    }
    for plan in plans {
        let from = kept(root, &plan);
        if !folder(root, &plan).join("plan.json").exists() {
            keep_plan(root, &plan)?;
        }
        let entries = std::fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))?;
        let mut archives = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        archives.retain(|path| path.extension().is_some_and(|found| found == "zip"));
        archives.sort();
        for archive in archives {
            let action = match unpack(&archive, &folder(root, &plan))? {
                true => "restored",
                false => "is there",
            };
            let shown = archive.strip_prefix(root).unwrap_or(&archive).display();
            writeln!(out, "{action}  {shown}")?;
        }
    }
    Ok(())
}

/// Puts a kept run into the folder of its setting, in one move; not if there is a run in its place.
fn unpack(archive: &Path, setting: &Path) -> anyhow::Result<bool> {
    let cannot = || format!("cannot read {}", archive.display());
    let beside = tempfile::tempdir_in(setting)?;
    let run = beside.path().join("run");
    let bytes = std::fs::read(archive).with_context(cannot)?;
    ZipArchive::new(Cursor::new(bytes))
        .and_then(|mut archive| archive.extract(&run))
        .with_context(cannot)?;
    let identity = Identity::read(&run)?.with_context(|| format!("{}: no run.toml", archive.display()))?;
    let expected = format!("{}.seed-{}", identity.arm, identity.seed);
    ensure!(
        archive.file_stem().is_some_and(|stem| stem == expected.as_str()),
        "{}: expected the run {expected}, which it holds",
        archive.display()
    );
    let place = setting
        .join(&identity.arm)
        .join(format!("seed-{}", identity.seed));
    if place.exists() {
        return Ok(false);
    }
    std::fs::create_dir_all(setting.join(&identity.arm))?;
    std::fs::rename(&run, &place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_runs_do_not_say_where_the_corpus_was() {
        let (binary, root) = (crate::paper::noisy_channel(), tempfile::tempdir().unwrap());
        let mut command = crate::paper::program(root.path(), &binary).unwrap();
        command.args(["run", "--arm", "loud", "--scale", "mini"]);
        assert!(command.output().unwrap().status.success());
        let run = root.path().join("runs/noisy-channel/mini/loud/seed-0");
        let mut identity = Identity::read(&run).unwrap().unwrap();
        assert_eq!(placeless(identity.clone()), identity);
        identity.data_root = Some("/of/this machine".into());
        identity.command = "noisy-channel run --data-root '/of/this machine' --seed 0".to_owned();
        let kept = placeless(identity);
        assert_eq!(kept.data_root, None);
        assert_eq!(kept.command, "noisy-channel run --data-root 'DIR' --seed 0");
    }

    #[test]
    fn kept_runs_make_the_same_results_elsewhere() {
        let (binary, root) = (crate::paper::noisy_channel(), tempfile::tempdir().unwrap());
        let root = root.path();
        assert!(
            keep(root, None)
                .unwrap_err()
                .to_string()
                .contains("no run is complete")
        );
        assert!(
            restore(root, None)
                .unwrap_err()
                .to_string()
                .contains("no run was kept")
        );
        let run = |arm: &str, scale: &str| {
            let mut command = crate::paper::program(root, &binary).unwrap();
            command.args(["run", "--arm", arm, "--scale", scale]);
            assert!(command.output().unwrap().status.success());
            let plan = crate::paper::plan(root, &binary, &["--scale".into(), scale.into()]).unwrap();
            keep_plan(root, &plan).unwrap();
        };
        for arm in ["loud", "quiet"] {
            run(arm, "mini");
        }
        run("loud", "smoke");
        crate::results::results(root).unwrap();
        let results = || std::fs::read_to_string(root.join("RESULTS.md")).unwrap();
        let before = results();
        keep(root, None).unwrap();
        assert!(!root.join("reports/noisy-channel/smoke").exists());
        let archive = root.join("reports/noisy-channel/mini/runs/loud.seed-0.zip");
        let bytes = std::fs::read(&archive).unwrap();

        // What is there is not touched.
        let note = root.join("runs/noisy-channel/mini/loud/seed-0/note.json");
        std::fs::write(&note, "{}").unwrap();
        restore(root, None).unwrap();
        assert!(note.exists());

        std::fs::remove_dir_all(root.join("runs")).unwrap();
        std::fs::remove_file(root.join("RESULTS.md")).unwrap();
        restore(root, Some("noisy-channel")).unwrap();
        crate::results::results(root).unwrap();
        assert_eq!(results(), before);
        keep(root, None).unwrap();
        assert_eq!(std::fs::read(&archive).unwrap(), bytes);
        assert!(!note.exists());

        // An archive under another's name.
        std::fs::rename(&archive, archive.with_file_name("loud.seed-1.zip")).unwrap();
        let error = restore(root, None).unwrap_err().to_string();
        assert!(
            error.contains("loud.seed-1.zip: expected the run loud.seed-0"),
            "{error}"
        );
    }
}
