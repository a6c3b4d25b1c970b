//! Making the multilingual corpus: the embedded one's sentences in other languages, spoken by espeak-ng, beside the
//! English of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sandhi_corpus::{Corpus, Cut, LANGUAGES, Manifest, speaking_variant};
use sandhi_text::{NormalizeConfig, normalize};

use super::card::{self, Card, SplitCard};
use super::synthesize::{SEED, in_parallel, refuse_full};
use super::{check_multilingual, espeak, speech};

/// How long dev and test are in English, in minutes, unless train is shorter.
const DEV: f64 = 2.0;
const TEST: f64 = 4.0;

/// The splits of each language.
const SPLITS: [&str; 3] = ["train", "dev", "test"];

/// One utterance to be made from its English.
struct Order<'a> {
    language: &'a str,
    split: &'static str,
    english: &'a Cut,
}

/// Writes the multilingual corpus to a new folder: English and the languages asked for, with the same sentences.
pub(super) fn make(mini: &Path, languages: Vec<String>, minutes: f64, out: &Path) -> anyhow::Result<()> {
    let asked_for = |language: &&str| *language == "en" || languages.iter().any(|it| it == language);
    let languages: Vec<&str> = LANGUAGES.into_iter().filter(asked_for).collect();
    let made_with = espeak::version(&languages)?;
    refuse_full(out)?;
    let corpus = sandhi_corpus::mini(mini)?;
    let splits = choose(&corpus, minutes)?;
    let mut orders = Vec::new();
    for &language in &languages {
        for (split, cuts) in SPLITS.into_iter().zip(splits) {
            let folder = out.join(language).join("audio").join(split);
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            orders.extend(cuts.iter().map(|english| Order {
                language,
                split,
                english,
            }));
        }
    }
    let cuts = utter_all(&orders, &corpus, out)?;
    let mut files = write_text(&corpus, &languages, out)?;
    let mut cards = BTreeMap::new();
    for &language in &languages {
        for split in SPLITS {
            let made = orders.iter().zip(&cuts);
            let own = made.filter(|(order, _)| order.language == language && order.split == split);
            let manifest = Manifest {
                cuts: own.map(|(_, cut)| cut.clone()).collect(),
            };
            let name = format!("{language}/{split}.jsonl");
            manifest.write(&out.join(&name))?;
            files.push(name);
            cards.insert(format!("{split}-{language}"), SplitCard::of(&manifest.cuts));
        }
    }
    let audio = cuts
        .iter()
        .map(|cut| Ok(cut.audio.strip_prefix(out)?.to_path_buf()));
    let card = Card {
        name: "mini-multilingual".into(),
        title: "Synthetic speech in several languages: sentences of the embedded corpus, and its English of them".into(),
        source: "made here: `cargo xtask data synthesize mini --lang ..`; sentences and English from the embedded \
                 corpus, other speech and all pronunciations by espeak-ng"
            .into(),
        licence: "sentences and English MIT OR Apache-2.0; espeak-ng is GPL-3.0-or-later and its speech has recorded \
                  consonants mixed in, so it is made by each user and not distributed"
            .into(),
        notes: "Clean synthetic speech of few voices: good for comparing methods, not for claims about real speech. \
                The variants f4 and m4 are in the tests alone; in English the voice rms is."
            .into(),
        sample_rate: speech::SAMPLE_RATE,
        languages: languages.iter().map(ToString::to_string).collect(),
        seed: Some(SEED),
        made_with: vec![made_with],
        dev_speakers: Vec::new(),
        splits: cards,
        files: files
            .into_iter()
            .map(|name| card::sha256_file(&out.join(&name)).map(|hash| (name, hash)))
            .collect::<anyhow::Result<_>>()?,
        audio: card::audio(out, audio.collect::<anyhow::Result<_>>()?)?,
    };
    std::fs::write(out.join("card.toml"), toml::to_string(&card)?)
        .with_context(|| out.display().to_string())?;
    check_multilingual::check(out)
}

/// The first English utterances of train, dev and test-common that take so long together. All languages have their
/// sentences, so none is in one split in one language and in another split in another.
fn choose(corpus: &Corpus, minutes: f64) -> anyhow::Result<[&[Cut]; 3]> {
    let test = corpus.tests.iter().find(|(name, _)| name == "test-common");
    let test = test.map_or(&[][..], |(_, cuts)| cuts);
    let there = (corpus.train.iter().map(|cut| cut.duration).sum::<f64>() / 60.0).ceil();
    ensure!(
        minutes > 0.0 && minutes <= there,
        "--minutes: expected more than 0 and at most {there}, which the embedded corpus has, got {minutes}"
    );
    Ok([
        first(&corpus.train, minutes),
        first(&corpus.dev, DEV.min(minutes)),
        first(test, TEST.min(minutes)),
    ])
}

