//! Which phones of an utterance belong to which word.

/// What it costs to skip a phone on one side.
const SKIP: u32 = 4;

/// What it costs to take one phone for another: reduced vowels are cheap, a consonant for a vowel is dear.
fn substitution(a: &str, b: &str) -> u32 {
    let vowel = |phone: &str| phone.starts_with(['a', 'e', 'i', 'o', 'u']);
    match (a == b, vowel(a), vowel(b)) {
        (true, ..) => 0,
        (_, true, true) => 1,
        (_, false, false) => 3,
        _ => 6,
    }
}

/// The word of each phone, by the cheapest alignment of the phones with the words' dictionary pronunciations, and
/// the cost of that alignment.
///
/// Pauses (`pau`) belong to no word. A phone that no dictionary pronunciation has belongs to the word before it.
pub(super) fn words_of_phones(phones: &[&str], words: &[&[String]]) -> (Vec<Option<usize>>, u32) {
    let spoken: Vec<usize> = (0..phones.len())
        .filter(|&index| phones[index] != "pau")
        .collect();
    let expected: Vec<(usize, &str)> = words
        .iter()
        .enumerate()
        .flat_map(|(word, phones)| phones.iter().map(move |phone| (word, phone.as_str())))
        .collect();
    let (rows, columns) = (spoken.len() + 1, expected.len() + 1);
    let mut cost = vec![vec![u32::MAX; columns]; rows];
    for row in 0..rows {
        for column in 0..columns {
            let mut best = if row + column == 0 { 0 } else { u32::MAX };
            if row > 0 {
                best = best.min(cost[row - 1][column].saturating_add(SKIP));
            }
            if column > 0 {
                best = best.min(cost[row][column - 1].saturating_add(SKIP));
            }
            if row > 0 && column > 0 {
                let change = substitution(phones[spoken[row - 1]], expected[column - 1].1);
                best = best.min(cost[row - 1][column - 1].saturating_add(change));
            }
            cost[row][column] = best;
        }
    }
    let mut owner = vec![None; phones.len()];
    let (mut row, mut column) = (rows - 1, columns - 1);
    while row > 0 || column > 0 {
        let here = cost[row][column];
        let diagonal = row > 0
            && column > 0
            && here
                == cost[row - 1][column - 1]
                    .saturating_add(substitution(phones[spoken[row - 1]], expected[column - 1].1));
        if diagonal {
            owner[spoken[row - 1]] = Some(expected[column - 1].0);
            (row, column) = (row - 1, column - 1);
        } else if row > 0 && here == cost[row - 1][column].saturating_add(SKIP) {
            let before = expected
                .get(column.saturating_sub(1))
                .map_or(0, |(word, _)| *word);
            owner[spoken[row - 1]] = Some(before);
            row -= 1;
        } else {
            column -= 1;
        }
    }
    (owner, cost[rows - 1][columns - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phones(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn words_of_phones_find_reduced_vowels_and_pauses() {
        // `the boy can't sleep`: the dictionary says `dh iy`, the speaker `dh ax`, and pauses.
        let dictionary = [
            phones("dh iy"),
            phones("b oy"),
            phones("k ae n t"),
            phones("s l iy p"),
        ];
        let words: Vec<&[String]> = dictionary.iter().map(Vec::as_slice).collect();
        let spoken = phones("pau dh ax b oy pau k ae n t s l iy p pau");
        let spoken: Vec<&str> = spoken.iter().map(String::as_str).collect();
        let (owner, cost) = words_of_phones(&spoken, &words);
        let expected = [9, 0, 0, 1, 1, 9, 2, 2, 2, 2, 3, 3, 3, 3, 9].map(|word| (word != 9).then_some(word));
        assert_eq!(owner, expected);
        assert_eq!(cost, 1);
    }

    #[test]
    fn words_of_phones_give_an_extra_phone_to_the_word_before() {
        let dictionary = [phones("r ey n"), phones("s t aa p")];
        let words: Vec<&[String]> = dictionary.iter().map(Vec::as_slice).collect();
        let spoken = phones("r ey n z s t aa p");
        let spoken: Vec<&str> = spoken.iter().map(String::as_str).collect();
        let (owner, cost) = words_of_phones(&spoken, &words);
        assert_eq!(owner, [0, 0, 0, 0, 1, 1, 1, 1].map(Some));
        assert_eq!(cost, SKIP);
    }
}
