use std::path::Path;

use crate::config::config_hash;
use crate::files::read_if_present;
use crate::report::evidence::seeds;
use crate::report::{Report, markdown_folder};
use crate::{Identity, Plan, Result, Status};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub what: String,
    /// What is wrong, or `None`.
    pub fault: Option<String>,
}

/// Checks that the runs of a plan's setting are what they claim to be, and that the report that was written says
/// what a report made now would say: everything is read and scored again.
///
/// # Errors
///
/// Whatever [`Report::collect`] refuses.
pub fn verify(plan: &Plan, runs: &Path, reports: &Path) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let base = runs.join(&plan.reference.key).join(plan.setting.name());
    for arm in &plan.arms {
        for dir in seeds(&base.join(&arm.name))? {
            let Some(identity) = Identity::read(&dir)? else {
                continue;
            };
            let what = format!("run {} seed {}", arm.name, identity.seed);
            checks.push(Check {
                what,
                fault: fault_of(&dir, &identity)?,
            });
        }
    }
    let report = Report::collect(plan, runs)?;
    let folder = markdown_folder(plan, runs, reports);
    for (name, content) in report.files() {
        let path = folder.join(name);
        let written = read_if_present(&path)?;
        let fault = match (&written, &content) {
            (None, None) => continue,
            (None, Some(_)) => Some("is missing".to_owned()),
            (Some(_), None) => Some("shows what no run holds".to_owned()),
            (Some(written), Some(content)) => difference(written, content),
        };
        checks.push(Check {
            what: format!("report {}/{name}", plan.setting.name()),
            fault,
        });
    }
    Ok(checks)
}

/// What is wrong with a run directory.
fn fault_of(dir: &Path, identity: &Identity) -> Result<Option<String>> {
    let Some(text) = read_if_present(&dir.join("config.toml"))? else {
        return Ok(Some("config.toml is missing".to_owned()));
    };
    let Ok(config) = text.parse::<toml::Table>() else {
        return Ok(Some("config.toml cannot be read".to_owned()));
    };
    let hash = config_hash(&config)?;
    if hash != identity.config_hash {
        return Ok(Some(format!(
            "config.toml hashes to {hash}, run.toml says {}",
            identity.config_hash
        )));
    }
    if identity.status == Status::Done && identity.ended.is_none() {
        return Ok(Some("is done and has no end".to_owned()));
    }
    Ok(None)
}

/// The first line in which what is written differs from what it should be.
fn difference(written: &str, expected: &str) -> Option<String> {
    if written == expected {
        return None;
    }
    let place = written
        .lines()
        .zip(expected.lines())
        .position(|(left, right)| left != right);
    let line = place.unwrap_or_else(|| written.lines().count().min(expected.lines().count()));
    let at = |text: &str| {
        text.lines()
            .nth(line)
            .unwrap_or("nothing")
            .chars()
            .take(160)
            .collect::<String>()
    };
    Some(format!(
        "line {}: says '{}', the runs say '{}'",
        line + 1,
        at(written),
        at(expected)
    ))
}
