//! Which arms answer which question together.

use sandhi_lab::{Ablation, Setting};

/// The groups at a setting; the first arm of each is what the others are compared with.
pub(crate) fn ablations(setting: &Setting) -> Vec<Ablation> {
    let group = |name, question, arms: &'static [&'static str]| Ablation {
        name,
        question,
        arms,
        metrics: &[],
    };
    let alignments: &[&str] = match setting.corpus.as_str() {
        "mini" => &["best", "text", "random", "framewise", "gold"],
        _ => &["best", "text", "random", "framewise"],
    };
    let weights: &[&str] = match setting.corpus.as_str() {
        "mini-multilingual" => &[
            "best",
            "best-match-0.3",
            "best-match-1",
            "best-match-3",
            "best-match-10",
            "best-transcript-0",
            "best-transcript-1",
        ],
        _ => &[
            "best",
            "best-match-0.1",
            "best-match-0.3",
            "best-match-1",
            "best-match-10",
            "best-transcript-0",
            "best-transcript-1",
        ],
    };
    let mut groups = vec![
        group(
            "alignment",
            "does it matter along which alignment speech and text are brought together?",
            alignments,
        ),
        group(
            "reading",
            "which side must be covered? (the paper does not say)",
            &["best", "best-strict", "best-every-frame", "best-forced"],
        ),
        group(
            "distance",
            "which distance, and is it bought by making all embeddings small?",
            &[
                "best",
                "best-squared",
                "best-mae",
                "best-cosine",
                "best-standardized",
            ],
        ),
        group(
            "levels",
            "at which levels?",
            &[
                "best",
                "best-encoders",
                "best-streaming",
                "best-full",
                "best-last",
            ],
        ),
        group(
            "full-context",
            "and where no part has to stream?",
            &["text-full-context", "best-full-context", "best"],
        ),
        group(
            "input",
            "letters in place of phones?",
            &["text-letters", "best-letters", "best"],
        ),
        group(
            "augmentation",
            "does consistency do what SpecAugment does?",
            &["text-no-augment", "best-no-augment"],
        ),
        group(
            "masking",
            "how much of the text should be hidden? (the paper does not say)",
            &["best", "best-mask-0", "best-mask-5", "best-mask-30"],
        ),
        group(
            "weights",
            "how much do the weights matter? (the paper does not say)",
            weights,
        ),
    ];
    if setting.corpus != "mini-multilingual" {
        groups.push(group(
            "paired-only",
            "without unpaired text, as in the paper's multilingual setting?",
            &["text-paired", "best-paired"],
        ));
    }
    match setting.corpus.as_str() {
        "mini" => groups.push(Ablation {
            metrics: &["test-food/wer", "test-food-streaming/wer", "test-common/wer"],
            ..group(
                "unseen-domain",
                "does consistency carry over to what no paired speech is about? (open question 2)",
                &["text-unseen", "best-unseen", "speech-unseen"],
            )
        }),
        "mini-multilingual" => groups.push(group(
            "unseen-language",
            "does it carry over to a language that nobody speaks in training? (open question 2)",
            &["text-unseen", "best-unseen"],
        )),
        _ => {}
    }
    if setting.corpus != "mini-multilingual" {
        groups.push(group(
            "self-training",
            "does it add to self-training? (open question 3)",
            &["text-self-trained", "best-self-trained", "text", "best"],
        ));
    }
    groups
}
