//! A complete experiment without a model: a recognizer that mishears words at a given rate.
//!
//! `cargo run -p sandhi-lab --example noisy_channel -- run --arm quiet` makes a run in seconds. The tests of the
//! runner use it, because it can be told to be slow (`--set pause_ms=20`) and to fail (`--set fail_at=3`).

use std::time::Duration;

use clap::Parser;
use sandhi_lab::{
    Ablation, Arm, Claim, Command, Departure, Experiment, Reference, Run, Scale, Setting, Unknown,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Probability that a word is misheard.
    noise: f64,
    steps: u64,
    utterances: u64,
    pause_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fail_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interrupt_at: Option<u64>,
}

struct NoisyChannel;

impl Experiment for NoisyChannel {
    type Config = Config;
    const REFERENCE: Reference = Reference {
        key: "noisy-channel",
        title: "A Mathematical Theory of Communication",
        authors: "C. E. Shannon",
        venue: "Bell System Technical Journal 1948",
        arxiv: "",
        bibtex: "@article{shannon1948, title = {A Mathematical Theory of Communication}, author = {Shannon, C. E.}}",
    };

    fn corpora() -> &'static [&'static str] {
        &["mini", "counting"]
    }

    fn arms(setting: &Setting) -> anyhow::Result<Vec<Arm<Config>>> {
        let utterances = if setting.scale == Scale::Smoke { 20 } else { 200 };
        let loud = Config {
            noise: 0.3,
            steps: 10,
            utterances,
            pause_ms: 0,
            fail_at: None,
            interrupt_at: None,
        };
        let quiet = Config {
            noise: 0.05,
            ..loud.clone()
        };
        let silent = Config {
            noise: 0.0,
            ..loud.clone()
        };
        Ok(vec![
            Arm {
                name: "loud",
                why: "how bad is it with noise?",
                default: true,
                config: loud,
            },
            Arm {
                name: "quiet",
                why: "does less noise help?",
                default: true,
                config: quiet,
            },
            Arm {
                name: "silent",
                why: "is all of it noise?",
                default: false,
                config: silent,
            },
        ])
    }

    fn claims(_: &Setting) -> Vec<Claim> {
        vec![Claim {
            source: "theorem 11",
            statement: "less noise, fewer errors",
            metric: "test/wer",
            better: "quiet",
            worse: "loud",
            margin: 0.0,
        }]
    }

    fn ablations(_: &Setting) -> Vec<Ablation> {
        vec![
            Ablation {
                name: "loudness",
                question: "how much of the error rate is noise?",
                arms: &["loud", "quiet", "silent"],
                metrics: &[],
            },
            Ablation {
                name: "silence",
                question: "is a little noise worse than none?",
                arms: &["silent", "quiet"],
                metrics: &["test/wer", "test/cer"],
            },
        ]
    }

    fn expected_seconds(config: &Config, _: &Setting) -> Option<f64> {
        // Without a pause it is over at once, and nobody knows when.
        (config.pause_ms > 0).then(|| config.steps as f64 * config.pause_ms as f64 / 1000.0)
    }

    fn departures(_: &Setting) -> Vec<Departure> {
        vec![Departure {
            what: "words, not symbols",
            why: "the report counts words",
        }]
    }

    fn unknowns() -> Vec<Unknown> {
        vec![Unknown {
            what: "how loud the channel was",
            reading: "0.3, field noise",
        }]
    }

    fn run(config: &Config, _: &Setting, run: &mut Run) -> anyhow::Result<()> {
        let bar = run.progress("listening", config.steps);
        let done = std::fs::read_to_string(run.dir().join("state"))
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        let done = done.unwrap_or(0);
        run.rewind(done)?;
        for step in done + 1..=config.steps {
            std::thread::sleep(Duration::from_millis(config.pause_ms));
            if config.fail_at == Some(step) {
                anyhow::bail!("step {step} failed as asked");
            }
            let loss = 2.0 / step as f64 + config.noise;
            run.log(step, "train", &[("loss", loss)])?;
            std::fs::write(run.dir().join("state"), step.to_string())?;
            bar.inc(1);
            // Once only: the second session finds the state and goes on.
            if config.interrupt_at == Some(step) && done == 0 {
                return Err(run.interrupt(step).into());
            }
        }
        bar.finish();
        run.set("parameters", 0)?;
        run.start_split("test")?;
        for utterance in 0..config.utterances {
            let words: Vec<String> = (0..5)
                .map(|word| format!("word{}", (utterance * 7 + word * 3) % 50))
                .collect();
            let heard = words.iter().enumerate().map(|(place, word)| {
                let draw = uniform(run.seed(), utterance * 5 + place as u64);
                if draw < config.noise {
                    "what"
                } else {
                    word.as_str()
                }
            });
            let heard = heard.collect::<Vec<_>>().join(" ");
            run.utterance(
                "test",
                &format!("utterance-{utterance:03}"),
                &words.join(" "),
                &heard,
            )?;
        }
        Ok(())
    }
}

/// A number in 0..1 that is a function of seed and key (splitmix64).
fn uniform(seed: u64, key: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(key.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> anyhow::Result<()> {
    sandhi_lab::execute::<NoisyChannel>(Cli::parse().command)
}
