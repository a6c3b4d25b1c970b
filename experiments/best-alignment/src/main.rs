//! Best alignment: improving joint speech-text representations without alignment.
//! Peyser et al., Interspeech 2023, arXiv:2308.06125.
//!
//! Read `experiment.rs` top to bottom, then `matching.rs`: the loss; then `layers.rs`: what the paper looks at.

mod ablations;
mod arms;
mod claims;
mod config;
mod cost;
mod experiment;
mod layers;
mod matching;
mod objective;
mod stream;
mod teacher;

use crate::experiment::BestAlignment;

/// What only this paper can do.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Hear a file as if it were being spoken, with partial results
    ///
    /// One line each time more is written: seconds heard, a tab, `partial`, a tab, the text so far. At the end the streaming
    /// decoder's text as `first` and the full-context decoder's as `final`.
    Stream(stream::Options),
    /// Time a training step with and without the consistency loss
    ///
    /// On random speech and text of the model of scale mini. The search for the best alignments is timed alone too.
    Cost(cost::Options),
}

fn main() -> anyhow::Result<()> {
    let about = "Best alignment: joint speech-text recognition with a consistency loss along the best alignment, at every layer";
    sandhi_recipe::program::<BestAlignment, Command>(about, |command| match command {
        Command::Stream(options) => stream::stream(&options),
        Command::Cost(options) => cost::cost(&options),
    })
}
