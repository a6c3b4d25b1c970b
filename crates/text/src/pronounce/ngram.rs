//! How likely a graphone is after others: an n-gram model with interpolated smoothing.

use std::collections::BTreeMap;

/// The context that knows nothing of what came before.
const ROOT: usize = 0;

/// `p(g | h)` for graphones `g` and histories `h`; see [`crate::Pronouncer`] for the equations.
///
/// A context is the end of a history that was seen in training. The model is an automaton over contexts: its state
/// after a history is the longest context in which that history ends, which is all that later probabilities ask for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ngram {
    contexts: Vec<Context>,
    start: usize,
    /// The symbol after the last graphone of a word.
    end: u32,
}

#[derive(Debug, Clone, PartialEq)]
struct Context {
    /// The context without its oldest graphone.
    shorter: usize,
    /// Log-probability of leaving it to the shorter context what comes next, for what was not seen here.
    leave: f64,
    /// Log-probability of what was seen here, and the context after it.
    seen: BTreeMap<u32, (f64, usize)>,
}

impl Ngram {
    /// Learns from sequences over the symbols `0..symbols`; `order` is 1 or more.
    pub(super) fn new(sequences: &[Vec<u32>], symbols: usize, order: usize) -> Self {
        let end = symbols as u32;
        let levels = count(sequences, symbols, order);
        let all = || levels.iter().flatten();
        let ids: BTreeMap<&[u32], usize> = all()
            .enumerate()
            .map(|(id, (context, _))| (&context[..], id))
            .collect();
        let id = |context: &[u32]| ids.get(context).copied().unwrap_or(ROOT);
        let discounts: Vec<f64> = levels.iter().map(discount).collect();
        let start = id(&[end + 1]);
        let mut model = Self {
            contexts: Vec::new(),
            start,
            end,
        };
        for (context, counts) in all() {
            let shorter = id(context.get(1..).unwrap_or_default());
            let total: f64 = counts.values().sum();
            let kinds = counts.values().filter(|&&count| count > 0.0).count() as f64;
            let discount = discounts[context.len()];
            let left = discount * kinds / total;
            let seen = counts.iter().map(|(&symbol, &count)| {
                let below = if context.is_empty() {
                    1.0 / counts.len() as f64
                } else {
                    model.step(shorter, symbol).0.exp()
                };
                let probability = (count - discount).max(0.0) / total + left * below;
                let mut after = [&context[..], &[symbol]].concat();
                after.drain(..after.len().saturating_sub(order - 1));
                (symbol, (probability.ln(), id(&after)))
            });
            let context = Context {
                shorter,
                leave: left.ln(),
                seen: seen.collect(),
            };
            model.contexts.push(context);
        }
        model
    }

    /// The context before the first graphone.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Log-probability of a graphone after a context, and the context after both.
    pub(super) fn step(&self, mut context: usize, symbol: u32) -> (f64, usize) {
        let mut left = 0.0;
        loop {
            let here = &self.contexts[context];
            match here.seen.get(&symbol) {
                Some((score, next)) => return (left + score, *next),
                None if context == ROOT => return (f64::NEG_INFINITY, ROOT),
                None => left += here.leave,
            }
            context = here.shorter;
        }
    }

    /// Log-probability that the word ends after a context.
    pub(super) fn end(&self, context: usize) -> f64 {
        self.step(context, self.end).0
    }
}

/// The contexts of one length, and how often what comes after them.
type Level = BTreeMap<Vec<u32>, BTreeMap<u32, f64>>;

/// Counts by length of context. Each place of a sequence counts in its longest context alone; a shorter context
/// counts in how many longer ones it is followed by a symbol.
fn count(sequences: &[Vec<u32>], symbols: usize, order: usize) -> Vec<Level> {
    let (end, begin) = (symbols as u32, symbols as u32 + 1);
    let mut levels = vec![Level::new(); order];
    // Every symbol has a place in the empty context, seen or not.
    levels[0].insert(Vec::new(), (0..=end).map(|symbol| (symbol, 0.0)).collect());
    for sequence in sequences {
        let padded = [&[begin], &sequence[..], &[end]].concat();
        for at in 1..padded.len() {
            let length = at.min(order - 1);
            let context = padded[at - length..at].to_vec();
            *levels[length]
                .entry(context)
                .or_default()
                .entry(padded[at])
                .or_default() += 1.0;
        }
    }
    for length in (1..order).rev() {
        let (shorter, longer) = levels.split_at_mut(length);
        for (context, counts) in &longer[0] {
            let below = shorter[length - 1].entry(context[1..].to_vec()).or_default();
            for &symbol in counts.keys() {
                *below.entry(symbol).or_default() += 1.0;
            }
        }
    }
    levels
}

