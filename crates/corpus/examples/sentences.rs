//! Prints sentences of the grammar in four languages: `cargo run -p sandhi-corpus --example sentences -- COUNT SEED`.

use std::io::Write;

use sandhi_corpus::{Words, rng, sentence};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = arguments.first().map_or(Ok(10), |text| text.parse())?;
    let seed: u64 = arguments.get(1).map_or(Ok(0), |text| text.parse())?;
    let mut rng = rng(seed, "example sentences", []);
    let mut out = std::io::stdout().lock();
    for _ in 0..count {
        let it = sentence(&mut rng, Words::All);
        writeln!(out, "{}\n  {}\n  {}\n  {}\n", it.en, it.de, it.es, it.fr)?;
    }
    Ok(())
}
