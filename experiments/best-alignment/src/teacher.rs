//! Self-training: speech without transcripts, as a model hears it that was trained without them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use sandhi_lab::{Run, Setting, write_atomic};
use sandhi_recipe::{Data, Recipe, decode};

use crate::config::Config;
use crate::experiment::{BestAlignment, learn};

/// The stage's directory below the run's.
const STAGE: &str = "teacher";
/// What it leaves there: texts by utterance.
const HEARD: &str = "heard.json";

/// What a teacher, the same arm without self-training, hears in all of the training speech; trains it first, unless that was
/// done already.
pub(crate) fn heard(config: &Config, setting: &Setting, run: &mut Run) -> Result<BTreeMap<String, String>> {
    let path = run.dir().join(STAGE).join(HEARD);
    if !path.exists() {
        let mut stage = run.stage(STAGE)?;
        match teach(config, setting, &mut stage) {
            Ok(texts) => write_atomic(&path, &serde_json::to_vec(&texts)?)?,
            Err(error) => {
                return Err(match error.downcast_ref() {
                    // The stage was asked to stop, so the run is.
                    Some(sandhi_train::Error::Interrupted { step }) => run.interrupt(*step).into(),
                    _ => error,
                });
            }
        }
        stage.done()?;
    }
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))
}

fn teach(config: &Config, setting: &Setting, stage: &mut Run) -> Result<BTreeMap<String, String>> {
    let data = Arc::new(Data::load(&config.data(), setting, stage)?);
    let model = learn(config, &data, stage)?;
    let decoding = config.decoding();
    let recognise = |features: &_| BestAlignment::recognise(&model, features, &decoding);
    let hypotheses = decode(&data.speech, &decoding, &recognise)?;
    let texts = data.speech.iter().zip(hypotheses).map(|(utterance, hypothesis)| {
        let text = data.frontends.labels.decode(&hypothesis.labels)?;
        Ok((utterance.cut.id.clone(), text.trim().to_owned()))
    });
    texts.collect()
}