/// What each count of a level gives away, between 0 and 1 even where nothing was counted once or twice.
fn discount(level: &Level) -> f64 {
    let times = |times: f64| {
        level
            .values()
            .flat_map(BTreeMap::values)
            .filter(|&&count| count == times)
            .count()
    };
    let (once, twice) = (times(1.0) as f64, times(2.0) as f64);
    (once + 1.0) / (once + 2.0 * twice + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCES: [&[u32]; 5] = [&[0, 1, 2], &[0, 1, 1, 2], &[2, 0, 1], &[0, 1, 2], &[1]];
    /// One more than the sequences use.
    const SYMBOLS: u32 = 4;

    fn model(order: usize) -> Ngram {
        Ngram::new(&SEQUENCES.map(<[u32]>::to_vec), SYMBOLS as usize, order)
    }

    /// `p(symbol | history)` by its definition, from counts of its own.
    fn defined(history: &[u32], symbol: u32, order: usize) -> f64 {
        let levels = count(&SEQUENCES.map(<[u32]>::to_vec), SYMBOLS as usize, order);
        let history = &history[history.len().saturating_sub(order - 1)..];
        let below = match history.get(1..) {
            Some(shorter) => defined(shorter, symbol, order),
            None => 1.0 / f64::from(SYMBOLS + 1),
        };
        let Some(counts) = levels[history.len()].get(history) else {
            return below;
        };
        let discount = discount(&levels[history.len()]);
        let count = counts.get(&symbol).copied().unwrap_or(0.0);
        let kinds = counts.values().filter(|&&count| count > 0.0).count() as f64;
        let total: f64 = counts.values().sum();
        ((count - discount).max(0.0) + discount * kinds * below) / total
    }

    /// All histories of three symbols or fewer, most of them never seen.
    fn histories() -> Vec<Vec<u32>> {
        let mut all = vec![vec![SYMBOLS + 1]];
        for longer in 0..3 {
            let last: Vec<_> = all
                .iter()
                .filter(|history| history.len() == longer + 1)
                .cloned()
                .collect();
            all.extend(
                last.iter()
                    .flat_map(|history| (0..SYMBOLS).map(|s| [&history[..], &[s]].concat())),
            );
        }
        all
    }

    #[test]
    fn smoothed_probabilities_sum_to_one_after_any_history() {
        for order in 1..=5 {
            let model = model(order);
            for history in histories() {
                let context = history[1..]
                    .iter()
                    .fold(model.start(), |context, &s| model.step(context, s).1);
                let each: Vec<f64> = (0..=SYMBOLS)
                    .map(|symbol| model.step(context, symbol).0.exp())
                    .collect();
                assert!(each.iter().all(|&p| p > 0.0), "{order} {history:?} {each:?}");
                assert!(
                    (each.iter().sum::<f64>() - 1.0).abs() < 1e-12,
                    "{order} {history:?} {each:?}"
                );
            }
        }
    }

    #[test]
    fn contexts_of_the_automaton_are_all_that_matters_of_a_history() {
        for order in 1..=5 {
            let model = model(order);
            for history in histories() {
                let context = history[1..]
                    .iter()
                    .fold(model.start(), |context, &s| model.step(context, s).1);
                for symbol in 0..=SYMBOLS {
                    let (got, expected) = (
                        model.step(context, symbol).0.exp(),
                        defined(&history, symbol, order),
                    );
                    assert!(
                        (got - expected).abs() < 1e-12,
                        "{order} {history:?} {symbol}: {got} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn shorter_contexts_count_kinds_not_occurrences() {
        let levels = count(&SEQUENCES.map(<[u32]>::to_vec), SYMBOLS as usize, 2);
        // 1 comes after 0 four times, after 1 once and once at the start: three kinds of place.
        assert_eq!(levels[0][&vec![]][&1], 3.0);
        assert_eq!(levels[1][&vec![0]][&1], 4.0);
    }
}
