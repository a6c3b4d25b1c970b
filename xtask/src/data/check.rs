//! Checking a corpus against its card.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sandhi_audio::Waveform;
use sandhi_corpus::{Corpus, Cut, HELD_OUT_SPEAKERS, unpaired_text};

use super::card::{self, Card, SplitCard};
use super::synthesize::{self, in_parallel};

/// How many sentences of unpaired text must have every rare word.
const UNPAIRED: usize = 20_000;

/// The bounds of the low-resource subset, in minutes.
const LOW_RESOURCE: std::ops::RangeInclusive<f64> = 20.0..=25.0;

/// Checks the embedded corpus.
pub(super) fn mini(root: &Path) -> anyhow::Result<()> {
    let card = Card::read(&root.join("card.toml"))?;
    check_files(&card, root)?;
    let corpus = sandhi_corpus::mini(root)?;
    let mut splits: BTreeMap<&str, &[Cut]> =
        BTreeMap::from([("train", &corpus.train[..]), ("dev", &corpus.dev)]);
    splits.extend(corpus.tests.iter().map(|(name, cuts)| (name.as_str(), &cuts[..])));
    check_splits(&card, &splits)?;
    let all: Vec<&Cut> = splits.values().copied().flatten().collect();
    check_audio(&card, root, &all)?;
    check_text(&corpus, &splits)?;
    check_rare_words(&corpus)?;
    check_origin(&corpus)?;
    all.iter()
        .try_for_each(|cut| check_times(cut).with_context(|| format!("cut {}", cut.id)))?;
    say("mini", &card)
}

/// Checks AN4 in a user's folder.
pub(super) fn an4(card: &Path, root: &Path) -> anyhow::Result<()> {
    let card = Card::read(card)?;
    let corpus = sandhi_corpus::an4(root)?;
    check_files(&card, root)?;
    let mut splits: BTreeMap<&str, &[Cut]> =
        BTreeMap::from([("train", &corpus.train[..]), ("dev", &corpus.dev)]);
    splits.extend(corpus.tests.iter().map(|(name, cuts)| (name.as_str(), &cuts[..])));
    check_splits(&card, &splits)?;
    let speakers: BTreeSet<&str> = corpus.dev.iter().map(|cut| cut.speaker.as_str()).collect();
    ensure!(
        speakers
            .iter()
            .copied()
            .eq(card.dev_speakers.iter().map(String::as_str)),
        "dev speakers: expected {:?}, got {speakers:?}",
        card.dev_speakers
    );
    let elsewhere = |cut: &&Cut| speakers.contains(cut.speaker.as_str());
    let mut others = corpus
        .train
        .iter()
        .chain(corpus.tests.iter().flat_map(|(_, cuts)| cuts));
    if let Some(cut) = others.find(elsewhere) {
        bail!("dev speaker {} speaks {} of another split", cut.speaker, cut.id);
    }
    let all: Vec<&Cut> = splits.values().copied().flatten().collect();
    check_audio(&card, root, &all)?;
    say("an4", &card)
}

pub(super) fn say(name: &str, card: &Card) -> anyhow::Result<()> {
    let (utterances, hours) = (card.utterances(), card.seconds() / 3600.0);
    Ok(writeln!(
        std::io::stdout().lock(),
        "{name}: ok, {utterances} utterances, {hours:.2} hours, as its card says"
    )?)
}

/// The text files are those of the card.
pub(super) fn check_files(card: &Card, root: &Path) -> anyhow::Result<()> {
    for (name, expected) in &card.files {
        let got = card::sha256_file(&root.join(name))?;
        ensure!(got == *expected, "{name}: expected SHA-256 {expected}, got {got}");
    }
    Ok(())
}

pub(super) fn check_splits(card: &Card, splits: &BTreeMap<&str, &[Cut]>) -> anyhow::Result<()> {
    let names: Vec<&str> = card.splits.keys().map(String::as_str).collect();
    ensure!(
        names.iter().copied().eq(splits.keys().copied()),
        "splits: the card has {names:?}, the corpus {:?}",
        splits.keys()
    );
    for (name, cuts) in splits {
        let (expected, got) = (&card.splits[*name], SplitCard::of(cuts));
        ensure!(*expected == got, "{name}: expected {expected:?}, got {got:?}");
    }
    Ok(())
}

