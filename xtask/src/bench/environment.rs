//! Python environments for the rivals, one for each library they are built on, made when first asked for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{HumanDuration, ProgressBar};

use super::Setting;

/// What is installed together. Versions are pinned: the committed numbers are theirs.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) name: &'static str,
    /// With what they need.
    packages: &'static [&'static str],
    /// Without, because they ask for versions long gone.
    alone: &'static [&'static str],
    /// GB to download, about.
    gigabytes: f64,
}

pub(crate) const TORCH: Environment = Environment {
    name: "torch",
    packages: &[
        "torch==2.11.0",
        "torchaudio==2.11.0",
        "numpy==2.4.6",
        "numba==0.68.1",
        "packaging==26.3",
        "warprnnt_numba==0.4.1",
        "monotonic-alignment-search==0.2.1",
        "pysdtw==0.0.5",
    ],
    alone: &[],
    gigabytes: 2.5,
};
/// Dynamic time warping, of which numba compiles the most.
pub(crate) const WARPING: Environment = Environment {
    name: "warping",
    packages: &[
        "librosa==0.11.0",
        "tslearn==0.10.0",
        "dtw-python==1.9.0",
        "dtaidistance==2.5.1",
        "numpy==2.4.6",
        "numba==0.68.1",
    ],
    alone: &[],
    gigabytes: 0.2,
};
pub(crate) const TENSORFLOW: Environment = Environment {
    name: "tensorflow",
    packages: &["tensorflow==2.21.0"],
    alone: &["rnnt==0.0.5"],
    gigabytes: 0.6,
};
pub(crate) const PADDLE: Environment = Environment {
    name: "paddle",
    packages: &["paddlepaddle==3.3.1", "numpy==2.4.6", "setuptools==80.9.0"],
    alone: &[],
    gigabytes: 0.3,
};

impl Environment {
    /// What the environment was made from: if it differs, it is made again.
    fn recipe(&self) -> String {
        format!("{}\nalone: {}\n", self.packages.join("\n"), self.alone.join(" "))
    }
}

/// The interpreter of an environment.
pub(crate) fn python(folder: &Path, environment: &Environment) -> PathBuf {
    folder.join(environment.name).join("bin/python")
}

/// Makes the environment unless it is there.
pub(crate) fn prepare(folder: &Path, environment: &Environment) -> anyhow::Result<()> {
    let place = folder.join(environment.name);
    let recipe = place.join("recipe.txt");
    if std::fs::read_to_string(&recipe).is_ok_and(|made| made == environment.recipe()) {
        return Ok(());
    }
    let log = folder.join(format!("install-{}.log", environment.name));
    let what = format!(
        "installing {} into {} (up to {} GB)",
        environment.packages.join(", "),
        place.display(),
        environment.gigabytes
    );
    writeln!(std::io::stderr(), "{what}")?;
    let begun = Instant::now();
    let clock = ProgressBar::new_spinner();
    clock.enable_steady_tick(Duration::from_millis(200));
    let step = |message: &str, command: &mut Command| {
        clock.set_message(format!("{}: {message}", environment.name));
        finish(command, &log).with_context(|| message.to_owned())
    };
    let outcome = (|| {
        step(
            "making the environment",
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&place),
        )?;
        let pip = |more: &[&str]| {
            let mut command = Command::new(python(folder, environment));
            command
                .args(["-m", "pip", "install", "--progress-bar=off"])
                .args(more);
            command
        };
        step("pip install", &mut pip(environment.packages))?;
        for package in environment.alone {
            step("pip install", &mut pip(&["--no-deps", package]))?;
        }
        // Written last: an environment without it is unfinished.
        std::fs::write(&recipe, environment.recipe()).context("cannot write the recipe")
    })();
    clock.finish_and_clear();
    if outcome.is_ok() {
        let taken = HumanDuration(begun.elapsed());
        writeln!(std::io::stderr(), "{} is there after {taken}", environment.name)?;
    }
    outcome
}

/// A library that lets MKL use AVX-512 on processors that are not Intel's, built when it is first asked for.
pub(crate) fn unlocked(setting: &Setting) -> anyhow::Result<PathBuf> {
    let library = setting.folder.join("libunlock_mkl.so");
    if !library.exists() {
        let mut build = Command::new("rustc");
        build.args(["--edition=2024", "--crate-type=cdylib", "-O", "-o"]);
        build
            .arg(&library)
            .arg(setting.root.join("crates/model/bench/unlock_mkl.rs"));
        finish(&mut build, &setting.folder.join("unlock-mkl.log")).context("cannot unlock MKL")?;
    }
    Ok(library)
}

/// Runs a command, with its output in the log.
fn finish(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| {
            format!(
                "cannot start {}: is it installed?",
                command.get_program().to_string_lossy()
            )
        })?;
    if status.success() {
        return Ok(());
    }
    bail!(
        "{}; all of it is in {}",
        why(&std::fs::read_to_string(log).unwrap_or_default()),
        log.display()
    )
}

/// What pip's output says went wrong.
fn why(log: &str) -> String {
    let offline = [
        "NewConnectionError",
        "Temporary failure in name resolution",
        "Connection refused",
        "ConnectTimeout",
    ];
    if offline.iter().any(|sign| log.contains(sign)) {
        return "no connection to the package index: this takes a network, or an index that pip is configured for"
            .to_owned();
    }
    let error = log
        .lines()
        .rfind(|line| line.starts_with("ERROR:") && !line.contains("No matching distribution"))
        .or_else(|| log.lines().rfind(|line| !line.trim().is_empty()));
    error.unwrap_or("it failed without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_pip_are_put_plainly() {
        let log = "WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution\n";
        assert!(why(log).starts_with("no connection"));
        let log = "Collecting x\nERROR: Could not find a version that satisfies x==9\nERROR: No matching distribution found for x==9\n";
        assert_eq!(why(log), "ERROR: Could not find a version that satisfies x==9");
        assert_eq!(why(""), "it failed without a word");
    }

    #[test]
    fn unfinished_environment_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Environment {
            name: "nothing",
            packages: &["no-such-package-as-this==0"],
            alone: &[],
            gigabytes: 0.0,
        };
        std::fs::create_dir(folder.path().join("nothing")).unwrap();
        std::fs::write(folder.path().join("nothing/recipe.txt"), "another").unwrap();
        assert_ne!(nothing.recipe(), "another");
        std::fs::write(folder.path().join("nothing/recipe.txt"), nothing.recipe()).unwrap();
        prepare(folder.path(), &nothing).unwrap();
    }
}
