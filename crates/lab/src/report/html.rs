use crate::report::rates::Rate;
use crate::report::svg::escape;

/// Text an experiment's author wrote: `code` between backticks, the rest as it stands.
pub(crate) fn authored(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in text.split('`').enumerate() {
        if place % 2 == 1 {
            html.push_str(&format!("<code>{}</code>", escape(part)));
        } else {
            html.push_str(&escape(part));
        }
    }
    html
}

/// A section with a heading and an anchor; nothing if it has no body.
pub(crate) fn section(id: &str, heading: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n{body}</section>\n",
        escape(heading)
    )
}

/// A list of terms and what is said of them.
pub(crate) fn definitions<'a>(items: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let items: String = items
        .into_iter()
        .map(|(term, said)| format!("<dt>{}</dt><dd>{}</dd>\n", authored(term), authored(said)))
        .collect();
    if items.is_empty() {
        items
    } else {
        format!("<dl>\n{items}</dl>\n")
    }
}

/// A table that scrolls by itself where it is too wide.
pub(crate) fn table(head: &str, rows: &str) -> String {
    format!("<div class=\"scroll\"><table>\n<thead>{head}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}

/// A rate over its interval, as a cell.
pub(crate) fn number(rate: &Rate) -> String {
    format!(
        "<td>{:.1}<small>{:.1}&#8202;&ndash;&#8202;{:.1}</small></td>",
        rate.score.value, rate.interval.low, rate.interval.high
    )
}

/// A sentence of ours: *emphasis* between asterisks, a narrow space before the percent sign.
pub(crate) fn emphasized(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in text.split('*').enumerate() {
        let part = escape(part).replace(" %", "&#8239;%");
        if place % 2 == 1 {
            html.push_str(&format!("<em>{part}</em>"));
        } else {
            html.push_str(&part);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authored_text_is_escaped_and_its_code_is_set() {
        assert_eq!(authored("`a<b` & c"), "<code>a&lt;b</code> &amp; c");
    }
}