/// Every file decodes to what its cut says, and all files together are those of the card.
pub(super) fn check_audio(card: &Card, root: &Path, cuts: &[&Cut]) -> anyhow::Result<()> {
    in_parallel("audio", cuts, |_, cut| {
        let waveform = Waveform::read_at(&cut.audio, card.sample_rate)?;
        let (expected, got) = (cut.num_samples, waveform.samples.len() as u64);
        ensure!(
            expected == got,
            "{}: expected {expected} samples, got {got}",
            cut.audio.display()
        );
        ensure!(
            cut.sample_rate == card.sample_rate,
            "{}: expected {} Hz, got {}",
            cut.id,
            card.sample_rate,
            cut.sample_rate
        );
        Ok(())
    })?;
    let paths: BTreeSet<PathBuf> = cuts
        .iter()
        .map(|cut| Ok(cut.audio.strip_prefix(root)?.to_path_buf()))
        .collect::<anyhow::Result<_>>()?;
    let got = card::audio(root, paths.into_iter().collect())?;
    ensure!(got == card.audio, "audio: expected {:?}, got {got:?}", card.audio);
    Ok(())
}

fn check_text(corpus: &Corpus, splits: &BTreeMap<&str, &[Cut]>) -> anyhow::Result<()> {
    // No sentence, by number or by transcript, and no id in two splits.
    let mut seen: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (name, cuts) in splits {
        for cut in *cuts {
            for key in [
                format!("id {}", cut.id),
                format!("sentence {}", cut.sentence),
                format!("text {}", cut.text),
            ] {
                if let Some((split, id)) = seen.insert(key.clone(), (name, &cut.id)) {
                    bail!("{key} is in {name} ({}) and in {split} ({id})", cut.id);
                }
            }
            ensure!(
                cut.text
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'\'' | b' ')),
                "{}: expected words of a-z and the apostrophe, got {:?}",
                cut.id,
                cut.text
            );
            for (language, sentences) in &corpus.translations {
                ensure!(
                    sentences.contains_key(&cut.sentence),
                    "{}: sentence {} has no text in {language}",
                    cut.id,
                    cut.sentence
                );
            }
            for word in cut.text.split(' ') {
                ensure!(
                    corpus.lexicons["en"].contains_key(word),
                    "{}: {word:?} is not in the lexicon",
                    cut.id
                );
            }
        }
    }
    let held_out = |cut: &&Cut| {
        HELD_OUT_SPEAKERS
            .iter()
            .any(|speaker| speaker.name == cut.speaker)
    };
    if let Some(cut) = corpus.train.iter().chain(&corpus.dev).find(held_out) {
        bail!("the held-out speaker {} speaks {}", cut.speaker, cut.id);
    }
    let minutes = corpus.low_resource.iter().map(|cut| cut.duration).sum::<f64>() / 60.0;
    ensure!(
        LOW_RESOURCE.contains(&minutes),
        "low-resource subset: expected {LOW_RESOURCE:?} minutes, got {minutes:.1}"
    );
    let words = |cuts: &[Cut]| -> BTreeSet<String> {
        cuts.iter()
            .flat_map(|cut| cut.text.split(' '))
            .map(str::to_string)
            .collect()
    };
    let missing: Vec<String> = words(&corpus.train)
        .difference(&words(&corpus.low_resource))
        .cloned()
        .collect();
    ensure!(missing.is_empty(), "the low-resource subset lacks {missing:?}");
    Ok(())
}

fn check_rare_words(corpus: &Corpus) -> anyhow::Result<()> {
    let rare: HashSet<&str> = corpus.rare_words.iter().map(String::as_str).collect();
    let is_rare = |word: &&str| rare.contains(word.strip_suffix("'s").unwrap_or(word));
    for cut in corpus.train.iter().chain(&corpus.dev) {
        if let Some(word) = cut.text.split(' ').find(is_rare) {
            bail!("{}: the rare word {word:?} is in paired text", cut.id);
        }
    }
    let rare_tests = corpus
        .tests
        .iter()
        .filter(|(name, _)| name == "test-rare")
        .flat_map(|(_, cuts)| cuts);
    for cut in rare_tests {
        ensure!(
            cut.text.split(' ').any(|word| is_rare(&word)),
            "{}: no rare word in {:?}",
            cut.id,
            cut.text
        );
    }
    let unpaired = unpaired_text(0, UNPAIRED, &corpus.held_out_text());
    let written: HashSet<&str> = unpaired.iter().flat_map(|text| text.split(' ')).collect();
    let missing: Vec<&&str> = rare.iter().filter(|word| !written.contains(**word)).collect();
    ensure!(
        missing.is_empty(),
        "{UNPAIRED} sentences of unpaired text lack {missing:?}"
    );
    Ok(())
}

/// The grammar still makes these sentences from the corpus' seed.
fn check_origin(corpus: &Corpus) -> anyhow::Result<()> {
    let text = synthesize::text();
    let sentences = [&text.train, &text.dev, &text.test_common, &text.test_rare];
    for (language, written) in &corpus.translations {
        let made = sentences
            .iter()
            .flat_map(|split| split.iter())
            .map(|it| it.text(language).unwrap_or_default());
        let differs = made.zip(written).find(|(made, (_, written))| made != written);
        if let Some((made, (number, written))) = differs {
            bail!("sentence {number} in {language}: the grammar makes {made:?}, the corpus has {written:?}");
        }
    }
    Ok(())
}

