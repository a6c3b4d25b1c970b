//! The rules of the repository that check themselves: `cargo xtask tidy` and `cargo test -p xtask`.

mod layers;
mod sources;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Names every breach of the rules.
pub(crate) fn tidy(root: &Path) -> anyhow::Result<()> {
    let breaches = breaches(root)?;
    let mut out = std::io::stdout().lock();
    for breach in &breaches {
        writeln!(out, "{breach}")?;
    }
    if breaches.is_empty() {
        writeln!(out, "tidy")?;
        return Ok(());
    }
    bail!("{} breaches of the rules", breaches.len())
}

fn breaches(root: &Path) -> anyhow::Result<Vec<String>> {
    let packages = layers::packages(root)?;
    let mut breaches = layers::check(&packages);
    let sources = sources::read(root)?;
    breaches.extend(sources::check(&sources));
    breaches.extend(readmes(root)?);
    breaches.extend(goldens(root)?);
    Ok(breaches)
}

/// Every crate has a README, and it is the crate's documentation, so that its example compiles.
fn readmes(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for dir in crate::status::subdirectories(&root.join("crates"))? {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !dir.join("README.md").exists() {
            breaches.push(format!("crates/{name}: README.md is missing"));
        }
        let library = dir.join("src/lib.rs");
        let text = std::fs::read_to_string(&library)
            .with_context(|| format!("cannot read {}", library.display()))?;
        if !text.contains("#![doc = include_str!(\"../README.md\")]") {
            breaches.push(format!(
                "crates/{name}/src/lib.rs: the README is not the crate's documentation"
            ));
        }
    }
    Ok(breaches)
}

/// Every folder of golden files holds the script that makes them.
fn goldens(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for path in files(root)? {
        let Some(folder) = path.ancestors().skip(1).find(|folder| folder.ends_with("golden")) else {
            continue;
        };
        let scripts = files(folder)?
            .iter()
            .any(|file| has_extension(file, &["py", "sh", "rs"]));
        if !scripts
            && !breaches
                .iter()
                .any(|breach: &String| breach.starts_with(&short(root, folder)))
        {
            breaches.push(format!(
                "{}: golden files without the script that makes them",
                short(root, folder)
            ));
        }
    }
    Ok(breaches)
}

/// All files of the repository that are ours: neither built nor run nor hidden.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                let ours = !name.starts_with('.') && name != "target" && path != root.join("runs");
                if ours {
                    folders.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| extensions.contains(&extension))
}

/// A path from the root of the repository.
fn short(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn repository_obeys_its_rules() {
        let breaches = super::breaches(&crate::root()).unwrap();
        assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }
}
