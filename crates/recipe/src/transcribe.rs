//! Transcribing files with a trained run.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sandhi_audio::{Fbank, Waveform};

use crate::decoding::Decoding;
use crate::export::Recogniser;
use crate::recipe::Recipe;
use crate::utterance::{features, single};

/// Prints one line per file: its path, a tab, the transcript. A file that cannot be read is reported and the others go
/// on; the command then fails at the end. A beam replaces the run's own.
pub(crate) fn transcribe<R: Recipe>(run: &Path, beam: Option<NonZeroUsize>, files: &[PathBuf]) -> Result<()> {
    let recogniser = Recogniser::<R>::open(run)?;
    let configured = R::decoding(&recogniser.config);
    let decoding = Decoding {
        beam: beam.or(configured.beam),
        ..configured
    };
    let options = R::data(&recogniser.config).fbank;
    let fbank = Fbank::new(&options)?;
    let mut failed = 0;
    for file in files {
        let text = || -> Result<String> {
            // The errors of reading name the file themselves.
            let waveform = Waveform::read_at(file, options.sample_rate)?;
            let recognised = features(&waveform, &fbank, &recogniser.frontends)
                .and_then(|features| R::recognise(&recogniser.network, &single(&features)?, &decoding))
                .with_context(|| file.display().to_string())?;
            Ok(recogniser.frontends.labels.decode(&recognised[0].labels)?)
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
