use sandhi_score::{alignment, word_edits, words};

use crate::report::evidence::{Evidence, RunEvidence};

/// A stretch of a hypothesis compared with its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Same(String),
    /// Said, heard as.
    Substituted(String, String),
    /// Said, not heard.
    Deleted(String),
    /// Heard, not said.
    Inserted(String),
}

/// An utterance that went wrong, as each arm heard it.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) split: String,
    pub(crate) id: String,
    pub(crate) reference: String,
    /// Arm, number of word errors, and where they are.
    pub(crate) heard: Vec<(String, usize, Vec<Piece>)>,
}

/// The utterances of the test splits on which `arm` made most errors, at its lowest seed, as every arm heard them.
pub(crate) fn worst(evidence: &Evidence, arm: &str, number: usize) -> Vec<Example> {
    let Some(run) = evidence.done(arm).first() else {
        return Vec::new();
    };
    let mut candidates: Vec<(usize, &str, &crate::Utterance)> = Vec::new();
    let tests: Vec<&String> = evidence
        .splits
        .iter()
        .filter(|split| split.starts_with("test"))
        .collect();
    // Without a test split all are shown: something is better than nothing, and each says where it is from.
    let splits = if tests.is_empty() {
        evidence.splits.iter().collect()
    } else {
        tests
    };
    for split in splits {
        for utterance in run.utterances.get(split).into_iter().flatten() {
            let errors = word_edits(&utterance.reference, &utterance.hypothesis).errors();
            if errors > 0 {
                candidates.push((errors, split, utterance));
            }
        }
    }
    candidates.sort_by(|a, b| {
        b.0.cmp(&a.0)
            .then_with(|| a.1.cmp(b.1))
            .then_with(|| a.2.id.cmp(&b.2.id))
    });
    candidates
        .into_iter()
        .take(number)
        .map(|(_, split, utterance)| Example {
            split: split.to_owned(),
            id: utterance.id.clone(),
            reference: utterance.reference.clone(),
            heard: evidence
                .arms
                .iter()
                .filter_map(|arm| {
                    heard(arm.done.first()?, split, &utterance.id).map(|h| (arm.name.clone(), h.0, h.1))
                })
                .collect(),
        })
        .collect()
}

fn heard(run: &RunEvidence, split: &str, id: &str) -> Option<(usize, Vec<Piece>)> {
    let utterance = run
        .utterances
        .get(split)?
        .iter()
        .find(|utterance| utterance.id == id)?;
    let errors = word_edits(&utterance.reference, &utterance.hypothesis).errors();
    Some((errors, pieces(&utterance.reference, &utterance.hypothesis)))
}

/// A hypothesis against its reference, word by word.
pub(crate) fn pieces(reference: &str, hypothesis: &str) -> Vec<Piece> {
    let (reference, hypothesis) = (words(reference), words(hypothesis));
    let columns = alignment(&reference, &hypothesis)
        .into_iter()
        .map(|column| match column {
            (Some(said), Some(heard)) if said == heard => Piece::Same((*heard).to_owned()),
            (Some(said), Some(heard)) => Piece::Substituted((*said).to_owned(), (*heard).to_owned()),
            (Some(said), None) => Piece::Deleted((*said).to_owned()),
            (None, heard) => Piece::Inserted(heard.map(|word| (*word).to_owned()).unwrap_or_default()),
        });
    columns.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_mark_each_kind_of_error() {
        let own = |text: &str| text.to_owned();
        assert_eq!(
            pieces("the cat sat down", "the bad cat set"),
            [
                Piece::Same(own("the")),
                Piece::Inserted(own("bad")),
                Piece::Same(own("cat")),
                Piece::Substituted(own("sat"), own("set")),
                Piece::Deleted(own("down")),
            ]
            .to_vec()
        );
    }
}
