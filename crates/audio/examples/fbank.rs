//! Writes the log-mel features of an audio file, for comparison with other toolkits.
//!
//! ```sh
//! cargo run --release -p sandhi-audio --example fbank -- IN.wav OUT.safetensors
//! ```

use std::path::Path;

use anyhow::{Context, Result, bail};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use sandhi_audio::{Fbank, FbankConfig, Waveform};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        bail!("usage: fbank IN.wav OUT.safetensors (wav, flac, mp3 or ogg vorbis at 16 kHz)");
    };
    let config = FbankConfig::kaldi();
    let input = Path::new(input);
    let waveform = Waveform::read_at(input, config.sample_rate)?;
    let features = Fbank::new(&config)?
        .compute(&waveform)
        .with_context(|| format!("cannot compute features of {}", input.display()))?;
    let bytes: Vec<u8> = features.values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![features.num_frames, features.num_bins], &bytes)?;
    let output = Path::new(output);
    serialize_to_file([("features", view)], None, output)
        .with_context(|| format!("cannot write {}", output.display()))?;
    Ok(())
}
