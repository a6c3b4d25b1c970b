use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(5);

/// How far a piece of work is, on standard error: a bar with the time left on a terminal, otherwise a line every
/// few seconds.
#[derive(Debug)]
pub struct Progress(Kind);

#[derive(Debug)]
enum Kind {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

impl Progress {
    /// Starts a piece of work of `total` steps.
    pub(crate) fn start(bars: &MultiProgress, what: &str, total: u64) -> Self {
        if std::io::stderr().is_terminal() {
            let bar = bars.add(ProgressBar::new(total));
            // The template is ours and constant; a default bar would do if it ever failed to parse.
            let style = ProgressStyle::with_template(
                "{prefix} {bar:28.cyan/dim} {human_pos}/{human_len}  {msg}  {elapsed} elapsed, {eta} left",
            );
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸━"),
            );
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            Self(Kind::Bar(bar))
        } else {
            let now = Instant::now();
            let lines = Lines {
                what: what.to_owned(),
                total,
                position: 0,
                offset: None,
                message: String::new(),
                start: now,
                last: now,
            };
            lines.show();
            Self(Kind::Lines(Mutex::new(lines)))
        }
    }

    /// Sets what is shown beside the bar.
    pub fn set_message(&self, message: impl Into<String>) {
        match &self.0 {
            Kind::Bar(bar) => bar.set_message(message.into()),
            Kind::Lines(lines) => with(lines, |lines| lines.message = message.into()),
        }
    }

    /// Moves on by `steps`.
    pub fn inc(&self, steps: u64) {
        match &self.0 {
            Kind::Bar(bar) => bar.inc(steps),
            Kind::Lines(lines) => with(lines, |lines| lines.moved(lines.position + steps)),
        }
    }

    /// Moves to a position. The first move sets where the work began, so that a resumed run shows a true time left.
    pub fn set_position(&self, position: u64) {
        match &self.0 {
            Kind::Bar(bar) => {
                if bar.position() == 0 && position > 0 {
                    bar.reset_eta();
                }
                bar.set_position(position);
            }
            Kind::Lines(lines) => with(lines, |lines| {
                lines.offset.get_or_insert(position);
                lines.moved(position);
            }),
        }
    }

    /// Ends the work; the last state stays visible.
    pub fn finish(&self) {
        match &self.0 {
            Kind::Bar(bar) => bar.abandon(),
            Kind::Lines(lines) => with(lines, |lines| lines.show()),
        }
    }
}

/// A poisoned lock only means that another thread panicked while it reported progress.
fn with(lines: &Mutex<Lines>, act: impl FnOnce(&mut Lines)) {
    act(&mut lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
}

#[derive(Debug)]
struct Lines {
    what: String,
    total: u64,
    position: u64,
    offset: Option<u64>,
    message: String,
    start: Instant,
    last: Instant,
}

impl Lines {
    fn moved(&mut self, position: u64) {
        self.position = position;
        if self.last.elapsed() >= INTERVAL {
            self.last = Instant::now();
            self.show();
        }
    }

    #[allow(clippy::print_stderr)] // Progress belongs on standard error.
    fn show(&self) {
        eprintln!("{}", self.line(self.start.elapsed()));
    }

    fn line(&self, elapsed: Duration) -> String {
        let Self {
            what,
            position,
            total,
            message,
            ..
        } = self;
        let mut line = format!("{what} {position}/{total}");
        if !message.is_empty() {
            line.push_str(&format!("  {message}"));
        }
        let done = position.saturating_sub(self.offset.unwrap_or(0));
        if done > 0 && position < total {
            let left = elapsed.as_secs_f64() / done as f64 * (total - position) as f64;
            line.push_str(&format!("  {} left", duration(left)));
        }
        line
    }
}

/// One line of progress as it is written where there is no terminal, for a program that shows it on its own.
#[derive(Debug, PartialEq, Eq)]
pub struct ProgressLine<'a> {
    /// What is being done.
    pub what: &'a str,
    /// Steps done.
    pub position: u64,
    /// Of so many.
    pub total: u64,
    /// What is shown beside it.
    pub message: &'a str,
    /// The time left, once there is an estimate.
    pub left: Option<&'a str>,
}

impl<'a> ProgressLine<'a> {
    /// Reads a line back; none if it is no progress.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (what, after) = line.split_once(' ')?;
        let (count, rest) = after
            .split_once("  ")
            .map_or((after, ""), |(count, _)| (count, &after[count.len()..]));
        let (position, total) = count.split_once('/')?;
        let (message, left) = match rest.rsplit_once("  ") {
            Some((message, left)) if left.ends_with(" left") => (message, Some(left)),
            _ => (rest, None),
        };
        Some(Self {
            what,
            position: position.parse().ok()?,
            total: total.parse().ok()?,
            message: message.trim_start(),
            left,
        })
    }
}

/// Seconds as `42 s`, `3 min 05 s`, `2 h 10 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_of_a_resumed_run_counts_from_where_it_resumed() {
        let now = Instant::now();
        let lines = Lines {
            what: "training".to_owned(),
            total: 100,
            position: 60,
            offset: Some(50),
            message: "loss 1.0".to_owned(),
            start: now,
            last: now,
        };
        assert_eq!(
            lines.line(Duration::from_secs(10)),
            "training 60/100  loss 1.0  40 s left"
        );
    }

    #[test]
    fn progress_lines_are_read_back() {
        let line = ProgressLine::parse("train 60/100  loss 1.0  40 s left").unwrap();
        assert_eq!((line.what, line.position, line.total), ("train", 60, 100));
        assert_eq!((line.message, line.left), ("loss 1.0", Some("40 s left")));
        let line = ProgressLine::parse("train 60/100  40 s left").unwrap();
        assert_eq!((line.message, line.left), ("", Some("40 s left")));
        let line = ProgressLine::parse("train 100/100  loss 1.0  rnnt 2.0").unwrap();
        assert_eq!((line.message, line.left), ("loss 1.0  rnnt 2.0", None));
        assert_eq!(ProgressLine::parse("features 0/96").unwrap().message, "");
        for other in ["error: a/b", "Error: utterance x", "", "half 1/2 done", "1/2"] {
            assert_eq!(ProgressLine::parse(other), None, "{other}");
        }
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(185.0), "3 min 05 s");
        assert_eq!(duration(7800.0), "2 h 10 min");
    }
}
