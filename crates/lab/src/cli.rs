use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;

use crate::run::{Opened, Request};
use crate::suggest::unknown;
use crate::{Experiment, INTERRUPTED, Override, Plan, Run, Scale, Setting, Status, config};

/// What every experiment can be asked to do. Flatten it beside commands of your own.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Show what would be run: arms, claims, configurations
    Plan {
        /// Where, and with what changes
        #[command(flatten)]
        place: Place,
        /// Print everything as JSON, for the runner
        #[arg(long)]
        json: bool,
    },
    /// Carry out one run: one arm, one seed; continues one that was interrupted
    Run {
        /// The arm
        #[arg(long)]
        arm: String,
        /// The seed
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Where, and with what changes
        #[command(flatten)]
        place: Place,
        /// Use a written configuration, as the config.toml of a run, instead of the arm's
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where runs are kept
        #[arg(long, value_name = "DIR", default_value = "runs")]
        runs: PathBuf,
        /// Drop what is there and start over
        #[arg(long)]
        fresh: bool,
        /// Try what needs the most memory first, and say what was predicted and what it took
        #[arg(long)]
        check_memory: bool,
        /// A file with the number of threads that may work; more do when it grows [default: all]
        #[arg(long, value_name = "FILE")]
        threads: Option<PathBuf>,
    },
}

impl Command {
    /// The file with the number of threads that may work, if the command line names one.
    pub fn threads(&self) -> Option<&Path> {
        match self {
            Self::Run { threads, .. } => threads.as_deref(),
            Self::Plan { .. } => None,
        }
    }
}

/// Where an experiment is carried out, and with what changes.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// How much to spend
    #[arg(long, value_enum, default_value_t = Scale::Mini)]
    scale: Scale,
    /// The corpus; the embedded one unless named
    #[arg(long, default_value = Setting::EMBEDDED)]
    corpus: String,
    /// The directory of a corpus that is not embedded [default: the corpus in $SANDHI_DATA]
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Replace one field of the configuration: --set trainer.steps=200 (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<Override>,
}

impl Place {
    fn setting<E: Experiment>(&self) -> anyhow::Result<Setting> {
        if !E::corpora().contains(&self.corpus.as_str()) {
            return Err(unknown("corpus", &self.corpus, E::corpora()).into());
        }
        let embedded = self.corpus == Setting::EMBEDDED;
        let shelf = || {
            std::env::var("SANDHI_DATA")
                .ok()
                .map(|shelf| PathBuf::from(shelf).join(&self.corpus))
        };
        let data_root = self
            .data_root
            .clone()
            .or_else(|| if embedded { None } else { shelf() });
        Ok(Setting {
            scale: self.scale,
            corpus: self.corpus.clone(),
            data_root,
        })
    }
}

/// Does what the command line asks for.
///
/// A run that was interrupted with its state saved ends the process with [`INTERRUPTED`].
///
/// # Errors
///
/// Unknown names, configurations that do not fit, a run directory in use, and whatever stops the experiment.
pub fn execute<E: Experiment>(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Plan { place, json } => {
            let plan = Plan::of::<E>(&place.setting::<E>()?, &place.overrides)?;
            let mut out = std::io::stdout().lock();
            if json {
                writeln!(out, "{}", serde_json::to_string(&plan)?)?;
            } else {
                writeln!(out, "{} in setting {}", plan.reference.title, plan.setting.name())?;
                for arm in &plan.arms {
                    let mark = if arm.default { "*" } else { " " };
                    writeln!(out, "{mark} {:<16} {}", arm.name, arm.why)?;
                }
                writeln!(out, "* run by default")?;
                for ablation in &plan.ablations {
                    let (name, question) = (&ablation.name, &ablation.question);
                    writeln!(out, "ablation {name}: {question}  ({})", ablation.arms.join(", "))?;
                }
            }
            Ok(())
        }
        Command::Run {
            arm,
            seed,
            place,
            config,
            runs,
            fresh,
            check_memory,
            // Whoever starts the threads has asked for it.
            threads: _,
        } => {
            let setting = place.setting::<E>()?;
            let arms = E::arms(&setting)?;
            let names: Vec<&str> = arms.iter().map(|arm| arm.name).collect();
            let chosen = arms.iter().find(|candidate| candidate.name == arm);
            let chosen = chosen.ok_or_else(|| unknown("arm", &arm, &names))?;
            let mut overrides = Vec::new();
            let mut resolved = chosen.config.clone();
            if let Some(file) = &config {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                resolved = config::parse(&text, &chosen.config, &file.display().to_string())?;
                overrides.push(format!("config={}", file.display()));
            }
            resolved = config::apply(&resolved, &place.overrides)?;
            overrides.extend(place.overrides.iter().map(ToString::to_string));
            let opened = Run::open(Request {
                runs: &runs,
                paper: E::REFERENCE.key,
                setting: &setting,
                arm: &arm,
                seed,
                config: &config::to_table(&resolved, &arm)?,
                config_text: &toml::to_string(&resolved)?,
                config_hash: config::config_hash(&resolved)?,
                overrides,
                fresh,
                check_memory,
            })?;
            match opened {
                Opened::Done(dir) => {
                    writeln!(
                        std::io::stderr(),
                        "{} is done already (--fresh starts over)",
                        dir.display()
                    )?;
                    Ok(())
                }
                Opened::Open(run) => carry_out::<E>(&resolved, &setting, *run),
            }
        }
    }
}

fn carry_out<E: Experiment>(config: &E::Config, setting: &Setting, mut run: Run) -> anyhow::Result<()> {
    // Events of the libraries go to log.txt; a second subscriber in one process (tests) is left out.
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Mutex::new(run.log_file()?));
    let _ = subscriber.try_init();
    match E::run(config, setting, &mut run) {
        Ok(()) => Ok(run.close(Status::Done, None)?),
        Err(error) if run.is_interrupted() => {
            run.note(&format!("{error:#}"));
            run.close(Status::Interrupted, None)?;
            writeln!(std::io::stderr(), "{error:#}")?;
            std::process::exit(INTERRUPTED);
        }
        Err(error) => {
            run.note(&format!("failed: {error:#}"));
            run.close(Status::Failed, Some(format!("{error:#}")))?;
            Err(error)
        }
    }
}
