//! Domains: what sentences may be about, by the classes of their nouns.

use std::collections::BTreeSet;

use super::lexicon::classes::{DISH, DRINK, FOOD};
use super::lexicon::nouns::NOUNS;
use super::lexicon::rare::RARE_NOUNS;

/// The words of food and drink, rare ones included: lower-case, sorted, singular and plural. A sentence with one of them is about
/// food.
pub fn food_words() -> Vec<String> {
    let nouns = NOUNS.iter().chain(RARE_NOUNS);
    let food = nouns.filter(|noun| noun.is(FOOD | DISH | DRINK));
    let words: BTreeSet<String> = food.flat_map(|noun| noun.en).map(str::to_lowercase).collect();
    words.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn food_words_are_food() {
        let words = food_words();
        for word in ["apple", "potatoes", "soup", "tea"] {
            assert!(
                words.iter().any(|food| food == word),
                "{word} is missing: {words:?}"
            );
        }
        for word in ["mother", "train", "table", "market"] {
            assert!(!words.iter().any(|food| food == word), "{word} is no food");
        }
    }
}
