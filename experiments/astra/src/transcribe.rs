//! Transcribing files with a trained run.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use sandhi_audio::{Fbank, Waveform};
use sandhi_model::JointModel;
use sandhi_nn::Params;
use sandhi_text::TextFrontend;

use crate::config::Config;
use crate::data::features;
use crate::evaluate::{recognise, single};
use crate::experiment::{FRONTEND, WEIGHTS, build};

/// Prints one line per file: its path, a tab, the transcript. A file that cannot be read is reported and the others go
/// on; the command then fails at the end. A beam replaces the run's own.
pub(crate) fn transcribe(run: &Path, beam: Option<NonZeroUsize>, files: &[PathBuf]) -> Result<()> {
    let (mut config, frontend, model) = load(run)?;
    config.beam = beam.or(config.beam);
    let fbank = Fbank::new(&config.fbank)?;
    let mut failed = 0;
    for file in files {
        let text = || -> Result<String> {
            // The errors of reading name the file themselves.
            let waveform = Waveform::read_at(file, config.fbank.sample_rate)?;
            let recognised = features(&waveform, &fbank)
                .and_then(|features| recognise(&config, &model, &single(&features)?))
                .with_context(|| file.display().to_string())?;
            Ok(frontend.decode(&recognised[0].labels)?)
        };
        match text() {
            Ok(text) => writeln!(std::io::stdout(), "{}\t{text}", file.display())?,
            Err(error) => {
                failed += 1;
                writeln!(std::io::stderr(), "error: {error:#}")?;
            }
        }
    }
    anyhow::ensure!(
        failed == 0,
        "{failed} of {} files could not be transcribed",
        files.len()
    );
    Ok(())
}

fn load(run: &Path) -> Result<(Config, TextFrontend, JointModel)> {
    let path = run.join("config.toml");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "{} is not a run directory: cannot read {}",
            run.display(),
            path.display()
        )
    })?;
    let config: Config = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let frontend = TextFrontend::load(run.join(FRONTEND))?;
    let params = Params::seeded(0, DType::F32, &Device::Cpu);
    let model = build(&config, frontend.vocab_size(), frontend.specials().blank, &params)?;
    let weights = run.join(WEIGHTS);
    params
        .load(&weights)
        .with_context(|| format!("{}: is the run finished?", weights.display()))?;
    Ok((config, frontend, model))
}
