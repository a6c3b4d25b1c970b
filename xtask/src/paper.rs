//! Finding experiments, building them, asking them for their plan.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use sandhi_lab::{Plan, did_you_mean};

/// The papers there are: the packages in `experiments/`.
pub(crate) fn papers(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("experiments");
    let mut papers = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            papers.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    papers.sort();
    Ok(papers)
}

/// Fails with the nearest name if there is no such paper.
pub(crate) fn known(root: &Path, paper: &str) -> anyhow::Result<()> {
    let papers = papers(root)?;
    if papers.iter().any(|known| known == paper) {
        return Ok(());
    }
    let meant = did_you_mean(paper, papers.iter().map(String::as_str));
    let meant = meant
        .map(|meant| format!(", did you mean '{meant}'?"))
        .unwrap_or_default();
    bail!("unknown paper '{paper}'{meant}; there are: {}", papers.join(", "))
}

/// Builds the experiment of a paper, which must be one there is.
pub(crate) fn build_known(root: &Path, paper: &str) -> anyhow::Result<PathBuf> {
    known(root, paper)?;
    build(root, &["--release", "-p", paper], paper)
}

/// Builds what the arguments of `cargo build` select and returns the program of that name.
pub(crate) fn build(root: &Path, arguments: &[&str], name: &str) -> anyhow::Result<PathBuf> {
    // Cargo's progress goes to standard error as always; the messages only tell where the program lies.
    let output = Command::new("cargo")
        .current_dir(root)
        .arg("build")
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo build {} failed", arguments.join(" "));
    }
    executable(&String::from_utf8_lossy(&output.stdout), name)
        .with_context(|| format!("cargo built no program named {name}"))
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == name;
        ours.then(|| message["executable"].as_str().map(PathBuf::from))
            .flatten()
    })
}

/// A program of ours, started as `cargo run` would start it: in the root, with the environment of the repository.
pub(crate) fn program(root: &Path, binary: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(binary);
    command.current_dir(root);
    // Cargo sets these for `cargo xtask`, and children inherit them; the runner may also be started by itself.
    for (key, value) in environment(root)? {
        if !std::env::vars_os().any(|(set, _)| set == OsString::from(&key)) {
            command.env(key, value);
        }
    }
    Ok(command)
}

/// A variable of the `[env]` section of `.cargo/config.toml`.
pub(crate) fn setting(root: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let found = environment(root)?.into_iter().find(|(key, _)| key == name);
    Ok(found.map(|(_, value)| value))
}

/// The `[env]` section of `.cargo/config.toml`.
fn environment(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let path = root.join(".cargo/config.toml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(Vec::new());
    };
    let table: toml::Table = text
        .parse()
        .with_context(|| format!("cannot read {}", path.display()))?;
    let Some(section) = table.get("env").and_then(toml::Value::as_table) else {
        return Ok(Vec::new());
    };
    Ok(section
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect())
}

/// Asks an experiment what it intends.
pub(crate) fn plan(root: &Path, binary: &Path, place: &[OsString]) -> anyhow::Result<Plan> {
    let output = program(root, binary)?
        .args(["plan", "--json"])
        .args(place)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    if !output.status.success() {
        bail!("the experiment has no plan for this setting");
    }
    serde_json::from_slice(&output.stdout).context("the experiment's plan cannot be read")
}

/// The experiment without a model that the lab has for tests.
#[cfg(test)]
pub(crate) fn noisy_channel() -> PathBuf {
    let arguments = ["-p", "sandhi-lab", "--example", "noisy_channel"];
    build(&crate::root(), &arguments, "noisy_channel").unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_is_found_among_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"sandhi_lab"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"astra"},"executable":"/target/release/astra"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            executable(messages, "astra"),
            Some(PathBuf::from("/target/release/astra"))
        );
        assert_eq!(executable(messages, "sandhi_lab"), None);
    }

    #[test]
    fn children_get_the_environment_of_the_repository() {
        let pairs = environment(&crate::root()).unwrap();
        for key in ["CANDLE_NUM_THREADS", "GLIBC_TUNABLES"] {
            assert!(
                pairs.iter().any(|(name, value)| name == key && !value.is_empty()),
                "{key} is missing"
            );
        }
        let shown = program(&crate::root(), Path::new("env"))
            .unwrap()
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.contains("CANDLE_NUM_THREADS=") && shown.contains("GLIBC_TUNABLES="),
            "{shown}"
        );
    }

    #[test]
    fn unknown_paper_names_the_nearest() {
        known(&crate::root(), "astra").unwrap();
        let error = known(&crate::root(), "asrta").unwrap_err();
        assert!(error.to_string().contains("did you mean 'astra'"), "{error}");
    }
}
