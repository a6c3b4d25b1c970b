use std::fmt::Write;

/// The colours of a figure, by class. Figures that stand alone carry them; a page has them in its own style.
pub(crate) const STYLE: &str = include_str!("figure.css");

/// Writes SVG, the same bytes for the same calls: figures are committed and reviewed as differences.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

/// Which point of a text is at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// A rectangle.
    pub(crate) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        let (x, y, width, height) = (n(x), n(y), n(width), n(height));
        self.element(&format!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" class="{class}"/>"#
        ));
    }

    /// A rectangle of some opacity.
    pub(crate) fn cell(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str, opacity: f64) {
        let (x, y, width, height, opacity) = (n(x), n(y), n(width), n(height), n(opacity));
        self.element(&format!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" class="{class}" fill-opacity="{opacity}"/>"#
        ));
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (n(from.0), n(from.1), n(to.0), n(to.1));
        self.element(&format!(
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#
        ));
    }

    /// A line through points.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", n(*x), n(*y)))
            .collect();
        self.element(&format!(
            r#"<polyline points="{}" class="{class}"/>"#,
            points.join(" ")
        ));
    }

    /// A dot.
    pub(crate) fn circle(&mut self, x: f64, y: f64, radius: f64, class: &str) {
        let (x, y, radius) = (n(x), n(y), n(radius));
        self.element(&format!(
            r#"<circle cx="{x}" cy="{y}" r="{radius}" class="{class}"/>"#
        ));
    }

    /// A text on its baseline.
    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (n(x), n(y), escape(text));
        self.element(&format!(
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    /// An image to be shown by its name, as often as wanted.
    pub(crate) fn define_image(&mut self, name: &str, href: &str) {
        self.element(&format!(
            r#"<defs><symbol id="{name}" viewBox="0 0 1 1" preserveAspectRatio="none"><image width="1" height="1" preserveAspectRatio="none" href="{href}"/></symbol></defs>"#
        ));
    }

    /// Shows a defined image, stretched to a size.
    pub(crate) fn reuse(&mut self, name: &str, at: (f64, f64), size: (f64, f64), class: &str) {
        let (x, y, width, height) = (n(at.0), n(at.1), n(size.0), n(size.1));
        self.element(&format!(
            r##"<use href="#{name}" x="{x}" y="{y}" width="{width}" height="{height}" class="{class}"/>"##
        ));
    }

    /// Another figure, moved.
    pub(crate) fn place(&mut self, x: f64, y: f64, inner: &Svg) {
        let (x, y) = (n(x), n(y));
        self.element(&format!(r#"<g transform="translate({x} {y})">"#));
        self.body.push_str(&inner.body);
        self.element("</g>");
    }

    /// The figure for a page that has [`STYLE`].
    pub(crate) fn inline(&self, width: f64, height: f64, label: &str) -> String {
        self.wrap(width, height, label, "")
    }

    /// The figure as a file of its own.
    pub(crate) fn standalone(&self, width: f64, height: f64, label: &str) -> String {
        let mut style = String::new();
        let _ = write!(
            style,
            "<style>\n{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n"
        );
        self.wrap(width, height, label, &style)
    }

    fn wrap(&self, width: f64, height: f64, label: &str, style: &str) -> String {
        let (w, h, label, body) = (n(width), n(height), escape(label), &self.body);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" role=\"img\" aria-label=\"{label}\">\n{style}{body}</svg>\n"
        )
    }

    fn element(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

/// A coordinate: two decimals at most, no trailing zeros, no negative zero.
pub(crate) fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// A number with the sign of a minus, where a reader sees it.
pub(crate) fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// Text as XML and HTML take it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no place for the other control characters, not even escaped.
            control if control.is_control() && control != '\n' && control != '\t' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svg_golden_figure_is_unchanged() {
        let mut inner = Svg::default();
        inner.circle(1.0, 2.0, 3.456, "f1");
        let mut svg = Svg::default();
        svg.line((0.0, 1.005), (-0.001, 10.10), "axis");
        svg.polyline(&[(0.0, 0.5), (1.25, 2.0)], "s0");
        svg.text(3.0, 4.0, Anchor::Middle, "label", "a<b & \"c\"");
        svg.cell(0.0, 0.0, 1.0, 1.0, "f0", 0.333_333);
        svg.place(10.0, 20.0, &inner);
        let expected = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"0 0 30 40\" width=\"30\" \
                        height=\"40\" role=\"img\" aria-label=\"a figure\">\n\
                        <line x1=\"0\" y1=\"1\" x2=\"0\" y2=\"10.1\" class=\"axis\"/>\n\
                        <polyline points=\"0,0.5 1.25,2\" class=\"s0\"/>\n\
                        <text x=\"3\" y=\"4\" text-anchor=\"middle\" class=\"label\">a&lt;b &amp; &quot;c&quot;</text>\n\
                        <rect x=\"0\" y=\"0\" width=\"1\" height=\"1\" class=\"f0\" fill-opacity=\"0.33\"/>\n\
                        <g transform=\"translate(10 20)\">\n\
                        <circle cx=\"1\" cy=\"2\" r=\"3.46\" class=\"f1\"/>\n\
                        </g>\n</svg>\n";
        assert_eq!(svg.inline(30.0, 40.0, "a figure"), expected);
    }

    #[test]
    fn coordinates_are_short_and_never_negative_zero() {
        assert_eq!(
            [n(1.0), n(0.126), n(-0.001), n(100.0), n(-2.5)],
            ["1", "0.13", "0", "100", "-2.5"]
        );
    }
}
