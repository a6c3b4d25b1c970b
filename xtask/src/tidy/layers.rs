//! Who may depend on whom, read from the manifests.

use std::path::Path;

use anyhow::Context;

/// Crates that know no tensors: their proofs run without candle, and the report builds without it.
const WITHOUT_CANDLE: [&str; 7] = [
    "sandhi-lattice",
    "sandhi-audio",
    "sandhi-text",
    "sandhi-corpus",
    "sandhi-score",
    "sandhi-lab",
    "xtask",
];
/// Loss crates: each stands for itself.
const LOSSES: [&str; 5] = [
    "sandhi-transducer",
    "sandhi-align",
    "sandhi-modal",
    "sandhi-exporter",
    "sandhi-bestrq",
];
/// What a loss may not know: a loss takes logits and embeddings, wherever they come from.
const ABOVE_LOSSES: [&str; 3] = ["sandhi-model", "sandhi-conformer", "sandhi-train"];

/// A package and what it needs.
#[derive(Debug, Clone)]
pub(super) struct Package {
    name: String,
    /// Needed to build and run.
    needs: Vec<String>,
    /// Needed to test.
    needs_for_tests: Vec<String>,
}

/// The packages of the workspace.
pub(super) fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let mut manifests = vec![root.join("xtask/Cargo.toml"), root.join("tests/Cargo.toml")];
    for folder in ["crates", "experiments"] {
        let dirs = crate::status::subdirectories(&root.join(folder))?;
        manifests.extend(dirs.into_iter().map(|dir| dir.join("Cargo.toml")));
    }
    let mut packages = Vec::new();
    for path in manifests.into_iter().filter(|path| path.exists()) {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        packages.push(package(&text).with_context(|| format!("{} names no package", path.display()))?);
    }
    Ok(packages)
}

fn package(manifest: &str) -> Option<Package> {
    let table: toml::Table = manifest.parse().ok()?;
    let name = table.get("package")?.get("name")?.as_str()?.to_owned();
    let mut needs = names(&table, &["dependencies", "build-dependencies"]);
    let mut needs_for_tests = names(&table, &["dev-dependencies"]);
    for (_, target) in table
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
    {
        if let Some(target) = target.as_table() {
            needs.extend(names(target, &["dependencies", "build-dependencies"]));
            needs_for_tests.extend(names(target, &["dev-dependencies"]));
        }
    }
    Some(Package {
        name,
        needs,
        needs_for_tests,
    })
}

fn names(table: &toml::Table, sections: &[&str]) -> Vec<String> {
    let tables = sections
        .iter()
        .filter_map(|section| table.get(*section)?.as_table());
    let name = |key: &String, value: &toml::Value| {
        value
            .get("package")
            .and_then(toml::Value::as_str)
            .unwrap_or(key)
            .to_owned()
    };
    tables.flatten().map(|(key, value)| name(key, value)).collect()
}

/// Every edge that points the wrong way.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in packages {
        let Package { name, needs, .. } = package;
        if WITHOUT_CANDLE.contains(&name.as_str())
            && let Some(path) = way_to_candle(package, packages, true)
        {
            breaches.push(format!(
                "{name}: must not depend on candle, not even for tests, and does by {path}"
            ));
        }
        let mut forbid = |others: &[&str], why: &str| {
            for other in others
                .iter()
                .filter(|other| *other != name && needs.iter().any(|need| need == *other))
            {
                breaches.push(format!("{name}: must not depend on {other}: {why}"));
            }
        };
        if LOSSES.contains(&name.as_str()) {
            forbid(&LOSSES, "a loss stands for itself");
            forbid(
                &ABOVE_LOSSES,
                "a loss takes logits and embeddings, wherever they come from",
            );
        }
        if name == "sandhi-model" {
            forbid(
                &LOSSES,
                "a model makes logits and embeddings; a paper decides what they are worth",
            );
        }
        if name.starts_with("sandhi-") {
            forbid(&["sandhi", "xtask"], "edges point down");
        }
    }
    breaches
}

/// How a package comes to candle, as `a, b, candle-core`.
fn way_to_candle(package: &Package, packages: &[Package], with_tests: bool) -> Option<String> {
    // Tests of a dependency are not built with it.
    let tests = if with_tests {
        &package.needs_for_tests[..]
    } else {
        &[]
    };
    package.needs.iter().chain(tests).find_map(|need| {
        if need.starts_with("candle") {
            return Some(need.clone());
        }
        let next = packages
            .iter()
            .find(|candidate| candidate.name == *need && need != &package.name)?;
        way_to_candle(next, packages, false).map(|rest| format!("{need}, {rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(manifests: &[(&str, &str)]) -> Vec<String> {
        let text = |(name, rest): &(&str, &str)| format!("[package]\nname = \"{name}\"\n{rest}");
        check(
            &manifests
                .iter()
                .map(|manifest| package(&text(manifest)).unwrap())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn candle_below_its_line_is_found_through_others() {
        let breaches = workspace(&[
            ("sandhi-lab", "[dependencies]\nsandhi-score.workspace = true"),
            ("sandhi-score", "[dependencies]\nsandhi-core.workspace = true"),
            ("sandhi-core", "[dependencies]\ncandle-core.workspace = true"),
        ]);
        assert_eq!(breaches.len(), 2, "{breaches:?}");
        assert!(
            breaches[0].contains("sandhi-score, sandhi-core, candle-core"),
            "{breaches:?}"
        );
        let renamed = "[dev-dependencies]\ntensors = { package = \"candle-core\", version = \"1\" }";
        assert_eq!(workspace(&[("sandhi-text", renamed)]).len(), 1);
    }

    #[test]
    fn losses_are_independent_except_in_their_tests() {
        let needs_model = "[dependencies]\nsandhi-model.workspace = true";
        assert_eq!(workspace(&[("sandhi-align", needs_model)]).len(), 1);
        assert_eq!(
            workspace(&[(
                "sandhi-align",
                "[dev-dependencies]\nsandhi-transducer.workspace = true"
            )])
            .len(),
            0
        );
        assert_eq!(
            workspace(&[(
                "sandhi-align",
                "[dependencies]\nsandhi-transducer.workspace = true"
            )])
            .len(),
            1
        );
        assert_eq!(
            workspace(&[("sandhi-model", "[dependencies]\nsandhi-align.workspace = true")]).len(),
            1
        );
    }
}
