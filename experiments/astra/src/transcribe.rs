//! Transcribing files with a trained run.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sandhi_audio::{Fbank, Waveform};

use crate::data::features;
use crate::evaluate::{recognise, single};
use crate::export::Recogniser;

/// Prints one line per file: its path, a tab, the transcript. A file that cannot be read is reported and the others go
/// on; the command then fails at the end. A beam replaces the run's own.
pub(crate) fn transcribe(run: &Path, beam: Option<NonZeroUsize>, files: &[PathBuf]) -> Result<()> {
    let Recogniser {
        mut config,
        frontend,
        model,
    } = Recogniser::open(run)?;
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
