//! Processes side by side: each with its share of the cores and a line of its own to show its progress on.

use std::io::{BufRead, BufReader, IsTerminal, Seek, Write};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sandhi_lab::{INTERRUPTED, ProgressLine};
use tempfile::NamedTempFile;

/// A process to be.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) command: Command,
}

/// What happens to a job, by its place in the list.
pub(crate) enum Event {
    Started(usize),
    Ended(usize, ExitStatus, Duration),
}

/// How the cores are divided: several small trainings use them better than one after another with all of them, and the
/// numbers do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// How many run at a time.
    pub(crate) at_a_time: usize,
    cores: usize,
}

impl Shares {
    pub(crate) fn new(asked: Option<usize>, jobs: usize, cores: usize) -> Self {
        let at_a_time = asked.unwrap_or(cores).clamp(1, jobs.max(1));
        Self { at_a_time, cores }
    }

    /// Threads for each of so many that run.
    fn threads(self, running: usize) -> usize {
        (self.cores / running.max(1)).max(1)
    }
}

/// A file that tells all processes with how many threads to work.
struct Told {
    file: NamedTempFile,
    threads: usize,
}

impl Told {
    fn start(threads: usize) -> anyhow::Result<Self> {
        let file = NamedTempFile::new().context("cannot make a temporary file")?;
        let mut told = Self { file, threads: 0 };
        told.grow(threads)?;
        Ok(told)
    }

    fn grow(&mut self, threads: usize) -> anyhow::Result<()> {
        if threads > self.threads {
            self.threads = threads;
            // Over what was there and in one go: a reader sees either number.
            let file = self.file.as_file_mut();
            file.rewind()?;
            file.write_all(format!("{threads}\n").as_bytes())?;
        }
        Ok(())
    }
}

/// Runs all jobs, some at a time, and tells what becomes of each. When none is left to start, those that run get the cores
/// of those that have ended. After one was interrupted, or this process was told to stop, no other is started. Returns
/// whether that was so.
pub(crate) fn run(
    mut jobs: Vec<Job>,
    shares: Shares,
    screen: &Screen,
    mut tell: impl FnMut(Event) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let signals = Signals::listen()?;
    let mut running: Vec<Running> = Vec::new();
    let (mut next, mut interrupted) = (0, false);
    let mut told = Told::start(shares.threads(shares.at_a_time))?;
    while !running.is_empty() || (next < jobs.len() && !interrupted) {
        while running.len() < shares.at_a_time && next < jobs.len() && !interrupted {
            tell(Event::Started(next))?;
            running.push(Running::start(
                next,
                &mut jobs[next],
                shares.cores,
                &told,
                screen,
            )?);
            next += 1;
        }
        let mut still = Vec::with_capacity(running.len());
        for mut job in running {
            match job.child.try_wait()? {
                Some(status) => {
                    job.shown.into_iter().for_each(|reader| drop(reader.join()));
                    interrupted |= status.code() == Some(INTERRUPTED);
                    tell(Event::Ended(job.index, status, job.begun.elapsed()))?;
                }
                None => {
                    // Ctrl-C reaches the processes by itself, a termination is passed on.
                    if signals.terminate.load(Ordering::Relaxed) && !job.told {
                        job.told = true;
                        let id = job.child.id().to_string();
                        Command::new("kill")
                            .arg(id)
                            .status()
                            .context("cannot pass the signal on")?;
                    }
                    still.push(job);
                }
            }
        }
        running = still;
        interrupted |= signals.stop();
        if next == jobs.len() {
            told.grow(shares.threads(running.len()))?;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(interrupted)
}

struct Running {
    index: usize,
    child: Child,
    begun: Instant,
    told: bool,
    shown: Option<JoinHandle<()>>,
}

impl Running {
    fn start(
        index: usize,
        job: &mut Job,
        cores: usize,
        told: &Told,
        screen: &Screen,
    ) -> anyhow::Result<Self> {
        // Whoever has set a number of threads means it for each process.
        if std::env::var_os("RAYON_NUM_THREADS").is_none() {
            job.command.env("RAYON_NUM_THREADS", cores.to_string());
            job.command.arg("--threads").arg(told.file.path());
        }
        if screen.shared {
            job.command.stderr(Stdio::piped());
        }
        let mut child = job.command.spawn().context("cannot start the experiment")?;
        let shown = child.stderr.take().map(|stderr| screen.follow(&job.name, stderr));
        Ok(Self {
            index,
            child,
            begun: Instant::now(),
            told: false,
            shown,
        })
    }
}

/// Where progress is shown. A process that has the screen for itself writes to it; the lines of several are collected.
#[derive(Clone)]
pub(crate) struct Screen {
    shared: bool,
    bars: Option<MultiProgress>,
}

impl Screen {
    /// For so many processes at a time.
    pub(crate) fn new(at_a_time: usize) -> Self {
        let shared = at_a_time > 1;
        let bars = (shared && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Self { shared, bars }
    }

    /// Writes a line above the bars.
    pub(crate) fn say(&self, line: &str) -> anyhow::Result<()> {
        match &self.bars {
            Some(bars) => bars.println(line)?,
            None => writeln!(std::io::stderr(), "{line}")?,
        }
        Ok(())
    }

    /// Shows what a process writes, until it ends: its progress as a bar where there is a terminal, all else as lines
    /// under its name.
    fn follow(&self, name: &str, stderr: ChildStderr) -> JoinHandle<()> {
        let (screen, name) = (self.clone(), name.to_owned());
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(0));
            // The template is constant; a default bar would do if it ever failed to parse.
            let style = ProgressStyle::with_template("{prefix:22} {bar:20.cyan/dim} {pos}/{len}  {wide_msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸━"),
            );
            bar.set_prefix(name.clone());
            bar
        });
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                match (&bar, ProgressLine::parse(&line)) {
                    (Some(bar), Some(progress)) => {
                        bar.set_length(progress.total);
                        bar.set_position(progress.position);
                        // A narrow terminal cuts the end: the time left stands first.
                        let parts = [progress.what, progress.left.unwrap_or_default(), progress.message];
                        let shown: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                        bar.set_message(shown.join("  "));
                    }
                    // Nobody is left to tell if the screen is gone.
                    _ => drop(screen.say(&format!("{name}: {line}"))),
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        })
    }
}

