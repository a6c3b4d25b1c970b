//! Rules for the text of sources.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;

/// Longer files hold more than one idea.
const MAX_LINES: usize = 600;
/// The variables we read; the last three are conventions of rayon, of terminals and of continuous integration.
const VARIABLES: [&str; 5] = [
    "SANDHI_DATA",
    "SANDHI_SLOW",
    "RAYON_NUM_THREADS",
    "NO_COLOR",
    "CI",
];
/// What cargo sets for build scripts.
const BUILD_VARIABLES: [&str; 3] = ["RUSTC", "OUT_DIR", "TARGET"];

/// A source file.
#[derive(Debug, Clone)]
pub(super) struct Source {
    path: String,
    text: String,
}

/// The Rust and Python sources of the repository.
pub(super) fn read(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in super::files(root)? {
        if super::has_extension(&path, &["rs", "py"]) {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            sources.push(Source {
                path: super::short(root, &path),
                text,
            });
        }
    }
    Ok(sources)
}

/// Every breach.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let tests: HashSet<&str> = sources
        .iter()
        .flat_map(|source| functions(&source.text))
        .collect();
    sources
        .iter()
        .flat_map(|source| {
            let found = [
                length(&source.text),
                unnumbered(&source.text),
                variables(source),
                unproved(&source.text, &tests),
            ];
            found
                .concat()
                .into_iter()
                .map(|(line, what)| format!("{}:{line}: {what}", source.path))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A line and what is wrong there.
type Breach = (usize, String);

fn length(text: &str) -> Vec<Breach> {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        vec![(lines, format!("{lines} lines, more than {MAX_LINES}"))]
    } else {
        Vec::new()
    }
}

/// A thing to do has an issue: `TODO(#12)`.
fn unnumbered(text: &str) -> Vec<Breach> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let bad = |line: &str| {
        marks
            .iter()
            .any(|mark| line.split(mark).skip(1).any(|rest| !rest.starts_with("(#")))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| bad(line));
    lines
        .map(|(index, _)| {
            (
                index + 1,
                "a thing to do without the number of its issue, as (#12)".to_owned(),
            )
        })
        .collect()
}

/// No environment variable but ours, and those by their literal name.
fn variables(source: &Source) -> Vec<Breach> {
    // Names of variables as users of ours may set them; cargo talks to build scripts through others.
    let build = source.path.ends_with("build.rs");
    let mut breaches = Vec::new();
    for call in [concat!("env::", "var("), concat!("env::", "var_os(")] {
        for (place, _) in source.text.match_indices(call) {
            let argument = source.text[place + call.len()..]
                .split(')')
                .next()
                .unwrap_or_default()
                .trim();
            let name = argument.trim_matches('"');
            let known = VARIABLES.contains(&name) || (build && BUILD_VARIABLES.contains(&name));
            if !known {
                let line = source.text[..place].lines().count().max(1);
                breaches.push((
                    line,
                    format!(
                        "reads the environment variable {argument}; ours are SANDHI_DATA and SANDHI_SLOW"
                    ),
                ));
            }
        }
    }
    breaches
}

/// Every test named under `# Proved by` exists.
fn unproved(text: &str, tests: &HashSet<&str>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut proving = false;
    for (index, line) in text.lines().enumerate() {
        let Some(doc) = line
            .trim_start()
            .strip_prefix("///")
            .or_else(|| line.trim_start().strip_prefix("//!"))
        else {
            proving = false;
            continue;
        };
        if doc.trim_start().starts_with("# ") {
            proving = doc.trim() == "# Proved by";
            continue;
        }
        if proving {
            let named = doc.split('`').skip(1).step_by(2);
            let names = named.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            for name in names.filter(|name| !name.is_empty() && !tests.contains(name)) {
                breaches.push((index + 1, format!("proved by `{name}`, which does not exist")));
            }
        }
    }
    breaches
}

/// The names of the functions of a source.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        (end > 0).then(|| &rest[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(path: &str, text: &str) -> Vec<String> {
        check(&[Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn proof_that_does_not_exist_is_found() {
        let text =
            "/// # Proved by\n///\n/// `law_holds`, `law_is_gone`.\nfn f() {}\n#[test]\nfn law_holds() {}\n";
        assert_eq!(
            breaches("a.rs", text),
            ["a.rs:3: proved by `law_is_gone`, which does not exist"]
        );
        let other_section = "/// # Proved by\n/// `f`\n/// # Example\n/// `anything`\nfn f() {}\n";
        assert_eq!(breaches("a.rs", other_section), Vec::<String>::new());
    }

    #[test]
    fn long_files_open_ends_and_strange_variables_are_found() {
        assert_eq!(breaches("a.rs", &"\n".repeat(601)).len(), 1);
        assert_eq!(breaches("a.rs", &"\n".repeat(600)).len(), 0);
        let mark = concat!("TO", "DO");
        assert_eq!(
            breaches("a.rs", &format!("// {mark}: later\n// {mark}(#12): later\n")).len(),
            1
        );
        let call = concat!("std::env::", "var");
        assert_eq!(breaches("a.rs", &format!("{call}(\"HOME\")")).len(), 1);
        assert_eq!(breaches("a.rs", &format!("{call}(name)")).len(), 1);
        assert_eq!(breaches("a.rs", &format!("{call}(\"SANDHI_DATA\")")).len(), 0);
        assert_eq!(
            breaches("crates/lab/build.rs", &format!("{call}_os(\"RUSTC\")")).len(),
            0
        );
    }
}
