//! Shapes, as users write them.

use anyhow::{Context, bail};

/// So many extents, none of them 0, with a separator between them. `form` says how that is written.
pub(crate) fn extents<const N: usize>(text: &str, separator: char, form: &str) -> anyhow::Result<[usize; N]> {
    let number = |number: &str| {
        let extent = number.parse().ok().filter(|&n| n > 0);
        extent.with_context(|| format!("{number:?} is no extent"))
    };
    let numbers: Vec<usize> = text.split(separator).map(number).collect::<anyhow::Result<_>>()?;
    match numbers.try_into() {
        Ok(extents) => Ok(extents),
        Err(numbers) => bail!("expected {form}, got {} extents", numbers.len()),
    }
}
