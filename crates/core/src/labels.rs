//! The reference label sequences of a batch.

use crate::{Error, Lengths, Result};

/// Label rows on the host, with the id of the blank they may not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    rows: Vec<Vec<u32>>,
    lengths: Lengths,
    blank: u32,
}

impl Labels {
    /// One row of label ids per utterance; rows may be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Label`] if a row holds the blank.
    pub fn new(rows: Vec<Vec<u32>>, blank: u32) -> Result<Self> {
        for (utterance, row) in rows.iter().enumerate() {
            if let Some(position) = row.iter().position(|&label| label == blank) {
                return Err(Error::Label {
                    utterance,
                    position,
                    label: blank,
                    why: "it is the blank".into(),
                });
            }
        }
        let lengths = Lengths::new(rows.iter().map(Vec::len).collect());
        Ok(Self { rows, lengths, blank })
    }

    /// The label ids of each utterance.
    pub fn rows(&self) -> &[Vec<u32>] {
        &self.rows
    }

    /// The number of labels of each utterance.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// The id of the blank.
    pub fn blank(&self) -> u32 {
        self.blank
    }

    /// The number of utterances.
    pub fn batch_size(&self) -> usize {
        self.rows.len()
    }

    /// The longest row.
    pub fn max_len(&self) -> usize {
        self.lengths.max()
    }

    /// Checks every id against the size of the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Error::Label`] naming the first id outside it.
    pub fn check_vocabulary(&self, size: usize) -> Result<()> {
        for (utterance, row) in self.rows.iter().enumerate() {
            if let Some(position) = row.iter().position(|&label| label as usize >= size) {
                let why = format!("the vocabulary has {size} entries");
                return Err(Error::Label {
                    utterance,
                    position,
                    label: row[position],
                    why,
                });
            }
        }
        Ok(())
    }
}
