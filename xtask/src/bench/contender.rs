//! Who is timed.

use anyhow::bail;
use sandhi_lab::did_you_mean;

use super::environment::Environment;

/// A worker, by what starts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Its allocator keeps freed pages, as ours does in training; otherwise it is left as it is.
    pub(crate) keep_pages: bool,
    /// MKL may use AVX-512 on processors that are not Intel's; otherwise it is left as it is.
    pub(crate) unlocked: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A mode of our worker; the first of a job is what the others are measured in.
    Ours(&'static str),
    /// A mode of our worker that computes no loss: a bound on all that do.
    Floor(&'static str),
    Rival(&'static Script),
}

/// A worker in Python.
#[derive(Debug)]
pub(crate) struct Script {
    /// From the root of the repository.
    pub(crate) file: &'static str,
    pub(crate) environment: &'static Environment,
}

impl Contender {
    /// As it is when nothing is said about it.
    pub(crate) fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            keep_pages: false,
            unlocked: false,
        }
    }

    pub(crate) fn script(&self) -> Option<&'static Script> {
        match self.kind {
            Kind::Rival(script) => Some(script),
            Kind::Ours(_) | Kind::Floor(_) => None,
        }
    }

    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor(_))
    }
}

/// Those of the known rivals that users ask for by name; all of them for `all`.
pub(crate) fn asked(known: &[&'static str], names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for name in names {
        if name == "all" {
            return Ok(known.to_vec());
        }
        match known.iter().find(|known| *known == name) {
            Some(name) => found.push(*name),
            None => {
                let meant = did_you_mean(name, known.iter().copied());
                let meant = meant
                    .map(|meant| format!(", did you mean '{meant}'?"))
                    .unwrap_or_default();
                bail!(
                    "unknown rival '{name}'{meant}; there are: {}, all",
                    known.join(", ")
                );
            }
        }
    }
    Ok(found)
}