/// Words and phones are in order, without overlap, inside the utterance, and the words are the transcript.
fn check_times(cut: &Cut) -> anyhow::Result<()> {
    let text = cut
        .words
        .iter()
        .map(|word| word.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    ensure!(
        text == cut.text,
        "words {text:?} are not the transcript {:?}",
        cut.text
    );
    for intervals in [&cut.words, &cut.phones] {
        let mut before = 0.0;
        for it in intervals {
            ensure!(
                before <= it.start && it.start < it.end && it.end <= cut.duration + 1e-4,
                "{:?} is from {} to {} s, expected after {before} and before {}",
                it.text,
                it.start,
                it.end,
                cut.duration
            );
            before = it.end;
        }
    }
    // Every word begins and ends where phones do.
    for word in &cut.words {
        let begins = cut.phones.iter().any(|phone| phone.start == word.start);
        let ends = cut.phones.iter().any(|phone| phone.end == word.end);
        ensure!(
            begins && ends,
            "{:?} from {} to {} s does not begin and end with phones",
            word.text,
            word.start,
            word.end
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Corpus {
        sandhi_corpus::mini(&super::super::manifests().join("mini")).unwrap()
    }

    fn text_of(corpus: &Corpus) -> anyhow::Result<()> {
        let mut splits: BTreeMap<&str, &[Cut]> =
            BTreeMap::from([("train", &corpus.train[..]), ("dev", &corpus.dev)]);
        splits.extend(corpus.tests.iter().map(|(name, cuts)| (name.as_str(), &cuts[..])));
        check_text(corpus, &splits)
    }

    #[track_caller]
    fn refuses(result: anyhow::Result<()>, what: &str) {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }

    #[test]
    fn check_accepts_the_embedded_text_and_times() {
        let corpus = corpus();
        text_of(&corpus).unwrap();
        let tests = corpus.tests.iter().flat_map(|(_, cuts)| cuts);
        corpus
            .train
            .iter()
            .chain(&corpus.dev)
            .chain(tests)
            .try_for_each(check_times)
            .unwrap();
    }

    #[test]
    fn check_refuses_what_is_in_two_splits() {
        let mut corpus = corpus();
        corpus.dev[3].sentence = corpus.train[9].sentence;
        refuses(text_of(&corpus), "is in train");
        let mut corpus = super::tests::corpus();
        corpus.tests[1].1[0].text = corpus.tests[0].1[0].text.clone();
        refuses(text_of(&corpus), "is in test-rare");
    }

    #[test]
    fn check_refuses_voices_and_words_out_of_place() {
        let mut corpus = corpus();
        corpus.train[5].speaker = "rms-1".to_string();
        refuses(text_of(&corpus), "the held-out speaker rms-1 speaks train-0005");
        let mut corpus = super::tests::corpus();
        corpus.low_resource.truncate(300);
        refuses(text_of(&corpus), "low-resource subset");
        let mut corpus = super::tests::corpus();
        corpus.train[5].text = "nina's hand hurts".to_string();
        refuses(check_rare_words(&corpus), "the rare word \"nina's\"");
    }

    #[test]
    fn check_refuses_times_that_cannot_be() {
        let good = corpus().train[0].clone();
        let mut cut = good.clone();
        cut.words[1].start = cut.words[0].end - 0.01;
        refuses(check_times(&cut), "expected after");
        let mut cut = good.clone();
        cut.words.pop();
        refuses(check_times(&cut), "are not the transcript");
        let mut cut = good.clone();
        cut.words[0].start += 0.005;
        refuses(check_times(&cut), "does not begin and end with phones");
        let mut cut = good;
        if let Some(phone) = cut.phones.last_mut() {
            phone.end = cut.duration + 0.01;
        }
        refuses(check_times(&cut), "before");
    }

    #[test]
    fn check_refuses_audio_of_another_length_or_content() {
        let root = super::super::manifests().join("mini");
        let corpus = corpus();
        let mut card = Card::read(&root.join("card.toml")).unwrap();
        let mut cut = corpus.dev[0].clone();
        cut.num_samples += 1;
        refuses(check_audio(&card, &root, &[&cut]), "samples, got");
        card.audio = card::audio(&root, vec!["audio/dev/dev-0000.mp3".into()]).unwrap();
        check_audio(&card, &root, &[&corpus.dev[0]]).unwrap();
        refuses(check_audio(&card, &root, &[&corpus.dev[1]]), "audio: expected");
        card.sample_rate = 8000;
        refuses(check_audio(&card, &root, &[&corpus.dev[0]]), "8000");
    }
}
