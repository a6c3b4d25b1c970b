//! Making the embedded corpus: sentences from the grammar, speech from flite, MP3 from lame.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use sandhi_corpus::{
    Cut, HELD_OUT_SPEAKERS, Interval, LANGUAGES, Manifest, MiniSizes, MiniText, Parallel, SEEN_SPEAKERS,
    mini_text, rare_words, speaking, unpaired_text,
};

use super::align::words_of_phones;
use super::card::{self, Card, SplitCard};
use super::speech;

/// The seed of the embedded corpus. Another one makes another corpus.
pub(super) const SEED: u64 = 20_240_606;

const SIZES: MiniSizes = MiniSizes {
    train: 1320,
    dev: 100,
    test_common: 160,
    test_rare: 160,
};

/// How long the low-resource subset is, in seconds.
const LOW_RESOURCE: f64 = 22.0 * 60.0;

/// How many sentences of unpaired text the lexicon is made to cover.
const LEXICON_SENTENCES: usize = 100_000;

/// Dearer alignments of phones with words than this, per word, mean that the words are not what was said.
const MAX_COST_PER_WORD: u32 = 4;

type Lexicon = BTreeMap<String, Vec<String>>;

/// One utterance to be spoken.
struct Order<'a> {
    id: String,
    split: &'static str,
    sentence: u32,
    text: &'a Parallel,
}

/// The sentences of the embedded corpus.
pub(super) fn text() -> MiniText {
    mini_text(SEED, SIZES)
}

