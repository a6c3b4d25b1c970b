use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much is spent on a run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// About a minute on a laptop: does everything connect? Run in CI; says nothing about a claim.
    Smoke,
    /// Minutes to tens of minutes on two cores: the default.
    Mini,
    /// The published setting, as far as the data allows.
    Paper,
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smoke => "smoke",
            Self::Mini => "mini",
            Self::Paper => "paper",
        })
    }
}

/// Where an experiment is carried out: how much is spent, on which corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The budget.
    pub scale: Scale,
    /// The corpus, one of [`Experiment::corpora`](crate::Experiment::corpora).
    pub corpus: String,
    /// The directory of a corpus that is not embedded, in the layout it is published in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_root: Option<PathBuf>,
}

impl Setting {
    /// The corpus that is embedded in the repository, and the default.
    pub const EMBEDDED: &'static str = "mini";

    /// A setting on the embedded corpus.
    pub fn embedded(scale: Scale) -> Self {
        Self {
            scale,
            corpus: Self::EMBEDDED.to_owned(),
            data_root: None,
        }
    }

    /// The directory of this setting under `runs/<paper>/` and `reports/<paper>/`: `mini`, `an4-mini`.
    pub fn name(&self) -> String {
        if self.corpus == Self::EMBEDDED {
            self.scale.to_string()
        } else {
            format!("{}-{}", self.corpus, self.scale)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_name_tells_corpora_and_scales_apart() {
        assert_eq!(Setting::embedded(Scale::Smoke).name(), "smoke");
        let an4 = Setting {
            scale: Scale::Mini,
            corpus: "an4".to_owned(),
            data_root: None,
        };
        assert_eq!(an4.name(), "an4-mini");
    }
}
