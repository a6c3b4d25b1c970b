use std::collections::BTreeMap;

use crate::report::evidence::{Evidence, RunEvidence};
use crate::{Plan, Setting};

/// How the runs came to be.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The command that makes them again.
    pub(crate) command: String,
    pub(crate) runs: Vec<RunFacts>,
    /// Hardware, each once.
    pub(crate) machines: Vec<String>,
    /// Compilers and versions, each once.
    pub(crate) versions: Vec<String>,
    /// What the experiments recorded: a key, and its value where all runs agree, else a value per arm.
    pub(crate) records: Vec<(String, String)>,
    /// What a reader must know before comparing numbers.
    pub(crate) cautions: Vec<String>,
    /// Arms nobody ran.
    pub(crate) not_run: Vec<String>,
}

/// One complete run.
#[derive(Debug)]
pub(crate) struct RunFacts {
    pub(crate) arm: String,
    pub(crate) seed: u64,
    pub(crate) wall_seconds: f64,
    pub(crate) sessions: u64,
    pub(crate) config_hash: String,
    pub(crate) commit: String,
    pub(crate) ended: String,
}

impl Facts {
    pub(crate) fn of(plan: &Plan, evidence: &Evidence) -> Self {
        let identities = || evidence.runs().map(|run| &run.identity);
        let runs: Vec<RunFacts> = identities()
            .map(|identity| RunFacts {
                arm: identity.arm.clone(),
                seed: identity.seed,
                wall_seconds: identity.wall_seconds,
                sessions: identity.sessions,
                config_hash: short(&identity.config_hash, 12),
                commit: commit(&identity.code.git_commit, identity.code.git_dirty),
                ended: identity.ended.clone().unwrap_or_default(),
            })
            .collect();
        let machines = unique(identities().map(|identity| {
            let machine = &identity.machine;
            let memory = machine
                .memory_gib
                .map(|gib| format!(", {gib} GiB"))
                .unwrap_or_default();
            let cores = if machine.cores == 1 { "core" } else { "cores" };
            format!(
                "{}, {} {cores}{memory}, {}",
                machine.cpu, machine.cores, machine.system
            )
        }));
        let versions = unique(identities().map(|identity| {
            let code = &identity.code;
            format!("sandhi {}, candle {}, {}", code.version, code.candle, code.rustc)
        }));
        Self {
            command: reproduce(plan, evidence),
            cautions: cautions(plan, evidence, &machines),
            records: records(evidence),
            not_run: evidence
                .arms
                .iter()
                .filter(|arm| !arm.was_run())
                .map(|arm| arm.name.clone())
                .collect(),
            runs,
            machines,
            versions,
        }
    }
}

/// The command of the runner that makes all runs again.
fn reproduce(plan: &Plan, evidence: &Evidence) -> String {
    let shown: Vec<&str> = evidence
        .arms
        .iter()
        .filter(|arm| arm.was_run())
        .map(|arm| arm.name.as_str())
        .collect();
    let default: Vec<&str> = plan
        .arms
        .iter()
        .filter(|arm| arm.default)
        .map(|arm| arm.name.as_str())
        .collect();
    let arms = if shown == default {
        String::new()
    } else if shown.len() == plan.arms.len() {
        " --arms all".to_owned()
    } else {
        format!(" --arms {}", shown.join(","))
    };
    command(plan, "reproduce", &arms, &evidence.runs().collect::<Vec<_>>())
}

/// A command of the runner that makes runs again: what to do, with which of the arms.
pub(crate) fn command(plan: &Plan, verb: &str, choice: &str, runs: &[&RunEvidence]) -> String {
    let mut command = format!(
        "cargo xtask {verb} {} --scale {}",
        plan.reference.key, plan.setting.scale
    );
    if plan.setting.corpus != Setting::EMBEDDED {
        command.push_str(&format!(" --corpus {} --data-root DIR", plan.setting.corpus));
    }
    command.push_str(choice);
    let seeds = runs.iter().map(|run| run.identity.seed + 1).max().unwrap_or(1);
    if seeds > 1 {
        command.push_str(&format!(" --seeds {seeds}"));
    }
    for change in unique(runs.iter().flat_map(|run| run.identity.overrides.iter().cloned())) {
        let quoted = if change.contains(char::is_whitespace) {
            format!("'{change}'")
        } else {
            change
        };
        command.push_str(&format!(" --set {quoted}"));
    }
    command
}

fn cautions(plan: &Plan, evidence: &Evidence, machines: &[String]) -> Vec<String> {
    let mut cautions = Vec::new();
    let strange: Vec<String> = evidence
        .runs()
        .filter(|run| !run.as_planned)
        .map(|run| run.name())
        .collect();
    if !strange.is_empty() {
        cautions.push(format!(
            "made with a configuration other than today's code would use: {}",
            strange.join(", ")
        ));
    }
    let dirty: Vec<String> = evidence
        .runs()
        .filter(|run| run.identity.code.git_dirty)
        .map(|run| run.name())
        .collect();
    if !dirty.is_empty() {
        cautions.push(format!(
            "made from a working tree with uncommitted changes: {}",
            dirty.join(", ")
        ));
    }
    if unique(evidence.runs().map(|run| run.identity.code.git_commit.clone())).len() > 1 {
        cautions.push("the runs were made from different commits; the table below says which".to_owned());
    }
    if unique(evidence.runs().map(|run| run.identity.overrides.join(" "))).len() > 1 {
        cautions.push(
            "fields were overridden in some runs and not in others; arms may not be comparable".to_owned(),
        );
    }
    if machines.len() > 1 {
        cautions.push("the runs were made on different machines; wall times are not comparable".to_owned());
    }
    if plan.setting.scale < crate::Scale::Mini && evidence.runs().next().is_some() {
        cautions.push("smoke scale: these numbers show that the road connects and nothing else".to_owned());
    }
    cautions
}

fn records(evidence: &Evidence) -> Vec<(String, String)> {
    let mut by_key: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for run in evidence.runs() {
        for (key, value) in &run.identity.metadata {
            by_key
                .entry(key)
                .or_default()
                .push((&run.identity.arm, readable(value)));
        }
    }
    by_key
        .into_iter()
        .map(|(key, values)| {
            let text = match unique(values.iter().map(|(_, value)| value.clone())).as_slice() {
                [one] => one.clone(),
                _ => unique(values.iter().map(|(arm, value)| format!("{arm} {value}"))).join("; "),
            };
            (key.replace('_', " "), text)
        })
        .collect()
}

/// A recorded value: counts with their thousands apart, rates with three digits, hashes whole.
fn readable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => thousands(*number),
        toml::Value::Float(number) => crate::report::axis::tick_label((number * 1000.0).round() / 1000.0),
        other => other.to_string(),
    }
}

fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

fn commit(commit: &str, dirty: bool) -> String {
    format!("{}{}", short(commit, 9), if dirty { " + changes" } else { "" })
}

fn short(hash: &str, digits: usize) -> String {
    hash.chars().take(digits).collect()
}

pub(crate) fn unique(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_with_their_thousands_apart() {
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(thousands(-1000), "-1\u{202f}000");
        assert_eq!(thousands(12), "12");
    }
}
