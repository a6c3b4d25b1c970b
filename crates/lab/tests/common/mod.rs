//! A tree of runs that nobody made, for the report to be tried on: four arms, all kinds of verdicts, one arm missing.

use std::f64::consts::PI;
use std::fs;
use std::path::Path;

use sandhi_lab::report::{Alignment, TimedWord};
use sandhi_lab::{Plan, Run, Scale, Setting};
use serde_json::json;

/// Name, question, default, share of words misheard on common words, on rare words; `None` for an arm that was not run.
type Arm = (&'static str, &'static str, bool, Option<(f64, f64)>);
const ARMS: [Arm; 5] = [
    (
        "rnnt",
        "paired speech only: does the text help at all?",
        true,
        Some((0.22, 0.47)),
    ),
    (
        "text",
        "text injection without consistency",
        true,
        Some((0.20, 0.36)),
    ),
    (
        "upsampled",
        "fixed repetition, the JOIST baseline",
        true,
        Some((0.20, 0.31)),
    ),
    (
        "astra",
        "expected cost under the transducer's alignments",
        true,
        None,
    ),
    (
        "astra-held",
        "unknown: does gradient reach the alignment?",
        false,
        None,
    ),
];

/// A plan as an experiment would print it.
pub(crate) fn plan(scale: Scale) -> Plan {
    let arms: Vec<_> = ARMS
        .iter()
        .map(|(name, why, default, _)| {
            json!({
                "name": name, "why": why, "default": default, "changes": [],
                "config": format!("arm = \"{name}\"\n"), "config_hash": hash(name),
            })
        })
        .collect();
    let matches = |statement: &str, better: &str, worse: &str, margin: f64| json!({"source": "abstract", "statement": statement, "metric": "test-rare/wer", "better": better, "worse": worse, "margin": margin});
    let claim = |statement: &str, metric: &str, better: &str, worse: &str| json!({"source": "Section 4.2", "statement": statement, "metric": metric, "better": better, "worse": worse});
    serde_json::from_value(json!({
        "reference": {
            "key": "astra",
            "title": "ASTRA: Aligning Speech and Text Representations for ASR without Sampling",
            "authors": "Neeraj Gaur, Rohan Agrawal, Gary Wang, Parisa Haghani, Andrew Rosenberg, Bhuvana Ramabhadran",
            "venue": "Interspeech 2024",
            "arxiv": "2406.06664",
            "bibtex": "@inproceedings{gaur2024astra,\n  title = {{ASTRA}: Aligning Speech and Text},\n  year = {2024}\n}",
        },
        "setting": Setting::embedded(scale),
        "corpora": ["mini", "an4"],
        "arms": arms,
        "claims": [
            claim("Unpaired text lowers the error rate on words that no paired utterance has", "test-rare/wer", "text", "rnnt"),
            claim("Fixed repetition is better than text without consistency", "test-common/wer", "upsampled", "text"),
            claim("Paired speech alone does better on rare words than fixed repetition", "test-rare/wer", "rnnt", "upsampled"),
            matches("Text within twenty points of repetition", "text", "upsampled", 20.0),
            matches("No text within a point of repetition", "rnnt", "upsampled", 1.0),
            claim("`astra` needs no repetition of labels and is better than `upsampled`", "test-rare/wer", "astra", "upsampled"),
        ],
        "ablations": [
            {"name": "repetition", "question": "what does text add, and what does repeating it?",
             "arms": ["text", "rnnt", "upsampled", "astra", "astra-held"], "metrics": []},
            {"name": "gradient", "question": "does gradient reach the alignment?",
             "arms": ["astra", "astra-held"], "metrics": ["test-rare/wer"]},
            {"name": "orphans", "question": "what if the reference of a group was not run?",
             "arms": ["astra", "text", "upsampled"], "metrics": ["test-rare/wer", "test-rare/cer"]},
        ],
        "departures": [
            {"what": "A model of 2 M parameters instead of 600 M", "why": "two cores and minutes; the presets of the paper's size are there"},
        ],
        "unknowns": [
            {"what": "Whether gradient reaches the alignment", "reading": "it does; `astra-held` is the other reading"},
        ],
    }))
    .unwrap()
}

