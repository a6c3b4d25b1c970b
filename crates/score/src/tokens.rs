//! What counts as a word and what as a character: jiwer 4's default rules.

/// The words of a line.
///
/// White space at both ends is dropped. Words are separated by one space or by any run of two or more
/// white-space characters; a *single* tab or no-break space inside a line does not separate, as in jiwer 4.
///
/// # Proved by
///
/// `word_edits_equal_jiwer`, whose golden text has tabs, no-break spaces and line separators.
pub fn words(line: &str) -> Vec<&str> {
    let line = line.trim_matches(is_space);
    let mut words = Vec::new();
    let mut start = 0;
    let mut rest = line.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if !is_space(c) {
            continue;
        }
        let (mut end, mut run) = (at + c.len_utf8(), 1);
        while let Some((next, c)) = rest.next_if(|&(_, c)| is_space(c)) {
            (end, run) = (next + c.len_utf8(), run + 1);
        }
        if c == ' ' || run > 1 {
            words.push(&line[start..at]);
            start = end;
        }
    }
    if start < line.len() {
        words.push(&line[start..]);
    }
    words
}

/// The characters of a line: its Unicode code points, without the white space at both ends.
///
/// Inner spaces count, each of them. A base letter with a combining mark is two characters; a composed
/// letter is one: bring both sides to one normal form before scoring.
pub fn characters(line: &str) -> Vec<char> {
    line.trim_matches(is_space).chars().collect()
}

/// White space as Python's `str.isspace` has it: Unicode `White_Space` and the four information separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
