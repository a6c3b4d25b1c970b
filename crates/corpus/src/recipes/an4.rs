//! CMU AN4 in the layout of its WAV distribution: `etc/*.fileids`, `etc/*.transcription`, `wav/`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use crate::cut::Cut;
use crate::random::rank;
use crate::{Corpus, Error, Result, text_file, wav_header};

/// How many of the training speakers are held out as the development set, which AN4 does not have.
const DEV_SPEAKERS: usize = 8;

/// The seed of the held-out speakers and of the low-resource subset. Part of the corpus' definition here.
const SEED: u64 = 4;

/// Reads AN4 from its own layout.
///
/// The transcripts are lower-cased and stripped of `<s>` and `</s>`. `dev` is eight of the training speakers, chosen
/// by hash of their names; `tests` is `[("test", ..)]`; `low_resource` is a quarter of what is left of train, from
/// every speaker. Durations come from the WAV headers; the lexicon is the first pronunciation of `etc/an4.dic`.
///
/// # Errors
///
/// [`Error::NotFound`] for a file of the layout that is missing; [`Error::Line`] for a transcript that does not
/// belong to its file id; [`Error::WavHeader`] for audio that is not whole; [`Error::DuplicateId`].
pub fn an4(root: &Path) -> Result<Corpus> {
    if !root.is_dir() {
        return Err(Error::NotFound {
            what: "AN4 folder",
            path: root.to_path_buf(),
        });
    }
    let (mut all, mut test) = (split(root, "train")?, split(root, "test")?);
    number_sentences(all.iter_mut().chain(&mut test));

    let speakers: BTreeSet<&str> = all.iter().map(|cut| cut.speaker.as_str()).collect();
    let mut speakers: Vec<String> = speakers.into_iter().map(str::to_string).collect();
    speakers.sort_by_key(|speaker| rank(SEED, "an4 dev speaker", speaker));
    speakers.truncate(DEV_SPEAKERS);
    let (dev, mut train): (Vec<Cut>, Vec<Cut>) =
        all.into_iter().partition(|cut| speakers.contains(&cut.speaker));

    mark_low_resource(&mut train);
    let low_resource = train.iter().filter(|cut| cut.low_resource).cloned().collect();
    Ok(Corpus {
        name: "an4",
        train,
        dev,
        tests: vec![("test".to_string(), test)],
        low_resource,
        lexicons: BTreeMap::from([("en".to_string(), lexicon(&root.join("etc/an4.dic"))?)]),
        rare_words: Vec::new(),
        translations: BTreeMap::new(),
    })
}

/// One split, in the order of its file ids.
fn split(root: &Path, name: &str) -> Result<Vec<Cut>> {
    let ids_path = root.join(format!("etc/an4_{name}.fileids"));
    let text_path = root.join(format!("etc/an4_{name}.transcription"));
    let ids = text_file::read("AN4 file ids", &ids_path)?;
    let texts = text_file::read("AN4 transcription", &text_path)?;
    let (ids, texts): (Vec<&str>, Vec<&str>) = (ids.lines().collect(), texts.lines().collect());
    let wrong = |line: usize, what: String| Error::Line {
        path: text_path.clone(),
        line,
        what,
    };
    if ids.len() != texts.len() {
        let line = ids.len().min(texts.len()) + 1;
        return Err(wrong(
            line,
            format!(
                "expected {} transcripts, one per file id, got {}",
                ids.len(),
                texts.len()
            ),
        ));
    }
    let mut first_use = HashMap::new();
    let mut cuts = Vec::with_capacity(ids.len());
    for (index, (file_id, line)) in ids.iter().zip(&texts).enumerate() {
        let file_id = file_id.trim();
        let mut parts = file_id.rsplit('/');
        let (id, speaker) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if id.is_empty() || speaker.is_empty() {
            let what = format!("expected <set>/<speaker>/<utterance>, got {file_id:?}");
            return Err(Error::Line {
                path: ids_path,
                line: index + 1,
                what,
            });
        }
        let words = line.trim_end().strip_suffix(&format!("({id})")).ok_or_else(|| {
            wrong(
                index + 1,
                format!("expected a transcript ending in ({id}), got {line:?}"),
            )
        })?;
        let words = words
            .split_whitespace()
            .filter(|word| !matches!(*word, "<s>" | "</s>" | "<sil>"));
        let text = words.map(str::to_lowercase).collect::<Vec<_>>().join(" ");
        if let Some(first) = first_use.insert(id, index + 1) {
            return Err(Error::DuplicateId {
                path: ids_path,
                line: index + 1,
                id: id.to_string(),
                first,
            });
        }
        let audio = root.join("wav").join(format!("{file_id}.wav"));
        let header = wav_header::read(&audio)?;
        cuts.push(Cut {
            id: id.to_string(),
            audio,
            duration: header.num_samples as f64 / f64::from(header.sample_rate),
            num_samples: header.num_samples,
            sample_rate: header.sample_rate,
            speaker: speaker.to_string(),
            language: "en".to_string(),
            text,
            ..Cut::default()
        });
    }
    if cuts.is_empty() {
        return Err(Error::Empty { path: ids_path });
    }
    Ok(cuts)
}

/// Gives equal transcripts one number: the rank among all distinct transcripts.
fn number_sentences<'a>(cuts: impl Iterator<Item = &'a mut Cut>) {
    let mut cuts: Vec<&mut Cut> = cuts.collect();
    let distinct: BTreeSet<String> = cuts.iter().map(|cut| cut.text.clone()).collect();
    let numbers: HashMap<&str, u32> = distinct.iter().map(String::as_str).zip(0..).collect();
    for cut in &mut cuts {
        cut.sentence = numbers[cut.text.as_str()];
    }
}

/// Marks a quarter of each speaker's cuts, rounded to the nearest but at least one.
fn mark_low_resource(train: &mut [Cut]) {
    let mut by_speaker: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, cut) in train.iter().enumerate() {
        by_speaker.entry(cut.speaker.clone()).or_default().push(index);
    }
    for mut indices in by_speaker.into_values() {
        indices.sort_by_key(|&index| rank(SEED, "an4 low resource", &train[index].id));
        let count = ((indices.len() + 2) / 4).max(1);
        for &index in &indices[..count] {
            train[index].low_resource = true;
        }
    }
}

/// The first pronunciation of each word of a Sphinx dictionary; `WORD(2)` are alternatives.
fn lexicon(path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let text = text_file::read("AN4 dictionary", path)?;
    let mut lexicon = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let mut fields = line.split_whitespace();
        let Some(word) = fields.next() else { continue };
        if word.ends_with(')') {
            continue;
        }
        let phones: Vec<String> = fields.map(str::to_lowercase).collect();
        if phones.is_empty() {
            let what = format!("expected a word and its phones, got {line:?}");
            return Err(Error::Line {
                path: path.to_path_buf(),
                line: index + 1,
                what,
            });
        }
        lexicon.insert(word.to_lowercase(), phones);
    }
    Ok(lexicon)
}
