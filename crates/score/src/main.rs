//! The command `sandhi-score`: error rates of line-aligned text files.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use sandhi_score::{
    Edits, Interval, Score, Unit, alignment, bootstrap, character_edits, characters, error_rate, read_pairs,
    word_edits, words,
};

/// Score recognized text against references, line by line.
///
/// Both files hold one utterance per line in UTF-8; line n of one belongs to line n of the other, and an
/// empty line is an empty utterance. Lines are scored as they are: case and punctuation count, so normalize
/// both files first.
///
/// The rate is that of the whole corpus, all errors over all reference tokens, in percent, and equals jiwer
/// 4. The interval is the 95 % percentile bootstrap over utterances. The signature says how the number came
/// to be: compare two numbers only if their signatures are equal.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  sandhi-score wer --ref test.ref.txt --hyp test.hyp.txt
  sandhi-score cer --ref test.ref.txt --hyp test.hyp.txt --json
  sandhi-score wer --ref test.ref.txt --hyp test.hyp.txt --show 5";

#[derive(Subcommand)]
enum Command {
    /// Word error rate
    ///
    /// Words are separated by one space or by two or more white-space characters; a single tab does not
    /// separate.
    Wer(Options),
    /// Character error rate
    ///
    /// Characters are Unicode code points, inner spaces included. Compose both files alike (NFC) first: a
    /// letter and its combining mark are two characters, a composed letter is one.
    Cer(Options),
}

#[derive(Args)]
struct Options {
    /// References, one utterance per line
    #[arg(long = "ref", value_name = "REF")]
    reference: PathBuf,
    /// Hypotheses, one per reference line
    #[arg(long = "hyp", value_name = "HYP")]
    hypothesis: PathBuf,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Also print the N utterances with most errors, aligned
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "json")]
    show: usize,
    /// Bootstrap resamples
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Cli::parse(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that has seen enough, such as `head`, is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about an error stream that cannot be written.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: &Cli, out: &mut impl Write) -> anyhow::Result<()> {
    let (unit, options) = match &cli.command {
        Command::Wer(options) => (Unit::Word, options),
        Command::Cer(options) => (Unit::Character, options),
    };
    let pairs = read_pairs(&options.reference, &options.hypothesis)?;
    let count = match unit {
        Unit::Word => word_edits,
        Unit::Character => character_edits,
    };
    let edits: Vec<Edits> = pairs
        .iter()
        .map(|(reference, hypothesis)| count(reference, hypothesis))
        .collect();
    let score = error_rate(unit, &edits);
    let interval = bootstrap(&edits, options.samples as usize, options.seed);
    if options.json {
        print_json(out, unit, &score, edits.len(), interval, options)
    } else {
        print_table(out, unit, &score, edits.len(), interval, options)?;
        show_worst(out, unit, &pairs, &edits, options.show)
    }
}

fn print_json(
    out: &mut impl Write,
    unit: Unit,
    score: &Score,
    utterances: usize,
    interval: Interval,
    options: &Options,
) -> anyhow::Result<()> {
    let Edits {
        substitutions,
        deletions,
        insertions,
        hits,
        reference_len,
    } = score.edits;
    let report = serde_json::json!({
        "metric": unit.metric(),
        "value": score.value,
        "unit": "percent",
        "substitutions": substitutions,
        "deletions": deletions,
        "insertions": insertions,
        "hits": hits,
        "reference_len": reference_len,
        "utterances": utterances,
        "signature": score.signature,
        "interval": {
            "mean": interval.mean,
            "low": interval.low,
            "high": interval.high,
            "level": 0.95,
            "samples": options.samples,
            "seed": options.seed,
        },
    });
    let text = serde_json::to_string_pretty(&report).context("the report cannot be written as JSON")?;
    Ok(writeln!(out, "{text}")?)
}

fn print_table(
    out: &mut impl Write,
    unit: Unit,
    score: &Score,
    utterances: usize,
    interval: Interval,
    options: &Options,
) -> anyhow::Result<()> {
    let Edits {
        substitutions,
        deletions,
        insertions,
        hits,
        reference_len,
    } = score.edits;
    let tokens = match unit {
        Unit::Word => "reference words",
        Unit::Character => "reference characters",
    };
    writeln!(out, "{:<22}{:>10.2} %", unit.metric().to_uppercase(), score.value)?;
    writeln!(
        out,
        "{:<22}{:>10.2} .. {:.2} %  (bootstrap over utterances, {} resamples, seed {})",
        "95 % interval", interval.low, interval.high, options.samples, options.seed
    )?;
    for (name, number) in [
        ("substitutions", substitutions),
        ("deletions", deletions),
        ("insertions", insertions),
        ("hits", hits),
        (tokens, reference_len),
        ("utterances", utterances),
    ] {
        writeln!(out, "{name:<22}{number:>10}")?;
    }
    if reference_len == 0 {
        writeln!(
            out,
            "{:<22}no reference has a token: the rate is 100 per insertion",
            "note"
        )?;
    }
    Ok(writeln!(out, "{:<22}{}", "signature", score.signature)?)
}

/// The utterances with most errors, reference above hypothesis, in the order of their lines among equals.
fn show_worst(
    out: &mut impl Write,
    unit: Unit,
    pairs: &[(String, String)],
    edits: &[Edits],
    count: usize,
) -> anyhow::Result<()> {
    let mut order: Vec<usize> = (0..edits.len())
        .filter(|&line| edits[line].errors() > 0)
        .collect();
    order.sort_by_key(|&line| std::cmp::Reverse(edits[line].errors()));
    for &line in order.iter().take(count) {
        let (reference, hypothesis) = &pairs[line];
        let tokens = |text: &str| -> Vec<String> {
            match unit {
                // A single tab is part of a word and would tear the columns apart.
                Unit::Word => words(text)
                    .into_iter()
                    .map(|word| word.replace('\t', "\\t"))
                    .collect(),
                Unit::Character => characters(text).into_iter().map(String::from).collect(),
            }
        };
        let (reference, hypothesis) = (tokens(reference), tokens(hypothesis));
        let (mut above, mut below, mut marks) = (String::new(), String::new(), String::new());
        for (r, h) in alignment(&reference, &hypothesis) {
            let mark = match (r, h) {
                (Some(r), Some(h)) if r == h => "",
                (Some(_), Some(_)) => "S",
                (Some(_), None) => "D",
                (None, _) => "I",
            };
            let blank = |token: Option<&String>| token.map_or_else(|| "*".to_owned(), String::clone);
            let (r, h) = (blank(r), blank(h));
            let width = r.chars().count().max(h.chars().count());
            for (row, cell) in [
                (&mut above, r.as_str()),
                (&mut below, h.as_str()),
                (&mut marks, mark),
            ] {
                row.push_str(&format!("{cell:<width$} "));
            }
        }
        writeln!(out, "\nline {}: {} errors", line + 1, edits[line].errors())?;
        writeln!(
            out,
            "  ref  {}\n  hyp  {}\n       {}",
            above.trim_end(),
            below.trim_end(),
            marks.trim_end()
        )?;
    }
    Ok(())
}
