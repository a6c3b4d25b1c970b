use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use sandhi_lab::{Identity, Status, format_duration, holder, read_metrics};

/// Shows every run.
pub(crate) fn status(root: &Path, only: Option<&str>) -> anyhow::Result<()> {
    if let Some(paper) = only {
        crate::paper::known(root, paper)?;
    }
    let mut out = std::io::stdout().lock();
    let dirs = run_dirs(&root.join("runs"))?;
    let mut shown = 0;
    for dir in dirs {
        let identity = match Identity::read(&dir) {
            Ok(Some(identity)) => identity,
            Ok(None) => continue,
            Err(error) => {
                writeln!(out, "{error}")?;
                continue;
            }
        };
        if only.is_some_and(|paper| paper != identity.paper) {
            continue;
        }
        shown += 1;
        writeln!(out, "{}", line(&dir, &identity)?)?;
        if let Some(error) = &identity.error {
            writeln!(out, "    {error}")?;
        }
    }
    if shown == 0 {
        writeln!(
            out,
            "no runs yet; `cargo xtask reproduce astra --scale smoke` makes some in about a minute"
        )?;
    }
    Ok(())
}

fn line(dir: &Path, identity: &Identity) -> anyhow::Result<String> {
    let name = format!(
        "{}/{}/{}/seed-{}",
        identity.paper, identity.setting, identity.arm, identity.seed
    );
    let metrics = read_metrics(dir)?;
    let last = metrics
        .iter()
        .rev()
        .find(|metric| metric.values.get("loss").is_some_and(Option::is_some));
    let progress = last.map_or_else(String::new, |metric| {
        format!(
            "step {}  loss {:.3}",
            metric.step,
            metric.values["loss"].unwrap_or(f64::NAN)
        )
    });
    let modified = [dir.join("metrics.jsonl"), dir.join(Identity::FILE)]
        .iter()
        .filter_map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
        .max();
    let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
    let age = age.map_or_else(String::new, |age| {
        format!("{} ago", format_duration(age.as_secs_f64()))
    });
    Ok(format!(
        "{name:<44} {:<22} {progress:<24} {age}",
        state(dir, identity)
    ))
}

/// The state as it is: a run that says it is running and that nobody holds was killed.
pub(crate) fn state(dir: &Path, identity: &Identity) -> String {
    match (identity.status, holder(dir)) {
        (Status::Running, Some(pid)) => format!("running (process {pid})"),
        (Status::Running, None) => "killed, can continue".to_owned(),
        (Status::Interrupted, _) => "interrupted, can continue".to_owned(),
        (Status::Done, _) => format!("done in {}", format_duration(identity.wall_seconds)),
        (status, _) => status.to_string(),
    }
}

/// The run directories under `runs/`: `<paper>/<setting>/<arm>/seed-<n>`, sorted.
pub(crate) fn run_dirs(runs: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut level = vec![runs.to_owned()];
    for _ in 0..4 {
        let mut next = Vec::new();
        for dir in level {
            next.extend(subdirectories(&dir)?);
        }
        level = next;
    }
    level.retain(|dir| dir.join(Identity::FILE).exists());
    Ok(level)
}

/// The directories in a directory, sorted; none if it does not exist.
pub(crate) fn subdirectories(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
