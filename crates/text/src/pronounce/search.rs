//! The most likely graphones of a word.

use std::collections::BTreeMap;

use crate::pronounce::ngram::Ngram;

/// What the rest of a word depends on: the context of the n-gram, and whether a phone was said.
type State = (usize, bool);

/// A graphone as the search sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) graphone: u32,
    pub(super) voiced: bool,
}

/// The best way to a state: its score, its last graphone and the state before that.
struct Way {
    score: f64,
    last: Option<(u32, State)>,
}

/// The most likely sequence of graphones, one of `candidates[i]` for letter `i`, that has a phone, or `None` if there
/// is none.
///
/// Exact: ways that meet in a state have the same future, so that the best of them is all that is kept. Of equals,
/// the first found, in the order of states and candidates.
pub(super) fn search(ngram: &Ngram, candidates: &[&[Candidate]]) -> Option<Vec<u32>> {
    let start = Way {
        score: 0.0,
        last: None,
    };
    let mut ways = vec![BTreeMap::from([((ngram.start(), false), start)])];
    for candidates in candidates {
        let mut next: BTreeMap<State, Way> = BTreeMap::new();
        for (&state, way) in ways.iter().last().into_iter().flatten() {
            for candidate in *candidates {
                let (score, context) = ngram.step(state.0, candidate.graphone);
                let score = way.score + score;
                let to = (context, state.1 || candidate.voiced);
                if next.get(&to).is_none_or(|kept| score > kept.score) {
                    next.insert(
                        to,
                        Way {
                            score,
                            last: Some((candidate.graphone, state)),
                        },
                    );
                }
            }
        }
        ways.push(next);
    }
    let mut best: Option<(f64, State)> = None;
    for (&state, way) in ways.iter().last()?.iter().filter(|(state, _)| state.1) {
        let score = way.score + ngram.end(state.0);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, state));
        }
    }
    let mut state = best?.1;
    let mut path = Vec::new();
    for ways in ways.iter().rev() {
        if let Some((graphone, before)) = ways.get(&state).and_then(|way| way.last) {
            path.push(graphone);
            state = before;
        }
    }
    path.reverse();
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Graphones of each of three letters, and whether they sound.
    const LETTERS: [&[(u32, bool)]; 3] = [
        &[(0, false), (1, true)],
        &[(2, true), (3, true), (4, false)],
        &[(5, false)],
    ];

    fn voiced(graphone: u32) -> bool {
        LETTERS
            .iter()
            .copied()
            .flatten()
            .any(|&(id, voiced)| id == graphone && voiced)
    }

    /// Every sequence of graphones of a word.
    fn enumerate(word: &[usize]) -> Vec<Vec<u32>> {
        let Some((&letter, rest)) = word.split_first() else {
            return vec![Vec::new()];
        };
        let rest = enumerate(rest);
        let first = LETTERS[letter].iter();
        first
            .flat_map(|&(id, _)| rest.iter().map(move |rest| [&[id], &rest[..]].concat()))
            .collect()
    }

    #[test]
    fn search_finds_the_best_of_all_sequences() {
        let learned: [&[u32]; 6] = [
            &[0, 2, 5],
            &[1, 1, 0],
            &[4, 0, 0],
            &[1, 3, 5],
            &[0, 0],
            &[5, 0, 4, 0],
        ];
        let words: [&[usize]; 7] = [
            &[0],
            &[0, 0],
            &[1, 0, 0],
            &[2, 0, 1],
            &[2, 2],
            &[0, 0, 0, 0, 1, 2],
            &[],
        ];
        for order in 1..=4 {
            let ngram = Ngram::new(&learned.map(<[u32]>::to_vec), 6, order);
            let score = |path: &[u32]| {
                let start = (0.0, ngram.start());
                let (score, context) = path.iter().fold(start, |(score, context), &graphone| {
                    let (more, next) = ngram.step(context, graphone);
                    (score + more, next)
                });
                score + ngram.end(context)
            };
            for word in words {
                let of = |letter: &usize| -> Vec<Candidate> {
                    LETTERS[*letter]
                        .iter()
                        .map(|&(graphone, voiced)| Candidate { graphone, voiced })
                        .collect()
                };
                let candidates: Vec<Vec<Candidate>> = word.iter().map(of).collect();
                let candidates: Vec<&[Candidate]> = candidates.iter().map(Vec::as_slice).collect();
                let all = enumerate(word);
                let sound = all
                    .iter()
                    .filter(|path| path.iter().any(|&graphone| voiced(graphone)));
                let most = sound.clone().map(|path| score(path)).max_by(f64::total_cmp);
                let best = search(&ngram, &candidates);
                assert!(best.iter().all(|best| sound.clone().any(|path| path == best)));
                let (best, most) = (best.map(|best| score(&best)), most);
                assert_eq!(best.is_some(), most.is_some());
                let apart = best.unwrap_or(0.0) - most.unwrap_or(0.0);
                assert!(apart.abs() < 1e-12, "{order} {word:?}: {best:?} {most:?}");
            }
        }
    }
}
