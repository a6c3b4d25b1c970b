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
    let mut groups = vec![
        group(
            "durations",
            "does ASTRA match the methods that need durations?",
            &[
                "astra",
                "upsampled",
                "random-repeat",
                "gaussian",
                "maestro",
                "maestro-mae",
            ],
        ),
        group(
            "placement",
            "after which encoder should speech and text meet?",
            &["astra", "astra-shared-1", "astra-shared"],
        ),
        group(
            "distance",
            "how should the distance of two embeddings be measured?",
            &["astra", "astra-mse", "astra-huber", "astra-cosine"],
        ),
        group(
            "collapse",
            "is consistency bought by making all embeddings small? (see the variances among the other measures)",
            &[
                "astra",
                "astra-standardized",
                "astra-cosine",
                "upsampled",
                "upsampled-standardized",
            ],
        ),
        group(
            "alignment",
            "learned or held, expected, soft or best, of the transducer or of CTC: which alignment should weight the distance?",
            &["astra", "astra-held", "astra-soft", "best-alignment", "astra-ctc"],
        ),
        group(
            "rivals",
            "how does ASTRA compare with losses that know no transducer? (open question 1)",
            &[
                "astra",
                "best-alignment",
                "soft-dtw",
                "transport",
                "frame-average",
            ],
        ),
        group(
            "pretraining",
            "does BEST-RQ on the same speech help where there is no text?",
            &["rnnt", "rnnt-pretrained"],
        ),
        group(
            "pretraining-text",
            "and where there is?",
            &["astra", "astra-pretrained"],
        ),
        group(
            "augmentation",
            "what does SpecAugment bring without text?",
            &["rnnt", "rnnt-no-augment"],
        ),
        group(
            "augmentation-text",
            "and with text?",
            &["astra", "astra-no-augment"],
        ),
        group(
            "normalization",
            "should the loss of an utterance be divided by its number of labels?",
            &["astra", "astra-per-utterance"],
        ),
        group(
            "topline",
            "how much of what transcripts bring does text bring?",
            &["rnnt-full", "rnnt", "text", "astra"],
        ),
        group(
            "weights",
            "how much do the weights and the warm-up matter?",
            &[
                "astra",
                "astra-match-0.3",
                "astra-match-1",
                "astra-match-10",
                "astra-warmup-0",
                "astra-warmup-0.5",
                "astra-text-0.3",
                "astra-text-3",
            ],
        ),
    ];
    if setting.corpus == "mini" {
        groups.push(group(
            "text-amount",
            "is there a point of diminishing returns? (open question 3) unpaired sentences: none, 1, 4, 16, 64 times the paired",
            &["rnnt", "astra-text-1x", "astra-text-4x", "astra-text-16x", "astra-text-64x"],
        ));
        for (name, question, arms) in [
            (
                "paired-5min",
                "what does text bring to 5 minutes of paired speech?",
                &["rnnt-5min", "astra-5min"],
            ),
            ("paired-10min", "and to 10?", &["rnnt-10min", "astra-10min"]),
            ("paired-20min", "and to 20?", &["rnnt-20min", "astra-20min"]),
            ("paired-40min", "and to 40?", &["rnnt-40min", "astra-40min"]),
        ] {
            groups.push(group(name, question, arms));
        }
    }
    groups
}