/// Makes the runs of the plan under `runs`, complete ones with `seeds` seeds.
pub(crate) fn runs(runs: &Path, scale: Scale, seeds: u64) {
    for (index, (name, _, _, rates)) in ARMS.iter().enumerate() {
        let Some((common, rare)) = rates else { continue };
        for seed in 0..seeds {
            let dir = runs
                .join("astra")
                .join(Setting::embedded(scale).name())
                .join(name)
                .join(format!("seed-{seed}"));
            one(&dir, index as u64, name, seed, *common, *rare);
        }
    }
    let killed = runs
        .join("astra")
        .join(Setting::embedded(scale).name())
        .join("astra/seed-0");
    let run = Run::at(&killed, 0).unwrap();
    drop(run);
    rewrite(&killed, "astra", "failed");
}

fn one(dir: &Path, index: u64, arm: &str, seed: u64, common: f64, rare: f64) {
    let mut run = Run::at(dir, seed).unwrap();
    for step in (10..=1500).step_by(10) {
        let x = step as f64 / 1500.0;
        let wobble = 1.0 + 0.12 * (uniform(index, seed, step) - 0.5);
        let speech = (90.0 * (-6.0 * x).exp() + 2.0 + 6.0 * common) * wobble;
        let mut values = vec![("loss", speech), ("rnnt/speech", speech), ("lr", 1e-3)];
        if arm != "rnnt" {
            let text = (60.0 * (-7.0 * x).exp() + 1.5) * wobble;
            values[0].1 += 0.3 * text;
            values.push(("rnnt/text", text));
        }
        run.log(step, "train", &values).unwrap();
        if step % 150 == 0 {
            let wer = 100.0 * (common + 0.8 * (-5.0 * x).exp()) * wobble;
            run.log(step, "dev", &[("wer", wer)]).unwrap();
        }
    }
    for (split, rate, count) in [("test-common", common, 160), ("test-rare", rare, 120)] {
        run.start_split(split).unwrap();
        for utterance in 0..count {
            let (said, heard) = utterance_of(index, seed, utterance, rate);
            run.utterance(split, &format!("{split}-{utterance:04}"), &said, &heard)
                .unwrap();
        }
    }
    run.artifact(Alignment::FILE, &alignment(arm, index)).unwrap();
    run.set("parameters", 1_943_552 + 120_000 * u64::from(arm != "rnnt"))
        .unwrap();
    run.set("corpus_hash", "5f0c9e1b6a").unwrap();
    drop(run);
    rewrite(dir, arm, "done");
}

/// Puts the identity of a reproduced run in place of a scratch run's, with facts that do not change.
fn rewrite(dir: &Path, arm: &str, status: &str) {
    let path = dir.join("run.toml");
    let mut table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    let mut set = |key: &str, value: toml::Value| table.insert(key.to_owned(), value);
    for (key, value) in [
        ("paper", "astra"),
        ("setting", "mini"),
        ("arm", arm),
        ("status", status),
    ] {
        set(key, value.into());
    }
    set("scale", "mini".into());
    set("config_hash", hash(arm).into());
    set("wall_seconds", 312.5.into());
    set("started", "2026-01-02T03:04:05Z".into());
    set("ended", "2026-01-02T03:09:17Z".into());
    set("command", "astra run".into());
    if status == "done" {
        set("error", "".into());
    } else {
        set(
            "error",
            "utterance fake-17: loss rnnt/speech is not finite".into(),
        );
    }
    if status == "done" {
        table.remove("error");
    }
    table.insert(
        "code".to_owned(),
        toml::Table::from_iter([
            ("version".to_owned(), "0.1.0".into()),
            (
                "git_commit".to_owned(),
                "0123456789abcdef0123456789abcdef01234567".into(),
            ),
            ("git_dirty".to_owned(), false.into()),
            ("rustc".to_owned(), "rustc 1.95.0".into()),
            ("candle".to_owned(), "0.11.1".into()),
        ])
        .into(),
    );
    table.insert(
        "machine".to_owned(),
        toml::Table::from_iter([
            ("cpu".to_owned(), "A processor".into()),
            ("cores".to_owned(), 2.into()),
            ("memory_gib".to_owned(), 15.6.into()),
            ("system".to_owned(), "linux x86_64".into()),
        ])
        .into(),
    );
    fs::write(&path, toml::to_string(&table).unwrap()).unwrap();
    fs::write(dir.join("config.toml"), format!("arm = \"{arm}\"\n")).unwrap();
    fs::remove_file(dir.join("lock")).unwrap();
}