/// Writes the embedded corpus to a new folder.
pub(super) fn mini(out: &Path) -> anyhow::Result<()> {
    let voices: BTreeSet<&str> = SEEN_SPEAKERS
        .iter()
        .chain(&HELD_OUT_SPEAKERS)
        .map(|speaker| speaker.voice)
        .collect();
    let made_with = speech::versions(&voices.into_iter().collect::<Vec<_>>())?;
    refuse_full(out)?;
    let text = text();
    let splits = [
        ("train", &text.train),
        ("dev", &text.dev),
        ("test-common", &text.test_common),
        ("test-rare", &text.test_rare),
    ];
    for (name, sentences) in splits {
        std::fs::create_dir_all(out.join("audio").join(name)).with_context(|| out.display().to_string())?;
        ensure!(!sentences.is_empty(), "the grammar gave no sentence for {name}");
    }
    let numbered = splits.iter().flat_map(|(split, sentences)| {
        sentences
            .iter()
            .enumerate()
            .map(move |(index, text)| (*split, format!("{split}-{index:04}"), text))
    });
    let orders: Vec<Order> = numbered
        .zip(0..)
        .map(|((split, id, text), sentence)| Order {
            id,
            split,
            sentence,
            text,
        })
        .collect();

    let lexicon = lexicon(&orders)?;
    let mut cuts = speak_all(&orders, &lexicon, out)?;
    let mut seconds = 0.0;
    for cut in cuts.iter_mut().filter(|cut| cut.id.starts_with("train")) {
        cut.low_resource = seconds < LOW_RESOURCE;
        seconds += cut.duration;
    }

    let mut files = Vec::new();
    let mut write = |name: String, content: String| {
        let path = out.join(&name);
        files.push(name);
        std::fs::write(&path, content).with_context(|| path.display().to_string())
    };
    for language in LANGUAGES {
        let lines = orders.iter().map(|order| {
            format!(
                "{}\t{}\n",
                order.sentence,
                order.text.text(language).unwrap_or_default()
            )
        });
        write(format!("text.{language}.tsv"), lines.collect())?;
    }
    write(
        "lexicon.tsv".into(),
        lexicon
            .iter()
            .map(|(word, phones)| format!("{word}\t{}\n", phones.join(" ")))
            .collect(),
    )?;
    write(
        "rare-words.txt".into(),
        rare_words().iter().map(|word| format!("{word}\n")).collect(),
    )?;
    let mut cards = BTreeMap::new();
    for (name, _) in splits {
        let prefix = format!("{name}-");
        let own = |cut: &&Cut| {
            cut.id
                .strip_prefix(&prefix)
                .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let manifest = Manifest {
            cuts: cuts.iter().filter(own).cloned().collect(),
        };
        manifest.write(&out.join(format!("{name}.jsonl")))?;
        files.push(format!("{name}.jsonl"));
        cards.insert(name.to_string(), SplitCard::of(&manifest.cuts));
    }
    let audio: Vec<PathBuf> = orders
        .iter()
        .map(|order| PathBuf::from(format!("audio/{}/{}.mp3", order.split, order.id)))
        .collect();
    let card = Card {
        name: "mini".into(),
        title: "Embedded corpus: synthetic English speech, sentences in English, German, Spanish and French".into(),
        source: "made here: `cargo xtask data synthesize mini`; sentences from the grammar in crates/corpus, speech by flite".into(),
        licence: "MIT OR Apache-2.0".into(),
        notes: "Clean synthetic speech of few voices: good for comparing methods, not for claims about real speech. \
                The voice rms is in the tests alone."
            .into(),
        sample_rate: speech::SAMPLE_RATE,
        languages: LANGUAGES.map(str::to_string).to_vec(),
        seed: Some(SEED),
        made_with,
        dev_speakers: Vec::new(),
        splits: cards,
        files: files
            .into_iter()
            .map(|name| card::sha256_file(&out.join(&name)).map(|hash| (name, hash)))
            .collect::<anyhow::Result<_>>()?,
        audio: card::audio(out, audio)?,
    };
    std::fs::write(out.join("card.toml"), toml::to_string(&card)?)
        .with_context(|| out.display().to_string())?;
    super::check::mini(out)
}

/// What is there is never written over.
pub(super) fn refuse_full(out: &Path) -> anyhow::Result<()> {
    if out.is_dir() {
        let mut entries = std::fs::read_dir(out).with_context(|| out.display().to_string())?;
        ensure!(
            entries.next().is_none(),
            "{} is not empty: give another folder with --out",
            out.display()
        );
    }
    Ok(())
}

/// The pronunciation of every word that is spoken, or that unpaired text may have.
fn lexicon(orders: &[Order]) -> anyhow::Result<Lexicon> {
    let mut words: BTreeSet<String> = rare_words().into_iter().collect();
    let unpaired = unpaired_text(SEED, LEXICON_SENTENCES, &HashSet::new());
    let spoken = orders.iter().map(|order| order.text.transcript());
    words.extend(
        spoken
            .chain(unpaired)
            .flat_map(|text| text.split(' ').map(str::to_string).collect::<Vec<_>>()),
    );
    let words: Vec<String> = words.into_iter().collect();
    let phones = in_parallel("lexicon", &words, |_, word| {
        let phones = speech::phones(word)?;
        ensure!(!phones.is_empty(), "flite has no phones for {word:?}");
        Ok(phones)
    })?;
    Ok(words.into_iter().zip(phones).collect())
}

fn speak_all(orders: &[Order], lexicon: &Lexicon, out: &Path) -> anyhow::Result<Vec<Cut>> {
    let scratch = out.join(".scratch");
    std::fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    let cuts = in_parallel("speech", orders, |worker, order| {
        let wav = scratch.join(format!("{worker}.wav"));
        speak_one(order, lexicon, out, &wav).with_context(|| format!("utterance {}", order.id))
    });
    std::fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
    cuts
}

fn speak_one(order: &Order, lexicon: &Lexicon, out: &Path, wav: &Path) -> anyhow::Result<Cut> {
    let (speaker, synthesis) = speaking(SEED, &order.id, order.split.starts_with("test"));
    let spoken = speech::speak(&order.text.en, &synthesis, wav)?;
    let audio = out
        .join("audio")
        .join(order.split)
        .join(format!("{}.mp3", order.id));
    speech::pack(&spoken.waveform, wav, &audio)?;
    let text = order.text.transcript();
    Ok(Cut {
        id: order.id.clone(),
        audio,
        start: 0.0,
        duration: spoken.waveform.duration(),
        num_samples: spoken.waveform.samples.len() as u64,
        sample_rate: spoken.waveform.sample_rate,
        speaker: speaker.name.to_string(),
        language: "en".to_string(),
        sentence: order.sentence,
        words: word_times(&text, &spoken.phones, lexicon)?,
        text,
        phones: spoken.phones,
        low_resource: false,
        synthesis: Some(synthesis),
    })
}

/// The times of the words, from those of their phones.
fn word_times(text: &str, phones: &[Interval], lexicon: &Lexicon) -> anyhow::Result<Vec<Interval>> {
    let words: Vec<&str> = text.split(' ').collect();
    let pronunciations: Vec<&[String]> = words
        .iter()
        .map(|word| {
            lexicon
                .get(*word)
                .map(Vec::as_slice)
                .with_context(|| format!("{word:?} has no pronunciation"))
        })
        .collect::<anyhow::Result<_>>()?;
    let names: Vec<&str> = phones.iter().map(|phone| phone.text.as_str()).collect();
    let (owner, cost) = words_of_phones(&names, &pronunciations);
    ensure!(
        cost <= MAX_COST_PER_WORD * words.len() as u32,
        "{names:?} is not how {text:?} sounds (cost {cost})"
    );
    let times = words.iter().enumerate().map(|(index, word)| {
        let own: Vec<&Interval> = phones
            .iter()
            .zip(&owner)
            .filter(|(_, owner)| **owner == Some(index))
            .map(|(phone, _)| phone)
            .collect();
        let (first, last) = own
            .first()
            .zip(own.last())
            .with_context(|| format!("{word:?} has no phone in {names:?}"))?;
        Ok(Interval {
            text: (*word).to_string(),
            start: first.start,
            end: last.end,
        })
    });
    times.collect()
}

/// Does the work on all cores, in the order of the items. The work is told which worker does it.
pub(super) fn in_parallel<T: Sync, R: Send>(
    what: &'static str,
    items: &[T],
    work: impl Fn(usize, &T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let style = ProgressStyle::with_template("{msg:<10} {bar:40} {pos}/{len} {eta}")?;
    let bar = ProgressBar::new(items.len() as u64)
        .with_style(style)
        .with_message(what);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new((0..items.len()).map(|_| None).collect());
    let failure: Mutex<Option<(usize, anyhow::Error)>> = Mutex::new(None);
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, done, failure, bar, work) = (&next, &done, &failure, &bar, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    match work(worker, item) {
                        Ok(result) => {
                            if let Ok(mut done) = done.lock() {
                                done[index] = Some(result);
                            }
                        }
                        Err(error) => {
                            // The others stop after the item they are at.
                            next.store(items.len(), Ordering::Relaxed);
                            if let Ok(mut failure) = failure.lock() {
                                let earlier = failure.as_ref().is_some_and(|(first, _)| *first < index);
                                if !earlier {
                                    *failure = Some((index, error));
                                }
                            }
                            return;
                        }
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Ok(Some((_, error))) = failure.into_inner() {
        return Err(error);
    }
    let done = done.into_inner().unwrap_or_default();
    let count = items.len();
    let results: Vec<R> = done.into_iter().flatten().collect();
    ensure!(
        results.len() == count,
        "{what}: {} of {count} items were done",
        results.len()
    );
    Ok(results)
}
