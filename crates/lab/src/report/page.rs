use std::fmt::Write;

use crate::format_duration;
use crate::report::alignment::Figure;
use crate::report::curves::COLOURS;
use crate::report::examples::{Example, Piece};
use crate::report::html::{authored, definitions, emphasized, number, section, table};
use crate::report::rates::reading;
use crate::report::resample::SAMPLES;
use crate::report::svg::{STYLE, escape};
use crate::report::verdict::{Judged, NONE_TESTED, Verdict, any_tested};
use crate::report::{Report, ablation, alignment, curves, intervals, layers, markdown};

const PAGE: &str = include_str!("page.css");

/// Typesets a report as one page: style, figures and pictures inside, nothing fetched.
pub(crate) fn write(report: &Report) -> String {
    let body = [
        head(report),
        section("claims", "Claims", &claims(report)),
        section("rates", "Error rates", &rates(report)),
        section("ablations", "Ablations", &ablations(report)),
        section("measures", "Other measures", &report.measures.html()),
        section("curves", "Learning curves", &learning(report)),
        section(
            "alignments",
            "Alignments",
            &report.figures.iter().map(figure).collect::<String>(),
        ),
        section("levels", "Levels", &layers::html(report)),
        section("errors", "Worst errors", &examples(report)),
        section(
            "departures",
            "Departures from the paper",
            &definitions(
                report
                    .plan
                    .departures
                    .iter()
                    .map(|item| (item.what.as_str(), item.why.as_str())),
            ),
        ),
        section(
            "unknowns",
            "What the paper does not say",
            &definitions(
                report
                    .plan
                    .unknowns
                    .iter()
                    .map(|item| (item.what.as_str(), item.reading.as_str())),
            ),
        ),
        section("making", "How it was made", &making(report)),
        section(
            "reference",
            "Reference",
            &format!("<pre>{}</pre>\n", escape(&report.plan.reference.bibtex)),
        ),
    ];
    let title = format!("{}, {}", report.plan.reference.key, report.plan.setting.name());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>\n{STYLE}{PAGE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escape(&title),
        body.concat()
    )
}

fn head(report: &Report) -> String {
    let (reference, setting) = (&report.plan.reference, &report.plan.setting);
    let arxiv = match reference.arxiv.as_str() {
        "" => String::new(),
        id => format!(
            " &middot; <a href=\"https://arxiv.org/abs/{0}\">arXiv:{0}</a>",
            escape(id)
        ),
    };
    let mut html = format!(
        "<header>\n<p class=\"eyebrow\">Reproduction &middot; scale {} &middot; corpus {}</p>\n<h1>{}</h1>\n\
         <p class=\"byline\">{}<br>{}{arxiv}</p>\n",
        setting.scale,
        escape(&setting.corpus),
        escape(&reference.title),
        escape(&reference.authors),
        escape(&reference.venue),
    );
    if !report.facts.cautions.is_empty() {
        let notes: String = report
            .facts
            .cautions
            .iter()
            .map(|caution| format!("<p>{}</p>", escape(&capitalized(caution))))
            .collect();
        let _ = writeln!(html, "<aside>{notes}</aside>");
    }
    html.push_str("</header>\n");
    html
}

fn claims(report: &Report) -> String {
    if report.judged.is_empty() {
        return String::new();
    }
    if !any_tested(&report.judged) {
        return format!("<p>{NONE_TESTED}</p>\n");
    }
    let cards: String = report.judged.iter().map(claim).collect();
    format!(
        "{cards}<p class=\"fine\">A positive difference is as claimed. A claim is <em>reproduced</em> if the whole 95&#8239;% interval of the difference is on \
         its side, which for a claim to match is above minus its margin, <em>not reproduced</em> if it is on the other, else <em>inconclusive</em>. Paired bootstrap over \
         utterances, and over seeds where there are several, {SAMPLES} resamples.</p>\n"
    )
}

