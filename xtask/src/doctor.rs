use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A line of the examination.
struct Finding {
    what: &'static str,
    /// What was found, or `None` if it is missing.
    found: Option<String>,
    /// What to do if it is missing or too small.
    remedy: &'static str,
    /// Whether reproducing works without it.
    optional: bool,
}

/// Shows what this machine has, what is missing, and how to get it.
pub(crate) fn doctor(root: &Path) -> anyhow::Result<()> {
    let findings = examine(root);
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        match &finding.found {
            Some(found) => writeln!(out, "ok       {:<12} {found}", finding.what)?,
            None => {
                let mark = if finding.optional { "optional" } else { "MISSING" };
                writeln!(out, "{mark:<8} {:<12} {}", finding.what, finding.remedy)?;
            }
        }
    }
    match findings
        .iter()
        .find(|finding| finding.found.is_none() && !finding.optional)
    {
        Some(finding) => anyhow::bail!("{} is missing", finding.what),
        None => Ok(writeln!(
            out,
            "\nready: cargo xtask reproduce astra --scale smoke"
        )?),
    }
}

fn examine(root: &Path) -> Vec<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = memory_gib();
    let disk = free_gib(root);
    vec![
        Finding {
            what: "compiler",
            found: first_line("rustc", &["--version"]),
            remedy: "install Rust from https://rustup.rs; rust-toolchain.toml names the version",
            optional: false,
        },
        Finding {
            what: "git",
            found: first_line("git", &["--version"]),
            remedy: "install git; without it runs are recorded without their commit",
            optional: true,
        },
        Finding {
            what: "cores",
            found: Some(format!(
                "{cores}{}",
                if cores < 2 {
                    " (times in the README are for two)"
                } else {
                    ""
                }
            )),
            remedy: "",
            optional: true,
        },
        Finding {
            what: "memory",
            found: memory
                .filter(|gib| *gib >= 3.5)
                .map(|gib| format!("{gib:.1} GiB")),
            remedy: "4 GiB are needed to build and to train at mini scale (or the amount is not known here)",
            optional: memory.is_none(),
        },
        Finding {
            what: "disk",
            found: disk
                .filter(|gib| *gib >= 5.0)
                .map(|gib| format!("{gib:.0} GiB free")),
            remedy: "5 GiB free are needed for the build and the runs (or the amount is not known here)",
            optional: disk.is_none(),
        },
        Finding {
            what: "corpus mini",
            found: root
                .join("data-manifests/mini")
                .is_dir()
                .then(|| "embedded".to_owned()),
            remedy: "data-manifests/mini is missing from this checkout",
            optional: false,
        },
        Finding {
            what: "flite",
            found: first_line("flite", &["--version"]),
            remedy: "apt install flite; only needed to make the embedded corpus again",
            optional: true,
        },
        Finding {
            what: "lame",
            found: first_line("lame", &["--version"]),
            remedy: "apt install lame; only needed to make the embedded corpus again",
            optional: true,
        },
        Finding {
            what: "espeak-ng",
            found: first_line("espeak-ng", &["--version"]),
            remedy: "apt install espeak-ng; only needed to speak the embedded corpus' translations",
            optional: true,
        },
        Finding {
            what: "SANDHI_DATA",
            found: std::env::var("SANDHI_DATA")
                .ok()
                .filter(|path| Path::new(path).is_dir()),
            remedy: "set it to the directory of your corpora, or give --data-root; the embedded corpus needs neither",
            optional: true,
        },
    ]
}

/// The first line a program says about itself; `None` if there is no such program.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    String::from_utf8_lossy(&text)
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map(str::to_owned)
}

fn memory_gib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0 / 1024.0)
}

fn free_gib(path: &Path) -> Option<f64> {
    let output = Command::new("df").arg("-Pk").arg(path).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(
        text.lines()
            .nth(1)?
            .split_whitespace()
            .nth(3)?
            .parse::<f64>()
            .ok()?
            / 1024.0
            / 1024.0,
    )
}
