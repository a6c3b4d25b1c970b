use std::fmt::Write;

use crate::format_duration;
use crate::report::facts::{RunFacts, unique};
use crate::report::markdown::{cell, claims, levels, plain, rates_table, section};
use crate::report::{Report, ablation};

/// A setting's section in the file of all results: what a reader compares, and what he needs to make it again. Curves,
/// alignments of labels and examples are left to the report.
pub(crate) fn write(report: &Report) -> String {
    let (reference, setting) = (&report.plan.reference, &report.plan.setting);
    let (key, name) = (&reference.key, setting.name());
    let folder = format!("reports/{key}/{name}/");
    let mut text = format!(
        "## {key}, {name}\n\n{} ({}). Scale *{}*, corpus *{}*{}; [report]({folder}README.md).\n\n",
        plain(&reference.title),
        plain(&reference.venue),
        setting.scale,
        setting.corpus,
        corpus_hash(report),
    );
    let _ = writeln!(text, "```sh\n{}\n```\n", report.facts.command);
    for caution in &report.facts.cautions {
        let _ = writeln!(text, "> **Note:** {}\n", plain(caution));
    }
    section(&mut text, "### Error rates", &rates_table(&report.table));
    section(&mut text, "### Claims", &claims(report));
    let ablations = ablation::sections(&report.ablations, "####");
    section(&mut text, "### Ablations", &ablations);
    section(&mut text, "### Levels", &levels(report, &folder));
    section(&mut text, "### Other measures", &report.measures.markdown());
    section(&mut text, "### Runs", &runs(report));
    text
}

fn corpus_hash(report: &Report) -> String {
    let mut records = report.facts.records.iter();
    let hash = records.find(|(key, _)| key == "corpus hash");
    hash.map_or_else(String::new, |(_, hash)| format!(" (hash `{hash}`)"))
}

/// How the runs of each arm were made: seeds, times, configuration, code, machine.
fn runs(report: &Report) -> String {
    let facts = &report.facts;
    let mut text =
        "| arm | seeds | wall time of a run | configuration | commit |\n|---|---|---:|---|---|\n".to_owned();
    for arm in unique(facts.runs.iter().map(|run| run.arm.clone())) {
        let runs: Vec<&RunFacts> = facts.runs.iter().filter(|run| run.arm == arm).collect();
        let each = |value: fn(&RunFacts) -> String| unique(runs.iter().map(|run| value(run)));
        let code = |values: Vec<String>| format!("`{}`", values.join("`, `"));
        let mean = runs.iter().map(|run| run.wall_seconds).sum::<f64>() / runs.len() as f64;
        let _ = writeln!(
            text,
            "| `{arm}` | {} | {} | {} | {} |",
            each(|run| run.seed.to_string()).join(", "),
            format_duration(mean),
            code(each(|run| run.config_hash.clone())),
            code(each(|run| run.commit.clone())),
        );
    }
    let total = facts.runs.iter().map(|run| run.wall_seconds).sum();
    let _ = writeln!(
        text,
        "\nWall times are means over seeds, of runs that may have shared the cores; {} in all. Configurations are SHA-256 of what \
         each run keeps as `config.toml`, cut to twelve digits.\n",
        format_duration(total)
    );
    for line in facts.machines.iter().chain(&facts.versions) {
        let _ = writeln!(text, "- {}", cell(line));
    }
    text
}
