//! The sentences of the embedded corpus and their splits: a function of the grammar and a seed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rand::Rng;
use rand::seq::SliceRandom;

use crate::grammar::{Parallel, Words, rare_words, sentence};
use crate::random::rng;

/// How many sentences each split has; train and test-rare have more if having every word takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniSizes {
    /// Paired training.
    pub train: usize,
    /// Development.
    pub dev: usize,
    /// The test of words that training has.
    pub test_common: usize,
    /// The test of words that only the unpaired text has.
    pub test_rare: usize,
}

/// The sentences of the embedded corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiniText {
    /// Paired training, in the order in which the low-resource subset takes them: first those that together have
    /// every word of training, then the others at random.
    pub train: Vec<Parallel>,
    /// Development: words of training only.
    pub dev: Vec<Parallel>,
    /// Test: words of training only.
    pub test_common: Vec<Parallel>,
    /// Test: a rare word in every sentence, all other words are of training.
    pub test_rare: Vec<Parallel>,
}

/// How often training has each of its words, at the least.
const TRAIN_TIMES: usize = 4;

/// A sentence of five words or fewer is kept with this probability: the longer ones say more per file.
const SHORT: f64 = 0.2;

/// Draws the sentences of the embedded corpus. No sentence is in two splits, in no language.
///
/// Training has every common word [`drawn`](sentence) often enough at least four times; then it is filled at random.
///
/// # Proved by
///
/// `mini_text_splits_are_disjoint`, `mini_text_rare_words_are_absent_from_training`,
/// `mini_text_low_resource_order_covers_the_words`, `mini_text_is_a_function_of_the_seed`.
pub fn mini_text(seed: u64, sizes: MiniSizes) -> MiniText {
    let mut seen = HashSet::new();
    let total = sizes.train + sizes.dev + sizes.test_common;
    let mut pool = draw(seed, "mini common", Words::Common, 8 * total, &mut seen);
    let every = |word: &str| Some(word.to_string());
    let mut train = cover(&mut pool, sizes.train, TRAIN_TIMES, every);
    let known: HashSet<String> = train.iter().flat_map(words).collect();
    pool.retain(|it| words(it).all(|word| known.contains(&word)));
    pool.truncate(sizes.dev + sizes.test_common);
    let test_common = pool.split_off(sizes.dev.min(pool.len()));

    let rare: HashSet<String> = rare_words().into_iter().collect();
    let rare_word = |word: &str| {
        let stem = word.strip_suffix("'s").unwrap_or(word);
        rare.contains(stem).then(|| stem.to_string())
    };
    let mut rare_pool = draw(seed, "mini rare", Words::All, 60 * sizes.test_rare, &mut seen);
    rare_pool.retain(|it| {
        words(it).any(|word| rare_word(&word).is_some())
            && words(it).all(|word| rare_word(&word).is_some() || known.contains(&word))
    });
    let test_rare = cover(&mut rare_pool, sizes.test_rare, 2, rare_word);

    train.shuffle(&mut rng(seed, "mini low resource", []));
    let mut low_resource_first = cover(&mut train, 0, 1, every);
    low_resource_first.append(&mut train);
    MiniText {
        train: low_resource_first,
        dev: pool,
        test_common,
        test_rare,
    }
}

fn words(it: &Parallel) -> impl Iterator<Item = String> + use<> {
    it.transcript()
        .split(' ')
        .map(str::to_string)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Draws `count` sentences, new in English and in all its translations.
fn draw(
    seed: u64,
    purpose: &str,
    vocabulary: Words,
    count: usize,
    seen: &mut HashSet<String>,
) -> Vec<Parallel> {
    let mut rng = rng(seed, purpose, []);
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count {
        let it = sentence(&mut rng, vocabulary);
        let short = it.en.split(' ').count() <= 5;
        if short && !rng.random_bool(SHORT) {
            continue;
        }
        let new = [&it.en, &it.de, &it.es, &it.fr]
            .into_iter()
            .all(|text| !seen.contains(text));
        if new {
            seen.extend([it.en.clone(), it.de.clone(), it.es.clone(), it.fr.clone()]);
            drawn.push(it);
        }
    }
    drawn
}

/// Takes sentences out of the pool until each key is there `times`, then until there are `count`.
///
/// The rarest key is served first, by the sentence that serves most keys still wanting; ties go to the pool's order.
/// A key that the pool itself has less often than that is not asked for more often.
fn cover(
    pool: &mut Vec<Parallel>,
    count: usize,
    times: usize,
    key: impl Fn(&str) -> Option<String>,
) -> Vec<Parallel> {
    let keys: Vec<BTreeSet<String>> = pool
        .iter()
        .map(|it| words(it).filter_map(|word| key(&word)).collect())
        .collect();
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, keys) in keys.iter().enumerate() {
        keys.iter()
            .for_each(|key| places.entry(key).or_default().push(index));
    }
    let mut wanting: BTreeMap<&str, usize> = places
        .iter()
        .map(|(key, places)| (*key, times.min(places.len())))
        .collect();
    let mut by_rarity: Vec<&str> = places.keys().copied().collect();
    by_rarity.sort_by_key(|key| (places[key].len(), *key));
    let mut taken = vec![false; pool.len()];
    let mut order = Vec::new();
    for rarest in by_rarity {
        while wanting[rarest] > 0 {
            let serves = |index: usize| keys[index].iter().filter(|key| wanting[key.as_str()] > 0).count();
            let open = places[rarest].iter().copied().filter(|&index| !taken[index]);
            let Some(best) = open.max_by_key(|&index| (serves(index), std::cmp::Reverse(index))) else {
                break;
            };
            taken[best] = true;
            order.push(best);
            for key in &keys[best] {
                if let Some(left) = wanting.get_mut(key.as_str()) {
                    *left = left.saturating_sub(1);
                }
            }
        }
    }
    for (index, taken) in taken.iter_mut().enumerate() {
        if order.len() >= count {
            break;
        }
        if !*taken {
            *taken = true;
            order.push(index);
        }
    }
    let chosen = order.iter().map(|&index| pool[index].clone()).collect();
    let mut index = 0;
    pool.retain(|_| {
        index += 1;
        !taken[index - 1]
    });
    chosen
}