/// The first cuts that take so long together.
fn first(cuts: &[Cut], minutes: f64) -> &[Cut] {
    let mut seconds = 0.0;
    let count = cuts
        .iter()
        .take_while(|cut| {
            let before = seconds;
            seconds += cut.duration;
            before < 60.0 * minutes
        })
        .count();
    &cuts[..count]
}

fn utter_all(orders: &[Order], corpus: &Corpus, out: &Path) -> anyhow::Result<Vec<Cut>> {
    let scratch = out.join(".scratch");
    std::fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let cuts = in_parallel("speech", orders, |worker, order| {
        let wav = scratch.join(format!("{worker}.wav"));
        let made = match order.language {
            "en" => copy(order, out),
            _ => speak(order, corpus, out, &wav),
        };
        made.with_context(|| format!("utterance {} in {}", order.english.id, order.language))
    });
    std::fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    cuts
}

impl Order<'_> {
    fn id(&self) -> String {
        format!("{}-{}", self.language, self.english.id)
    }

    fn audio(&self, out: &Path, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", self.id());
        out.join(self.language).join("audio").join(self.split).join(name)
    }
}

/// The English as it is, but for the phones' times: their names are not those of the lexicon here.
fn copy(order: &Order, out: &Path) -> anyhow::Result<Cut> {
    let audio = order.audio(out, "mp3");
    std::fs::copy(&order.english.audio, &audio).with_context(|| audio.display().to_string())?;
    Ok(Cut {
        id: order.id(),
        audio,
        phones: Vec::new(),
        ..order.english.clone()
    })
}

fn speak(order: &Order, corpus: &Corpus, out: &Path, wav: &Path) -> anyhow::Result<Cut> {
    let (id, sentence) = (order.id(), order.english.sentence);
    let written = corpus
        .translations
        .get(order.language)
        .and_then(|sentences| sentences.get(&sentence))
        .with_context(|| format!("sentence {sentence} has no text"))?;
    let (speaker, synthesis) = speaking_variant(SEED, order.language, &id, order.split == "test");
    let waveform = espeak::speak(written, &synthesis, wav)?;
    // Not packed: what one program made needs no second one, and nobody has to store it.
    let audio = order.audio(out, "wav");
    speech::write_wav(&waveform, &audio)?;
    Ok(Cut {
        id,
        audio,
        duration: waveform.duration(),
        num_samples: waveform.samples.len() as u64,
        sample_rate: waveform.sample_rate,
        speaker,
        language: order.language.to_string(),
        text: transcript(written),
        sentence,
        low_resource: order.english.low_resource,
        synthesis: Some(synthesis),
        ..Cut::default()
    })
}

/// What is said, of what is written.
pub(super) fn transcript(written: &str) -> String {
    normalize(written, &NormalizeConfig::default())
}

/// Writes each language's sentences and the pronunciation of every word in them, and returns the files' names.
fn write_text(corpus: &Corpus, languages: &[&str], out: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for &language in languages {
        let (mut text, mut words) = (String::new(), BTreeSet::new());
        for (number, written) in corpus.translations.get(language).into_iter().flatten() {
            text.push_str(&format!("{number}\t{written}\n"));
            words.extend(transcript(written).split(' ').map(str::to_string));
        }
        let lexicon = espeak::lexicon(language, &words)?;
        let lexicon = lexicon
            .iter()
            .map(|(word, phones)| format!("{word}\t{}\n", phones.join(" ")))
            .collect();
        for (name, content) in [("text.tsv", text), ("lexicon.tsv", lexicon)] {
            let name = format!("{language}/{name}");
            std::fs::write(out.join(&name), content).with_context(|| name.clone())?;
            files.push(name);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Corpus {
        sandhi_corpus::mini(&super::super::manifests().join("mini")).unwrap()
    }

    #[test]
    fn choose_takes_as_long_as_asked_for() {
        let corpus = corpus();
        let minutes = |cuts: &[Cut]| cuts.iter().map(|cut| cut.duration).sum::<f64>() / 60.0;
        let splits = choose(&corpus, 15.0).unwrap().map(minutes);
        for (got, expected) in splits.into_iter().zip([15.0, DEV, TEST]) {
            assert!((expected..expected + 0.1).contains(&got), "{got} for {expected}");
        }
        choose(&corpus, 60.0).unwrap();
        let tiny = choose(&corpus, 0.1).unwrap().map(minutes);
        assert!(tiny.iter().all(|minutes| *minutes < 0.2), "{tiny:?}");
    }

    #[test]
    fn choose_refuses_what_is_not_there() {
        for minutes in [0.0, -1.0, f64::NAN, 61.0] {
            let error = choose(&corpus(), minutes).unwrap_err().to_string();
            assert!(error.contains("--minutes: expected"), "{error}");
        }
    }

    #[test]
    fn transcripts_keep_accents_and_apostrophes() {
        assert_eq!(transcript("¿Está el niño aquí?"), "está el niño aquí");
        assert_eq!(transcript("L'été, où est-il ?"), "l'été où est il");
    }
}