fn claim(judged: &Judged) -> String {
    let class = match judged.verdict {
        Verdict::Reproduced => "yes",
        Verdict::NotReproduced => "no",
        Verdict::Inconclusive(_) => "open",
        Verdict::NotTested(_) => "none",
    };
    let plot = intervals::difference(judged).map_or_else(String::new, |svg| {
        let caption = "difference in points, with its 95 % interval";
        let figure = svg.inline(intervals::WIDTH, intervals::DIFFERENCE_HEIGHT, caption);
        format!("<figure>{figure}<figcaption>{caption}</figcaption></figure>")
    });
    format!(
        "<article class=\"claim {class}\">\n<div><p class=\"verdict\">{}</p>\n<p class=\"statement\">{}</p>\n\
         <p class=\"fine\">{}. <span>{}</span></p></div>\n{plot}</article>\n",
        judged.verdict.label(),
        authored(&judged.claim.statement),
        escape(&markdown::evidence(judged)),
        authored(&judged.claim.source),
    )
}

fn rates(report: &Report) -> String {
    let rates = &report.table;
    if rates.splits.is_empty() {
        return "<p>No run is complete.</p>\n".to_owned();
    }
    let figures: String = rates
        .figures()
        .iter()
        .map(|(svg, height)| {
            format!(
                "<figure>{}</figure>\n",
                svg.inline(intervals::WIDTH, *height, "word error rates with intervals")
            )
        })
        .collect();
    let splits = rates
        .splits
        .iter()
        .map(|split| format!("<th colspan=\"2\">{}</th>", escape(split)));
    let head = format!(
        "<tr><th rowspan=\"2\">arm</th>{}<th rowspan=\"2\">seeds</th></tr>\n<tr>{}</tr>",
        splits.collect::<String>(),
        "<th>WER</th><th>CER</th>".repeat(rates.splits.len())
    );
    let mut rows = String::new();
    for row in &rates.rows {
        let colour = row.index % COLOURS;
        let _ = write!(
            rows,
            "<tr><th scope=\"row\"><i class=\"chip k{colour}\"></i>{}<small>{}</small></th>",
            escape(&row.arm),
            authored(&row.why)
        );
        if let Some(absence) = &row.absence {
            let _ = writeln!(
                rows,
                "<td class=\"missing\" colspan=\"{}\">{}</td></tr>",
                2 * rates.splits.len() + 1,
                escape(absence)
            );
            continue;
        }
        for cell in &row.cells {
            match cell {
                Some(cell) => rows.push_str(&[number(&cell.word), number(&cell.character)].concat()),
                None => rows.push_str("<td class=\"missing\">missing</td><td class=\"missing\">missing</td>"),
            }
        }
        let seeds = row
            .cells
            .iter()
            .flatten()
            .map(|cell| cell.word.seeds.len())
            .max()
            .unwrap_or(0);
        let _ = writeln!(rows, "<td>{seeds}</td></tr>");
    }
    let signatures: String = rates
        .signatures()
        .iter()
        .map(|signature| format!("<li><code>{}</code></li>", escape(signature)))
        .collect();
    let mut html = format!(
        "<div class=\"panels\">{figures}</div>\n{}<p class=\"fine\">{}</p>\n",
        table(&head, &rows),
        emphasized(&reading())
    );
    if !report.facts.not_run.is_empty() {
        let _ = writeln!(
            html,
            "<p class=\"fine\">Arms not run: {}.</p>",
            escape(&report.facts.not_run.join(", "))
        );
    }
    let _ = writeln!(
        html,
        "<details><summary>Substitutions, deletions, insertions</summary>\n{}</details>\n\
         <details><summary>How it is scored</summary>\n<ul class=\"plain\">{signatures}</ul></details>",
        edits(report)
    );
    html
}

fn ablations(report: &Report) -> String {
    let mut html = ablation::panels(&report.ablations);
    if let Some(skipped) = ablation::skipped(&report.ablations, &report.plan) {
        let _ = writeln!(html, "<p class=\"fine\">{}</p>", authored(&skipped));
    }
    html
}

fn edits(report: &Report) -> String {
    let mut rows = String::new();
    for (row, split, cell) in report.table.cells() {
        for (metric, rate) in [("WER", &cell.word), ("CER", &cell.character)] {
            let edits = rate.score.edits;
            let seeds: Vec<String> = rate
                .seeds
                .iter()
                .map(|(seed, value)| format!("{seed}: {value:.1}"))
                .collect();
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{metric}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td></tr>",
                escape(&row.arm),
                escape(split),
                edits.substitutions,
                edits.deletions,
                edits.insertions,
                edits.reference_len,
                seeds.join(", "),
            );
        }
    }
    let head = "<tr><th>arm</th><th>split</th><th>rate</th><th>S</th><th>D</th><th>I</th><th>reference</th><th>by seed</th></tr>";
    table(head, &rows)
}

