//! What the paper holds, and by which arms and tests we judge it.

use sandhi_lab::{Claim, Contrast, Setting};

/// The claims that the arms of a setting decide.
pub(crate) fn claims(setting: &Setting) -> Vec<Claim> {
    // AN4 has one test.
    let (common, rare) = match setting.corpus.as_str() {
        "mini" => ("test-common/wer", "test-rare/wer"),
        "mini-multilingual" => return multilingual_claims(),
        _ => ("test/wer", "test/wer"),
    };
    let claim = Claim::fewer_errors;
    let mut claims = vec![claim(
        "abstract",
        "consistency along the best alignment lowers the error rate",
        common,
        "best",
        "text",
    )];
    if common != rare {
        claims.push(claim(
            "abstract",
            "and on words that the paired speech lacks",
            rare,
            "best",
            "text",
        ));
    }
    claims.extend([
        claim(
            "abstract",
            "it needs no upsampling heuristics: it is better than upsampled text",
            rare,
            "best",
            "upsampled",
        ),
        claim("introduction", TEXT_HELPS, rare, "text", "speech"),
        claim(
            "section 4",
            "the best alignment is better to train along than the frame-wise one",
            common,
            "best",
            "framewise",
        ),
    ]);
    if setting.corpus == "mini" {
        // About what seeds of one arm differ by; set before there was any run.
        claims.push(Claim {
            margin: 2.0,
            ..claim(
                "abstract",
                "it needs no explicit alignment: it matches the times at which labels were spoken (within 2 points of test-common)",
                common,
                "best",
                "gold",
            )
        });
    }
    claims
}

/// Paired data only, and no test of rare words in most languages: of all together, and of each.
fn multilingual_claims() -> Vec<Claim> {
    let best = |statement, metric| Claim::fewer_errors("abstract", statement, metric, "best", "text");
    vec![
        best(
            "consistency along the best alignment lowers the error rate, of all languages together",
            ALL_LANGUAGES,
        ),
        best("in English", "test-en/wer"),
        best("in German", "test-de/wer"),
        best("in Spanish", "test-es/wer"),
        best("in French", "test-fr/wer"),
        Claim::fewer_errors(
            "abstract",
            "it needs no upsampling heuristics: it is better than upsampled text",
            ALL_LANGUAGES,
            "best",
            "upsampled",
        ),
        Claim::fewer_errors("introduction", TEXT_HELPS, ALL_LANGUAGES, "text", "speech"),
    ]
}

const TEXT_HELPS: &str = "injected text lowers the error rate (the baseline's premise)";

const ALL_LANGUAGES: &str = "test-en+test-de+test-es+test-fr/wer";

/// The paper's reason: a harder problem and less data leave more to gain.
pub(crate) const MORE_IN_SEVERAL_LANGUAGES: Contrast = Contrast {
    source: "section 4",
    statement: "consistency along the best alignment gains more in several languages than in one",
    better: "best",
    worse: "text",
    more: ("mini-multilingual", ALL_LANGUAGES),
    less: ("mini", "test-common+test-rare/wer"),
};
