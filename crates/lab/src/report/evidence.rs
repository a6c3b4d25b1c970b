use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::report::alignment::Alignment;
use crate::report::paths::LayerPaths;
use crate::{
    Error, Identity, Metric, Plan, Result, Status, Utterance, holder, read_metrics, read_utterances,
};

/// What the run directories of a setting hold, arm by arm in the plan's order.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) arms: Vec<ArmEvidence>,
    /// The splits that runs of main arms were scored on, test splits first.
    pub(crate) splits: Vec<String>,
}

/// The runs of one arm.
#[derive(Debug)]
pub(crate) struct ArmEvidence {
    pub(crate) name: String,
    pub(crate) why: String,
    /// Whether it stands in the main table and figures: those of an ablation that compares something have a table there.
    pub(crate) main: bool,
    /// Complete runs, by seed.
    pub(crate) done: Vec<RunEvidence>,
    /// What is there but not complete, in words.
    pub(crate) open: Vec<String>,
}

/// One complete run.
#[derive(Debug)]
pub(crate) struct RunEvidence {
    pub(crate) identity: Identity,
    pub(crate) metrics: Vec<Metric>,
    /// By split, sorted by id, so that runs can be paired.
    pub(crate) utterances: BTreeMap<String, Vec<Utterance>>,
    pub(crate) alignment: Option<Alignment>,
    pub(crate) paths: Option<LayerPaths>,
    /// Whether its configuration is the one the plan names.
    pub(crate) as_planned: bool,
}

impl Evidence {
    /// Reads the runs of a plan's setting under `runs`.
    pub(crate) fn read(plan: &Plan, runs: &Path) -> Result<Self> {
        let base = runs.join(&plan.reference.key).join(plan.setting.name());
        let mut arms = Vec::with_capacity(plan.arms.len());
        for arm in &plan.arms {
            let mut done = Vec::new();
            let mut open = Vec::new();
            for dir in seeds(&base.join(&arm.name))? {
                let Some(identity) = Identity::read(&dir)? else {
                    continue;
                };
                if identity.status == Status::Done {
                    done.push(RunEvidence::read(&dir, identity, &arm.config_hash)?);
                } else {
                    open.push(format!("seed {}: {}", identity.seed, unfinished(&dir, &identity)));
                }
            }
            done.sort_by_key(|run| run.identity.seed);
            arms.push(ArmEvidence {
                name: arm.name.clone(),
                why: arm.why.clone(),
                main: true,
                done,
                open,
            });
        }
        for place in 0..arms.len() {
            arms[place].main = plan.arms[place].default || !compared(plan, &arms, &arms[place].name);
        }
        // A test that only arms of an ablation have is shown there, where the ablation names it.
        let main = arms.iter().filter(|arm| arm.main);
        let mut splits: Vec<String> = main
            .flat_map(|arm| &arm.done)
            .flat_map(|run| run.utterances.keys().cloned())
            .collect();
        splits.sort_by_key(|split| (!split.starts_with("test"), split.clone()));
        splits.dedup();
        Ok(Self { arms, splits })
    }

    /// The complete runs of an arm; empty if there is no such arm.
    pub(crate) fn done(&self, arm: &str) -> &[RunEvidence] {
        self.arms
            .iter()
            .find(|candidate| candidate.name == arm)
            .map_or(&[], |arm| &arm.done)
    }

    /// All complete runs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &RunEvidence> {
        self.arms.iter().flat_map(|arm| &arm.done)
    }
}

impl ArmEvidence {
    /// Whether somebody ran the arm; one that failed is shown, with its reason.
    pub(crate) fn was_run(&self) -> bool {
        !self.done.is_empty() || !self.open.is_empty()
    }
}

impl RunEvidence {
    fn read(dir: &Path, identity: Identity, planned_hash: &str) -> Result<Self> {
        let mut utterances = BTreeMap::new();
        for split in splits(dir)? {
            if let Some(mut found) = read_utterances(dir, &split)? {
                found.sort_by(|a, b| a.id.cmp(&b.id));
                utterances.insert(split, found);
            }
        }
        Ok(Self {
            metrics: read_metrics(dir)?,
            alignment: Alignment::read(dir)?,
            paths: LayerPaths::read(dir)?,
            as_planned: identity.config_hash == planned_hash,
            utterances,
            identity,
        })
    }

    /// What it was scored on: a split, or several joined by `+`; `None` if any of them is missing.
    pub(crate) fn scored(&self, splits: &str) -> Option<Vec<&Utterance>> {
        let mut all = Vec::new();
        for split in splits.split('+') {
            all.extend(self.utterances.get(split)?);
        }
        Some(all)
    }

    /// `arm seed n`.
    pub(crate) fn name(&self) -> String {
        format!("{} seed {}", self.identity.arm, self.identity.seed)
    }
}

/// Whether an arm belongs to an ablation of which two arms or more have runs.
fn compared(plan: &Plan, arms: &[ArmEvidence], name: &str) -> bool {
    let done = |name: &String| arms.iter().any(|arm| arm.name == *name && !arm.done.is_empty());
    let groups = plan.ablations.iter().map(|ablation| &ablation.arms);
    groups
        .filter(|group| group.iter().any(|arm| arm == name))
        .any(|group| group.iter().filter(|arm| done(arm)).count() > 1)
}

fn unfinished(dir: &Path, identity: &Identity) -> String {
    match (identity.status, &identity.error, holder(dir)) {
        (Status::Running, _, None) => "killed".to_owned(),
        (Status::Failed, Some(error), _) => format!("failed: {error}"),
        (status, ..) => status.to_string(),
    }
}

/// The `seed-<n>` directories of an arm.
pub(crate) fn seeds(arm: &Path) -> Result<Vec<PathBuf>> {
    let paths = entries(arm)?;
    Ok(paths
        .into_iter()
        .filter(|path| file_name(path).starts_with("seed-"))
        .collect())
}

/// The splits with utterances in a run directory.
fn splits(dir: &Path) -> Result<Vec<String>> {
    let split = |path: &PathBuf| {
        file_name(path)
            .strip_prefix("utterances.")?
            .strip_suffix(".jsonl")
            .map(str::to_owned)
    };
    Ok(entries(dir)?.iter().filter_map(split).collect())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let read = std::fs::read_dir(dir).map_err(Error::io("cannot read", dir))?;
    let mut paths = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(Error::io("cannot read", dir))?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}
