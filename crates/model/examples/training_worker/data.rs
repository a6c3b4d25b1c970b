//! From samples to a batch of features: filterbank, normalisation, SpecAugment, padding.

use anyhow::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sandhi_audio::{
    Fbank, FbankConfig, Features, SpecAugmentConfig, Waveform, normalize_utterance, spec_augment,
};
use sandhi_core::Padded;

use crate::inputs::Inputs;
use crate::protocol::{Found, Work};

const MASKS: SpecAugmentConfig = SpecAugmentConfig {
    time_masks: 2,
    max_time: 25,
    max_time_fraction: 0.1,
    freq_masks: 2,
    max_freq: 15,
};

pub(crate) struct Data {
    fbank: Fbank,
    waveforms: Vec<Waveform>,
    step: u64,
    batch: Option<Padded>,
}

impl Data {
    pub(crate) fn new(inputs: &Inputs) -> Result<Self> {
        let config = FbankConfig::kaldi();
        let rows = inputs.get("samples")?.to_vec2::<f32>()?;
        let lengths = inputs.lengths("sample_lengths")?;
        let waveform = |(row, &n): (&Vec<f32>, &usize)| Waveform {
            samples: row[..n].to_vec(),
            sample_rate: config.sample_rate,
        };
        Ok(Self {
            waveforms: rows.iter().zip(lengths.as_slice()).map(waveform).collect(),
            fbank: Fbank::new(&config)?,
            step: 0,
            batch: None,
        })
    }

    fn batch(&self, masked: bool) -> Result<Padded> {
        let one = |(index, waveform): (usize, &Waveform)| -> Result<Vec<f32>> {
            let mut features: Features = self.fbank.compute(waveform)?;
            normalize_utterance(&mut features);
            if masked {
                let seed = sandhi_nn::random::subkey(self.step, index as u64);
                spec_augment(&mut features, &MASKS, seed);
            }
            Ok(features.values)
        };
        let rows: Vec<Vec<f32>> = self
            .waveforms
            .par_iter()
            .enumerate()
            .map(one)
            .collect::<Result<_>>()?;
        let bins = self.fbank.config().num_bins;
        Ok(Padded::from_rows(&rows, bins, &Device::Cpu)?)
    }

    /// Without masks. The losses are the lengths.
    pub(crate) fn features(&self) -> Result<Found> {
        let batch = self.batch(false)?;
        let lengths: Vec<f64> = batch.lengths().as_slice().iter().map(|&n| n as f64).collect();
        Ok(Found {
            loss: Tensor::new(lengths, &Device::Cpu)?,
            gradients: vec![("features".to_owned(), batch.values().clone())],
        })
    }
}

impl Work for Data {
    fn call(&mut self) -> Result<()> {
        self.step += 1;
        self.batch = Some(self.batch(true)?);
        Ok(())
    }

    fn found(&mut self) -> Result<Option<Found>> {
        Ok(Some(self.features()?))
    }

    fn release(&mut self) {
        self.batch = None;
    }
}