fn hash(arm: &str) -> String {
    sandhi_lab::config_hash(&toml::Table::from_iter([(
        "arm".to_owned(),
        toml::Value::from(arm),
    )]))
    .unwrap()
}

const WORDS: [&str; 24] = [
    "the", "train", "to", "hamburg", "leaves", "at", "seven", "please", "turn", "on", "kitchen", "lights",
    "my", "sister", "bought", "three", "green", "apples", "and", "a", "small", "lantern", "for", "winter",
];

fn utterance_of(arm: u64, seed: u64, utterance: u64, rate: f64) -> (String, String) {
    let length = 4 + (uniform(99, 0, utterance) * 7.0) as u64;
    let mut said = Vec::new();
    let mut heard = Vec::new();
    for place in 0..length {
        let key = utterance * 100 + place;
        let word = WORDS[(uniform(7, 1, key) * WORDS.len() as f64) as usize];
        said.push(word);
        // Most errors are those of the utterance, not of the arm: what is hard is hard for all.
        let draw = if place % 3 == 0 {
            uniform(arm + 20, seed, key)
        } else {
            uniform(50, 0, key)
        };
        if draw >= rate {
            heard.push(word);
        } else if draw < rate * 0.7 {
            heard.push(WORDS[(uniform(60, seed, key) * WORDS.len() as f64) as usize]);
        } else if draw < rate * 0.85 {
            heard.extend([word, "and"]);
        }
    }
    (said.join(" "), heard.join(" "))
}

fn alignment(arm: &str, index: u64) -> Alignment {
    let text = "turn on the kitchen lights";
    let tokens: Vec<String> = text.chars().map(|character| character.to_string()).collect();
    let (features, frames) = (236usize, 59usize);
    let spans = [
        ("turn", 0.22, 0.55),
        ("on", 0.55, 0.74),
        ("the", 0.74, 0.9),
        ("kitchen", 0.9, 1.45),
        ("lights", 1.5, 2.05),
    ];
    let words = spans.iter().map(|(text, start, end)| TimedWord {
        text: (*text).to_owned(),
        start: *start,
        end: *end,
    });
    let mel = (0..features)
        .map(|frame| {
            let seconds = frame as f64 * 0.01;
            let voiced = spans
                .iter()
                .any(|(_, start, end)| (*start..*end).contains(&seconds));
            let bins = (0..80).map(|bin| {
                let pitch = (bin as f64 / 6.0 + (seconds * 5.0).sin()).cos() * 2.0;
                let formant =
                    4.0 * (-((bin as f64 - 26.0 - 16.0 * (seconds * 4.0).sin()) / 9.0).powi(2)).exp();
                let noise = uniform(3, frame as u64, bin) * 1.5;
                (if voiced { 6.0 + pitch + formant } else { 1.0 } + noise) as f32
            });
            bins.collect()
        })
        .collect();
    let width = [2.6, 1.6, 1.3, 0.8, 0.9][index as usize % 5];
    let gamma = (0..frames)
        .map(|t| {
            let row = (0..tokens.len()).map(|u| {
                let centre = 6.5 + u as f64 * 1.72 + (u as f64 * 0.9).sin();
                let z = (t as f64 - centre) / width;
                ((-0.5 * z * z).exp() / (width * (2.0 * PI).sqrt())) as f32
            });
            row.collect()
        })
        .collect();
    Alignment {
        id: "dev-0007".to_owned(),
        text: text.to_owned(),
        arm: arm.to_owned(),
        tokens,
        frame_seconds: 0.04,
        first_frame_seconds: Some(0.0425),
        feature_frame_seconds: 0.01,
        mel,
        gamma,
        words: words.collect(),
        hypothesis: if arm == "rnnt" {
            "turn on a kitchen light"
        } else {
            text
        }
        .to_owned(),
    }
}

/// A number in 0..1 that is a function of its arguments (splitmix64).
fn uniform(a: u64, b: u64, c: u64) -> f64 {
    let mut z = a.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ b.wrapping_mul(0xd1b5_4a32_d192_ed03)
        ^ c.wrapping_mul(0x8cb9_2ba7_2f3d_8dd7);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}
