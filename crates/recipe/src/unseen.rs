//! What is kept out of training and dev, to see what becomes of it.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use sandhi_corpus::{Corpus, Cut, food_words};

use crate::options::Unseen;

/// The corpus without what is to stay unseen in train and dev, and with a test of it.
///
/// The test of a domain is made of training speech outside of the low-resource subset, so that it is large enough to tell something;
/// its sentences are in no other text either, see [`Corpus::held_out_text`].
pub(crate) fn keep_apart(mut corpus: Corpus, unseen: Unseen) -> Result<Corpus> {
    let keep = match unseen {
        Unseen::Nothing => return Ok(corpus),
        Unseen::Food => food(&mut corpus),
        Unseen::French => {
            let there = corpus.tests.iter().any(|(name, _)| name == "test-fr");
            ensure!(
                there,
                "unseen: french wants a corpus with a test-fr, but {} has none",
                corpus.name
            );
            Box::new(|cut: &Cut| cut.language != "fr") as Box<dyn Fn(&Cut) -> bool>
        }
    };
    for split in [&mut corpus.train, &mut corpus.low_resource, &mut corpus.dev] {
        split.retain(&keep);
        ensure!(
            !split.is_empty(),
            "unseen: {unseen:?} leaves nothing of {} to train on",
            corpus.name
        );
    }
    Ok(corpus)
}

fn food(corpus: &mut Corpus) -> Box<dyn Fn(&Cut) -> bool> {
    let words: HashSet<String> = food_words().into_iter().collect();
    let about = move |cut: &Cut| cut.text.split(' ').any(|word| words.contains(word));
    let apart = corpus.train.iter().filter(|cut| !cut.low_resource && about(cut));
    corpus
        .tests
        .push(("test-food".to_owned(), apart.cloned().collect()));
    Box::new(move |cut| !about(cut))
}

#[cfg(test)]
mod tests {
    use sandhi_lab::{Scale, Setting};

    use super::*;
    use crate::corpora::corpus;

    #[test]
    fn food_that_is_kept_apart_is_in_its_test_alone() {
        let all = corpus(&Setting::embedded(Scale::Smoke)).unwrap();
        let apart = keep_apart(all.clone(), Unseen::Food).unwrap();
        let (name, test) = apart.tests.last().unwrap();
        assert!(name == "test-food" && test.len() > 100, "{}", test.len());
        let words = food_words();
        let about = |cut: &Cut| {
            cut.text
                .split(' ')
                .any(|word| words.iter().any(|food| food == word))
        };
        assert!(test.iter().all(|cut| about(cut) && !cut.low_resource));
        for split in [&apart.train, &apart.low_resource, &apart.dev] {
            assert!(!split.iter().any(about));
        }
        assert!(apart.low_resource.len() > 350 && apart.train.len() + test.len() < all.train.len());
        // Nor is any of it unpaired text.
        let held_out = apart.held_out_text();
        assert!(test.iter().all(|cut| held_out.contains(&cut.text)));

        let error = keep_apart(all, Unseen::French).unwrap_err().to_string();
        assert!(error.contains("test-fr"), "{error}");
    }
}
