//! The manifest: one cut per line, as JSON.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cut::{Cut, Interval, Synthesis};
use crate::{Error, Result, text_file};

/// The cuts of one split.
///
/// On disk a manifest is UTF-8 JSONL, one cut per line. `audio` is relative to the manifest's folder; words and
/// phones are arrays `[text, start, end]` in seconds from the cut's start. An unknown key is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// In file order.
    pub cuts: Vec<Cut>,
}

/// A cut as it stands in the file. Apart from [`Cut`] so that the file's shape does not freeze the type.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: String,
    audio: PathBuf,
    #[serde(default)]
    start: f64,
    duration: f64,
    num_samples: u64,
    sample_rate: u32,
    speaker: String,
    language: String,
    text: String,
    sentence: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    low_resource: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    synthesis: Option<SynthesisRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    words: Vec<(String, f64, f64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    phones: Vec<(String, f64, f64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SynthesisRecord {
    voice: String,
    formant: f64,
    stretch: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f0_mean: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f0_stddev: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pitch: Option<u32>,
    peak_db: f64,
}

impl Manifest {
    /// Reads a JSONL manifest and resolves the audio paths against its folder.
    ///
    /// # Errors
    ///
    /// Every error names the file, and the line where there is one: [`Error::NotFound`], [`Error::ByteOrderMark`],
    /// [`Error::Utf8`], [`Error::Json`], [`Error::DuplicateId`], [`Error::MissingAudio`], [`Error::Duration`],
    /// [`Error::Line`] for other values that cannot be, [`Error::Empty`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = text_file::read("manifest", path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut first_use = HashMap::new();
        let mut cuts = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            if line.trim().is_empty() {
                continue;
            }
            let record: Record = serde_json::from_str(line).map_err(|source| Error::Json {
                path: path.to_path_buf(),
                line: line_number,
                source,
            })?;
            let cut = record.into_cut(folder);
            check(&cut, path, line_number)?;
            if let Some(first) = first_use.insert(cut.id.clone(), line_number) {
                return Err(Error::DuplicateId {
                    path: path.to_path_buf(),
                    line: line_number,
                    id: cut.id,
                    first,
                });
            }
            cuts.push(cut);
        }
        if cuts.is_empty() {
            return Err(Error::Empty {
                path: path.to_path_buf(),
            });
        }
        Ok(Self { cuts })
    }

    /// Writes the manifest, audio paths relative to its folder where they lie below it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut out = Vec::new();
        for (index, cut) in self.cuts.iter().enumerate() {
            let json =
                serde_json::to_string(&Record::from_cut(cut, folder)).map_err(|source| Error::Json {
                    path: path.to_path_buf(),
                    line: index + 1,
                    source,
                })?;
            out.extend_from_slice(json.as_bytes());
            out.push(b'\n');
        }
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        std::fs::File::create(path)
            .and_then(|mut file| file.write_all(&out))
            .map_err(io)
    }

    /// The sum of the durations, in seconds.
    pub fn seconds(&self) -> f64 {
        self.cuts.iter().map(|cut| cut.duration).sum()
    }
}

/// The values of one cut that JSON alone cannot refuse.
fn check(cut: &Cut, path: &Path, line: usize) -> Result<()> {
    let valid = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
    if !valid(cut.start) || !valid(cut.duration) || cut.duration == 0.0 {
        return Err(Error::Duration {
            path: path.to_path_buf(),
            line,
            id: cut.id.clone(),
            start: cut.start,
            duration: cut.duration,
        });
    }
    let wrong = |what: String| {
        Err(Error::Line {
            path: path.to_path_buf(),
            line,
            what,
        })
    };
    let id = &cut.id;
    if id.is_empty() {
        return wrong("expected a non-empty id".to_string());
    }
    if cut.sample_rate == 0 {
        return wrong(format!("cut {id:?}: sample_rate is 0, expected a rate in hertz"));
    }
    let seconds = cut.num_samples as f64 / f64::from(cut.sample_rate);
    if (seconds - cut.duration).abs() > 1e-3 {
        return wrong(format!(
            "cut {id:?}: {} samples at {} Hz are {seconds} s, but duration is {} s",
            cut.num_samples, cut.sample_rate, cut.duration
        ));
    }
    for interval in cut.words.iter().chain(&cut.phones) {
        let Interval { text, start, end } = interval;
        if !valid(*start) || !valid(*end) || end < start || *end > cut.duration + 1e-3 {
            return wrong(format!(
                "cut {id:?}: {text:?} from {start} to {end} s, expected 0 <= start <= end <= {}",
                cut.duration
            ));
        }
    }
    if !cut.audio.is_file() {
        return Err(Error::MissingAudio {
            path: path.to_path_buf(),
            line,
            id: cut.id.clone(),
            audio: cut.audio.clone(),
        });
    }
    Ok(())
}

impl Record {
    fn into_cut(self, folder: &Path) -> Cut {
        let intervals = |triples: Vec<(String, f64, f64)>| {
            triples
                .into_iter()
                .map(|(text, start, end)| Interval { text, start, end })
                .collect()
        };
        Cut {
            id: self.id,
            audio: folder.join(self.audio),
            start: self.start,
            duration: self.duration,
            num_samples: self.num_samples,
            sample_rate: self.sample_rate,
            speaker: self.speaker,
            language: self.language,
            text: self.text,
            sentence: self.sentence,
            words: intervals(self.words),
            phones: intervals(self.phones),
            low_resource: self.low_resource,
            synthesis: self.synthesis.map(|record| Synthesis {
                voice: record.voice,
                formant: record.formant,
                stretch: record.stretch,
                f0_mean: record.f0_mean,
                f0_stddev: record.f0_stddev,
                pitch: record.pitch,
                peak_db: record.peak_db,
            }),
        }
    }

    fn from_cut(cut: &Cut, folder: &Path) -> Self {
        let triples = |intervals: &[Interval]| {
            intervals
                .iter()
                .map(|interval| (interval.text.clone(), interval.start, interval.end))
                .collect()
        };
        Self {
            id: cut.id.clone(),
            audio: cut.audio.strip_prefix(folder).unwrap_or(&cut.audio).to_path_buf(),
            start: cut.start,
            duration: cut.duration,
            num_samples: cut.num_samples,
            sample_rate: cut.sample_rate,
            speaker: cut.speaker.clone(),
            language: cut.language.clone(),
            text: cut.text.clone(),
            sentence: cut.sentence,
            low_resource: cut.low_resource,
            synthesis: cut.synthesis.as_ref().map(|synthesis| SynthesisRecord {
                voice: synthesis.voice.clone(),
                formant: synthesis.formant,
                stretch: synthesis.stretch,
                f0_mean: synthesis.f0_mean,
                f0_stddev: synthesis.f0_stddev,
                pitch: synthesis.pitch,
                peak_db: synthesis.peak_db,
            }),
            words: triples(&cut.words),
            phones: triples(&cut.phones),
        }
    }
}
