//! Checking the multilingual corpus against its card, which lies with it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{bail, ensure};
use sandhi_corpus::{Corpus, Cut, HELD_OUT_SPEAKERS, HELD_OUT_VARIANTS, multilingual};

use super::card::Card;
use super::check::{check_audio, check_files, check_splits, say};
use super::multilingual::transcript;

/// The cuts of each language's splits by the name in the card: `train-de`.
type Splits = BTreeMap<String, Vec<Cut>>;

/// Checks the multilingual corpus.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let card = Card::read(&root.join("card.toml"))?;
    check_files(&card, root)?;
    let languages: Vec<&str> = card.languages.iter().map(String::as_str).collect();
    let corpus = multilingual(root, &languages)?;
    let splits = splits(&corpus);
    let by_name = splits
        .iter()
        .map(|(name, cuts)| (name.as_str(), &cuts[..]))
        .collect();
    check_splits(&card, &by_name)?;
    check_audio(&card, root, &splits.values().flatten().collect::<Vec<_>>())?;
    check_leaks(&splits)?;
    splits
        .values()
        .flatten()
        .try_for_each(|cut| check_text(&corpus, cut))?;
    say("mini-multilingual", &card)
}

fn splits(corpus: &Corpus) -> Splits {
    let mut splits: Splits = corpus.tests.iter().cloned().collect();
    for (name, cuts) in [("train", &corpus.train), ("dev", &corpus.dev)] {
        for cut in cuts {
            let own = splits.entry(format!("{name}-{}", cut.language)).or_default();
            own.push(cut.clone());
        }
    }
    splits
}

/// No id twice; no sentence in two splits, in whatever language, by its number or by a transcript; no voice of the
/// tests elsewhere.
fn check_leaks(splits: &Splits) -> anyhow::Result<()> {
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    let mut sentences: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (name, cuts) in splits {
        let split = name.split('-').next().unwrap_or_default();
        for cut in cuts {
            if let Some(other) = ids.insert(&cut.id, name) {
                bail!("id {} is in {name} and in {other}", cut.id);
            }
            ensure!(
                name.ends_with(&format!("-{}", cut.language)),
                "{}: is in {}, but in the split {name}",
                cut.id,
                cut.language
            );
            for key in [
                format!("sentence {}", cut.sentence),
                format!("{} text {:?}", cut.language, cut.text),
            ] {
                let (first, id) = *sentences.entry(key.clone()).or_insert((split, &cut.id));
                ensure!(
                    first == split,
                    "{key} is in {split} ({}) and in {first} ({id})",
                    cut.id
                );
            }
            ensure!(
                split == "test" || !is_held_out(&cut.speaker),
                "the held-out speaker {} speaks {}",
                cut.speaker,
                cut.id
            );
        }
    }
    Ok(())
}

fn is_held_out(speaker: &str) -> bool {
    let variant = speaker.split_once('-').map_or("", |(_, variant)| variant);
    HELD_OUT_VARIANTS.contains(&variant) || HELD_OUT_SPEAKERS.iter().any(|it| it.name == speaker)
}

/// The transcript is what is written, and all its words have a pronunciation in its language.
fn check_text(corpus: &Corpus, cut: &Cut) -> anyhow::Result<()> {
    let written = corpus
        .translations
        .get(&cut.language)
        .and_then(|sentences| sentences.get(&cut.sentence));
    let expected = written.map(|written| transcript(written));
    ensure!(
        expected.as_deref() == Some(&cut.text),
        "{}: expected the transcript of sentence {}, {expected:?}, got {:?}",
        cut.id,
        cut.sentence,
        cut.text
    );
    let lexicon = corpus.lexicons.get(&cut.language);
    for word in cut.text.split(' ') {
        ensure!(
            lexicon.is_some_and(|lexicon| lexicon.contains_key(word)),
            "{}: {word:?} is not in the lexicon of {}",
            cut.id,
            cut.language
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(language: &str, split: &str, sentence: u32) -> Cut {
        Cut {
            id: format!("{language}-{split}-{sentence}"),
            language: language.to_string(),
            speaker: format!("{language}-f1"),
            text: format!("sentence {sentence}"),
            sentence,
            ..Cut::default()
        }
    }

    fn good() -> Splits {
        let mut splits = Splits::new();
        for language in ["de", "en"] {
            for (sentence, split) in [(0, "train"), (1, "dev"), (2, "test")] {
                let cuts = vec![cut(language, split, sentence)];
                splits.insert(format!("{split}-{language}"), cuts);
            }
        }
        splits
    }

    #[track_caller]
    fn refuses(change: impl Fn(&mut Splits), what: &str) {
        let mut splits = good();
        change(&mut splits);
        let message = check_leaks(&splits).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }

    #[test]
    fn check_refuses_leaks_between_languages() {
        check_leaks(&good()).unwrap();
        let to = |name: &'static str, cut: Cut| {
            move |splits: &mut Splits| splits.entry(name.to_string()).or_default().push(cut.clone())
        };
        refuses(to("train-de", cut("de", "more", 2)), "sentence 2 is in");
        refuses(to("dev-de", cut("de", "train", 0)), "id de-train-0 is in");
        refuses(to("dev-de", cut("en", "more", 1)), "but in the split dev-de");
        let same_text = Cut {
            text: "sentence 2".to_string(),
            ..cut("de", "more", 9)
        };
        refuses(to("train-de", same_text), "de text \"sentence 2\" is in");
        for speaker in ["de-m4", "rms-1"] {
            let by = Cut {
                speaker: speaker.to_string(),
                ..cut("de", "more", 9)
            };
            refuses(to("train-de", by), "the held-out speaker");
        }
    }
}
