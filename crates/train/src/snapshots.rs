//! The weights of some validations, kept to be averaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint::sha256;
use crate::tensors::{Array, from_bytes, to_bytes};
use crate::{Error, Result};

/// The weights in training as they were at a validation; the file `snapshots/step-<n>.safetensors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    pub(crate) step: u64,
    pub(crate) metric: f64,
    sha256: String,
}

/// The directory of the snapshots beside the checkpoints.
#[derive(Debug)]
pub(crate) struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
        Ok(Self { dir })
    }

    /// Writes the weights of a validation.
    pub(crate) fn take(&self, step: u64, metric: f64, weights: &[u8]) -> Result<Snapshot> {
        sandhi_lab::write_atomic(&self.path(step), weights)?;
        Ok(Snapshot {
            step,
            metric,
            sha256: sha256(weights),
        })
    }

    /// Removes the files of all other steps. A step that an older checkpoint still counts on must be among `kept`.
    pub(crate) fn keep_only(&self, kept: &BTreeSet<u64>) -> Result<()> {
        let names: BTreeSet<PathBuf> = kept.iter().map(|&step| self.path(step)).collect();
        let entries = fs::read_dir(&self.dir).map_err(Error::io("cannot read", &self.dir))?;
        for entry in entries {
            let path = entry.map_err(Error::io("cannot read", &self.dir))?.path();
            if !names.contains(&path) {
                fs::remove_file(&path).map_err(Error::io("cannot remove", &path))?;
            }
        }
        Ok(())
    }

    /// The mean of each variable over the snapshots, as the bytes of a safetensors file. Summed in f64 in the order of
    /// the steps.
    pub(crate) fn mean<'a>(&self, of: impl IntoIterator<Item = &'a Snapshot>) -> Result<Vec<u8>> {
        let mut of: Vec<&Snapshot> = of.into_iter().collect();
        of.sort_by_key(|snapshot| snapshot.step);
        let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
        for snapshot in &of {
            let path = self.path(snapshot.step);
            let arrays = read(snapshot, &path)?;
            if sums.is_empty() {
                let start = |(name, array): (&String, &Array<'_>)| (name.clone(), Sum::start(array));
                sums = arrays.iter().map(start).collect();
            }
            let fits =
                |(name, sum): (&String, &Sum)| arrays.get(name).is_some_and(|array| array.shape == sum.shape);
            if sums.len() != arrays.len() || !sums.iter().all(fits) {
                let reason = "it has other variables than the snapshots before it";
                return Err(Error::corrupt(path, reason));
            }
            for (sum, array) in sums.values_mut().zip(arrays.values()) {
                let pairs = sum.values.iter_mut().zip(array.values.iter());
                pairs.for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
        let count = of.len() as f64;
        let mean = |(name, sum): (String, Sum)| {
            let values: Vec<f32> = sum.values.into_iter().map(|sum| (sum / count) as f32).collect();
            let array = Array {
                shape: sum.shape,
                values: values.into(),
            };
            (name, array)
        };
        to_bytes(sums.into_iter().map(mean), None)
    }

    fn path(&self, step: u64) -> PathBuf {
        self.dir.join(format!("step-{step:08}.safetensors"))
    }
}

/// The sum of one variable.
struct Sum {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Sum {
    fn start(like: &Array<'_>) -> Self {
        Self {
            shape: like.shape.clone(),
            values: vec![0.0; like.values.len()],
        }
    }
}

fn read(snapshot: &Snapshot, path: &Path) -> Result<BTreeMap<String, Array<'static>>> {
    let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
    if sha256(&bytes) != snapshot.sha256 {
        let reason = "its SHA-256 is not that of the checkpoint's list";
        return Err(Error::corrupt(path, reason));
    }
    Ok(from_bytes(&bytes, path)?.0)
}

/// The newest `most`, newest first.
pub(crate) fn last(snapshots: &[Snapshot], most: usize) -> Vec<&Snapshot> {
    let mut last: Vec<&Snapshot> = snapshots.iter().collect();
    last.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.step));
    last.truncate(most);
    last
}

/// The best `most`, best first; of equals the older one, and what is not a number last.
pub(crate) fn best(snapshots: &[Snapshot], most: usize) -> Vec<&Snapshot> {
    let rank = |metric: f64| if metric.is_nan() { f64::INFINITY } else { metric };
    let mut best: Vec<&Snapshot> = snapshots.iter().collect();
    best.sort_by(|a, b| {
        rank(a.metric)
            .total_cmp(&rank(b.metric))
            .then(a.step.cmp(&b.step))
    });
    best.truncate(most);
    best
}

/// Drops what is neither among the last nor among the best.
pub(crate) fn thin(snapshots: &mut Vec<Snapshot>, most: usize) {
    let steps: BTreeSet<u64> = last(snapshots, most)
        .into_iter()
        .chain(best(snapshots, most))
        .map(|snapshot| snapshot.step)
        .collect();
    snapshots.retain(|snapshot| steps.contains(&snapshot.step));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(value: f32) -> Vec<u8> {
        let array = |values: Vec<f32>| Array {
            shape: vec![values.len()],
            values: values.into(),
        };
        let arrays = [("a", vec![value, -value]), ("b", vec![1.0])];
        to_bytes(
            arrays.map(|(name, values)| (name.to_owned(), array(values))),
            None,
        )
        .unwrap()
    }

    fn steps(snapshots: Vec<&Snapshot>) -> Vec<u64> {
        snapshots.into_iter().map(|snapshot| snapshot.step).collect()
    }

    #[test]
    fn snapshots_keep_the_last_and_the_best_and_give_their_mean() {
        let dir = tempfile::tempdir().unwrap();
        let store = Snapshots::open(dir.path().join("snapshots")).unwrap();
        let mut kept = Vec::new();
        for (step, metric) in [
            (10, 0.5),
            (20, 0.1),
            (30, 0.3),
            (40, f64::NAN),
            (50, 0.3),
            (60, 0.4),
        ] {
            kept.push(store.take(step, metric, &weights(step as f32)).unwrap());
            thin(&mut kept, 2);
            store
                .keep_only(&kept.iter().map(|snapshot| snapshot.step).collect())
                .unwrap();
        }
        assert_eq!(steps(last(&kept, 2)), [60, 50]);
        assert_eq!(steps(best(&kept, 2)), [20, 30]);
        assert_eq!(fs::read_dir(&store.dir).unwrap().count(), 4);
        assert_eq!(store.mean(last(&kept, 2)).unwrap(), weights(55.0));
        assert_eq!(store.mean(best(&kept, 2)).unwrap(), weights(25.0));
        // One that was changed on the disk is not averaged.
        fs::write(store.path(20), weights(21.0)).unwrap();
        let error = store.mean(best(&kept, 2)).unwrap_err();
        assert!(error.to_string().contains("step-00000020"), "{error}");
    }
}