/// Keeps the runner alive while runs that were asked to stop save their state.
struct Signals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let signals = Self {
            interrupt: Arc::default(),
            terminate: Arc::default(),
        };
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&signals.interrupt))?;
        signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&signals.terminate))?;
        Ok(signals)
    }

    fn stop(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed) || self.terminate.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Job {
            name: script.to_owned(),
            command,
        }
    }

    /// Runs scripts and returns the order of events: `+i` for a start, `-i:code` for an end.
    fn events(scripts: &[&str], at_a_time: usize) -> (bool, Vec<String>) {
        let mut events = Vec::new();
        let stopped = run(
            scripts.iter().map(|script| shell(script)).collect(),
            Shares { at_a_time, cores: 2 },
            &Screen::new(at_a_time),
            |event| {
                events.push(match event {
                    Event::Started(index) => format!("+{index}"),
                    Event::Ended(index, status, _) => format!("-{index}:{}", status.code().unwrap_or(-1)),
                });
                Ok(())
            },
        );
        (stopped.unwrap(), events)
    }

    #[test]
    fn jobs_run_as_many_at_a_time_as_allowed() {
        assert_eq!(
            events(&["sleep 0.6", "exit 3", "exit 0"], 2),
            (
                false,
                ["+0", "+1", "-1:3", "+2", "-2:0", "-0:0"]
                    .map(String::from)
                    .to_vec()
            )
        );
        assert_eq!(
            events(&["exit 0", "exit 3"], 1),
            (false, ["+0", "-0:0", "+1", "-1:3"].map(String::from).to_vec())
        );
    }

    #[test]
    fn jobs_start_nothing_after_an_interruption_but_end_what_runs() {
        assert_eq!(
            events(&["sleep 0.6", "exit 75", "exit 0"], 2),
            (true, ["+0", "+1", "-1:75", "-0:0"].map(String::from).to_vec())
        );
    }

    #[test]
    fn jobs_share_the_cores() {
        let shares = |asked, jobs, cores| {
            let shares = Shares::new(asked, jobs, cores);
            (shares.at_a_time, shares.threads(shares.at_a_time))
        };
        assert_eq!(shares(None, 4, 2), (2, 1));
        assert_eq!(shares(None, 1, 2), (1, 2));
        assert_eq!(shares(None, 4, 16), (4, 4));
        assert_eq!(shares(Some(1), 4, 2), (1, 2));
        assert_eq!(shares(Some(8), 4, 2), (4, 1));
        assert_eq!(shares(None, 0, 2), (1, 2));
    }

    #[test]
    fn jobs_get_the_cores_of_those_that_ended() {
        if std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let alone = "test $RAYON_NUM_THREADS = 2 && test $(cat $1) = 2";
            assert_eq!(events(&[alone], 1).1, ["+0", "-0:0"]);
            // Each of two has one thread, until one of them has ended.
            let short = "test $(cat $1) = 1 && sleep 0.3";
            let long = "test $(cat $1) = 1 || exit 2; \
                        for i in $(seq 600); do test $(cat $1) = 2 && exit 0; sleep 0.05; done; exit 1";
            assert_eq!(events(&[short, long], 2).1, ["+0", "+1", "-0:0", "-1:0"]);
        }
    }
}
