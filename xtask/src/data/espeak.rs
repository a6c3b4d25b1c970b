//! The program that speaks German, Spanish and French, and says how words of all languages sound: espeak-ng.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use sandhi_audio::{Waveform, resample};
use sandhi_corpus::{HELD_OUT_VARIANTS, SEEN_VARIANTS, Synthesis};

use super::speech::{SAMPLE_RATE, level, output};

const PROGRAM: &str = "espeak-ng";

/// Words a minute that a stretch of 1 stands for; the program's own default.
const WORDS_A_MINUTE: f64 = 175.0;

/// Seconds of silence before and after: the program starts with the first sound.
const SILENCE: f64 = 0.2;

/// The program's version, and that it is there with all languages and variants.
pub(super) fn version(languages: &[&str]) -> anyhow::Result<String> {
    let printed = output(Command::new(PROGRAM).arg("--version"), PROGRAM)?;
    for language in languages {
        let voice = voice(language);
        let listed = output(Command::new(PROGRAM).arg(format!("--voices={voice}")), PROGRAM)?;
        ensure!(
            listed.split_whitespace().any(|word| word == voice),
            "espeak-ng has no voice {voice}: it lists {listed:?}"
        );
    }
    // A variant that is not there would pass without a word, and the voice be another's.
    let listed = output(Command::new(PROGRAM).arg("--voices=variant"), PROGRAM)?;
    for variant in SEEN_VARIANTS.iter().chain(&HELD_OUT_VARIANTS) {
        let file = format!("!v/{variant}");
        ensure!(
            listed.split_whitespace().any(|word| word == file),
            "espeak-ng has no variant {variant}"
        );
    }
    // What follows is where its data lie on this machine.
    let version = printed.split("Data at").next().unwrap_or_default();
    Ok(version.trim().to_string())
}

/// The voice that knows a language's words. The English of the embedded corpus is American.
fn voice(language: &str) -> &str {
    match language {
        "en" => "en-us",
        other => other,
    }
}

/// The phones of each word of a language in the IPA, without stress.
pub(super) fn lexicon(
    language: &str,
    words: &BTreeSet<String>,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    // One question for all of them, a paragraph a word: a program started for each is a hundred times as slow.
    let mut question = tempfile::NamedTempFile::new()?;
    for word in words {
        // A letter alone would be spelled; before another word it is one.
        let again = if is_letter(word) { word } else { "" };
        writeln!(question, "{word} {again}\n")?;
    }
    let mut command = Command::new(PROGRAM);
    command.args(["-q", "--ipa", "--sep=_", "-v", voice(language), "-f"]);
    let printed = output(command.arg(question.path()), PROGRAM)?;
    let (expected, got) = (words.len(), printed.lines().count());
    ensure!(
        expected == got,
        "espeak-ng was asked for {expected} words in {language} and said {got}"
    );
    let phones = words.iter().zip(printed.lines()).map(|(word, line)| {
        let spoken = line
            .split_whitespace()
            .take(if is_letter(word) { 1 } else { usize::MAX });
        let tokens: Vec<&str> = spoken.flat_map(|spoken| spoken.split('_')).collect();
        let phones =
            clean(&tokens).with_context(|| format!("espeak-ng says {line:?} for {word:?} in {language}"))?;
        Ok((word.clone(), phones))
    });
    phones.collect()
}

fn is_letter(word: &str) -> bool {
    word.chars().count() == 1
}

/// One phone a token: stress marks, liaison marks and switches of language (`(en)`) are none.
fn clean(tokens: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut phones = Vec::new();
    for token in tokens.iter().filter(|token| !token.starts_with('(')) {
        match token.trim_matches(['ˈ', 'ˌ', '-']) {
            "" => {}
            // espeak-ng 1.51 has no IPA for the vowel and r of German `kurz`, which it splits elsewhere.
            "??" => phones.extend(["ʊ".to_string(), "ɾ".to_string()]),
            phone => {
                ensure!(
                    phone.chars().all(|c| c.is_alphabetic() || is_mark(c)),
                    "{phone:?} is no phone"
                );
                phones.push(phone.to_string());
            }
        }
    }
    ensure!(!phones.is_empty(), "no phone");
    Ok(phones)
}

/// Length, and the marks that combine with a letter.
fn is_mark(c: char) -> bool {
    c == 'ː' || ('\u{300}'..='\u{36f}').contains(&c)
}

/// Speaks a text as asked. `scratch` is a file to write to.
pub(super) fn speak(text: &str, how: &Synthesis, scratch: &Path) -> anyhow::Result<Waveform> {
    let mut command = Command::new(PROGRAM);
    let speed = (WORDS_A_MINUTE / how.stretch).round();
    command.args(["-z", "-v", &how.voice, "-s", &speed.to_string()]);
    if let Some(pitch) = how.pitch {
        command.args(["-p", &pitch.to_string()]);
    }
    command.arg("-w").arg(scratch).args(["--", text]);
    output(&mut command, PROGRAM)?;
    let mut waveform = resample(&Waveform::read(scratch)?, SAMPLE_RATE)?;
    level(&mut waveform, how.peak_db).with_context(|| format!("espeak-ng said nothing for {text:?}"))?;
    let silence = vec![0.0; (SILENCE * f64::from(SAMPLE_RATE)) as usize];
    waveform.samples = [&silence[..], &waveform.samples, &silence].concat();
    Ok(waveform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_without_marks() {
        let phones = |printed: &str| clean(&printed.split('_').collect::<Vec<_>>());
        assert_eq!(
            phones("(en)_w_ˈiː_k_ˈɛ_n_d_(fr)").unwrap().join(" "),
            "w iː k ɛ n d"
        );
        assert_eq!(phones("l_ˈe-").unwrap(), ["l", "e"]);
        assert_eq!(phones("_k_ˈ??_ts_ə").unwrap().join(" "), "k ʊ ɾ ts ə");
        assert_eq!(phones("ʁ_ˈɑ̃").unwrap(), ["ʁ", "ɑ̃"]);
        for wrong in ["", "ˈ", "k_?_t", "a_1"] {
            assert!(phones(wrong).is_err(), "{wrong:?}");
        }
    }
}