fn learning(report: &Report) -> String {
    if report.panels.is_empty() {
        return String::new();
    }
    let panels: String = report
        .panels
        .iter()
        .map(|panel| {
            format!(
                "<figure>{}</figure>\n",
                panel.draw().inline(curves::WIDTH, curves::HEIGHT, &panel.label())
            )
        })
        .collect();
    let legend: String = report
        .evidence
        .arms
        .iter()
        .enumerate()
        .filter(|(_, arm)| arm.main && !arm.done.is_empty())
        .map(|(index, arm)| {
            format!(
                "<span><i class=\"chip k{}\"></i>{}</span>",
                index % COLOURS,
                escape(&arm.name)
            )
        })
        .collect();
    format!(
        "<p class=\"legend\">{legend}</p>\n<div class=\"panels\">{panels}</div>\n<p class=\"fine\">One line per run. \
         Where there are more than 150 points, means over windows of equal size.</p>\n"
    )
}

fn figure(figure: &Figure) -> String {
    let svg = figure.svg.inline(
        alignment::WIDTH,
        figure.height,
        "alignment posteriors under the spectrogram",
    );
    let heard: String = figure
        .hypotheses
        .iter()
        .map(|(arm, text)| format!("<br>{} heard: <q>{}</q>", escape(arm), escape(text)))
        .collect();
    format!(
        "<figure class=\"wide\"><div class=\"scroll\">{svg}</div>\n<figcaption><q>{}</q>: its spectrogram, the words \
         where the corpus has them (dotted), and when each arm emits each label: the \
         stronger, the likelier.{heard}</figcaption></figure>\n",
        escape(&figure.text)
    )
}

fn examples(report: &Report) -> String {
    if report.examples.is_empty() {
        return String::new();
    }
    let list: String = report.examples.iter().map(example).collect();
    format!(
        "<p class=\"fine\">Words <mark>heard wrong</mark> with what was said above them, words <del>not heard</del>, \
         words <ins>nobody said</ins>.</p>\n{list}"
    )
}

fn example(example: &Example) -> String {
    let heard: String = example
        .heard
        .iter()
        .map(|(arm, errors, pieces)| {
            let words: Vec<String> = pieces.iter().map(piece).collect();
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td>{errors}</td></tr>\n",
                escape(arm),
                words.join(" ")
            )
        })
        .collect();
    format!(
        "<article class=\"example\"><p>{}<small>{} &middot; {}</small></p>\n<table>{heard}</table></article>\n",
        escape(&example.reference),
        escape(&example.split),
        escape(&example.id)
    )
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Same(word) => escape(word),
        Piece::Substituted(said, heard) => {
            format!(
                "<ruby><mark>{}</mark><rt>{}</rt></ruby>",
                escape(heard),
                escape(said)
            )
        }
        Piece::Deleted(said) => format!("<del>{}</del>", escape(said)),
        Piece::Inserted(heard) => format!("<ins>{}</ins>", escape(heard)),
    }
}

fn making(report: &Report) -> String {
    let facts = &report.facts;
    let mut html = format!("<pre>{}</pre>\n", escape(&facts.command));
    let mut rows = String::new();
    for run in &facts.runs {
        let sessions = if run.sessions > 1 {
            format!(" in {} sessions", run.sessions)
        } else {
            String::new()
        };
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}{sessions}</td><td><code>{}</code></td>\
             <td><code>{}</code></td><td>{}</td></tr>",
            escape(&run.arm),
            run.seed,
            format_duration(run.wall_seconds),
            escape(&run.config_hash),
            escape(&run.commit),
            escape(run.ended.get(..10).unwrap_or_default()),
        );
    }
    if !rows.is_empty() {
        let head = "<tr><th>arm</th><th>seed</th><th>wall time</th><th>configuration</th><th>commit</th><th>ended</th></tr>";
        html.push_str(&table(head, &rows));
    }
    let lines: String = facts
        .machines
        .iter()
        .chain(&facts.versions)
        .map(|line| format!("<li>{}</li>", escape(line)))
        .collect();
    let records: String = facts
        .records
        .iter()
        .map(|(key, value)| format!("<li>{}: {}</li>", escape(key), escape(value)))
        .collect();
    let _ = writeln!(html, "<ul class=\"plain\">{lines}{records}</ul>");
    html
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), characters.as_str())
    })
}
