//! The life of a run directory, through the command line of a complete experiment.
#![allow(clippy::unwrap_used)] // Helpers of tests count as no tests for clippy.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sandhi_lab::{Error, Identity, Plan, Run, Status, read_metrics, read_utterances};

/// The example experiment; cargo builds it beside the tests.
fn experiment() -> Command {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().unwrap().parent().unwrap();
    let mut program = target.join("examples/noisy_channel").into_os_string();
    program.push(std::env::consts::EXE_SUFFIX);
    Command::new(program)
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    experiment()
        .current_dir(dir)
        .args(["run", "--scale", "smoke"])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn place(dir: &Path, arm: &str, seed: u64) -> PathBuf {
    dir.join(format!("runs/noisy-channel/smoke/{arm}/seed-{seed}"))
}

fn identity(dir: &Path) -> Identity {
    Identity::read(dir).unwrap().unwrap()
}

#[test]
fn run_is_complete_then_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["--arm", "quiet", "--seed", "3", "--set", "steps=5"]);
    assert!(output.status.success(), "{}", text(&output));
    let place = place(dir.path(), "quiet", 3);
    let found = identity(&place);
    assert_eq!(
        (found.status, found.seed, found.arm.as_str()),
        (Status::Done, 3, "quiet")
    );
    assert_eq!(found.overrides, ["steps=5"]);
    assert_eq!(found.metadata["parameters"].as_integer(), Some(0));
    assert!(found.code.rustc.starts_with("rustc 1."), "{}", found.code.rustc);
    assert!(found.machine.cores > 0 && found.wall_seconds > 0.0);
    assert_eq!(read_metrics(&place).unwrap().len(), 5);
    assert_eq!(read_utterances(&place, "test").unwrap().unwrap().len(), 20);

    let again = run(dir.path(), &["--arm", "quiet", "--seed", "3", "--set", "steps=5"]);
    assert!(
        again.status.success() && text(&again).contains("done already"),
        "{}",
        text(&again)
    );
    assert_eq!(identity(&place).sessions, 1);
}

#[test]
fn run_of_another_configuration_is_refused_until_fresh() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(dir.path(), &["--arm", "quiet"]).status.success());
    let refused = run(dir.path(), &["--arm", "quiet", "--set", "noise=0.5"]);
    assert_eq!(refused.status.code(), Some(1));
    for part in ["noise: 0.05 -> 0.5", "--fresh", "done"] {
        assert!(
            text(&refused).contains(part),
            "{part} is missing: {}",
            text(&refused)
        );
    }
    let fresh = run(dir.path(), &["--arm", "quiet", "--set", "noise=0.5", "--fresh"]);
    assert!(fresh.status.success(), "{}", text(&fresh));
    assert_eq!(read_metrics(&place(dir.path(), "quiet", 0)).unwrap().len(), 10);
}

#[test]
fn interrupted_run_exits_75_and_continues_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--arm", "quiet", "--set", "interrupt_at=4"];
    let output = run(dir.path(), &arguments);
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
    let place = place(dir.path(), "quiet", 0);
    assert_eq!(identity(&place).status, Status::Interrupted);

    let output = run(dir.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output));
    let found = identity(&place);
    assert_eq!((found.status, found.sessions), (Status::Done, 2));
    let steps: Vec<u64> = read_metrics(&place)
        .unwrap()
        .iter()
        .map(|metric| metric.step)
        .collect();
    assert_eq!(steps, (1..=10).collect::<Vec<_>>());
}

#[test]
fn failed_run_keeps_its_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["--arm", "quiet", "--set", "fail_at=3"]);
    assert_eq!(output.status.code(), Some(1));
    let found = identity(&place(dir.path(), "quiet", 0));
    assert_eq!(found.status, Status::Failed);
    assert_eq!(found.error.as_deref(), Some("step 3 failed as asked"));
}

#[test]
fn two_processes_cannot_share_a_run_directory() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--scale",
        "smoke",
        "--arm",
        "quiet",
        "--set",
        "pause_ms=200",
    ];
    let mut first = experiment()
        .current_dir(dir.path())
        .args(arguments)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let place = place(dir.path(), "quiet", 0);
    while !place.join("metrics.jsonl").exists() {
        assert!(
            first.try_wait().unwrap().is_none(),
            "the first process ended early"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = run(dir.path(), &["--arm", "quiet", "--set", "pause_ms=200"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second).contains(&format!("in use by process {}", first.id())),
        "{}",
        text(&second)
    );
    assert!(first.wait().unwrap().success());
    assert_eq!(identity(&place).status, Status::Done);
}

#[test]
fn unknown_names_come_with_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, meant) in [
        (vec!["--arm", "quite"], "did you mean 'quiet'"),
        (
            vec!["--arm", "quiet", "--corpus", "conuting"],
            "did you mean 'counting'",
        ),
        (vec!["--arm", "quiet", "--set", "nois=1"], "did you mean 'noise'"),
        (vec!["--arm", "quiet", "--scale", "smokey"], "smoke"),
    ] {
        let output = experiment()
            .current_dir(dir.path())
            .arg("run")
            .args(&arguments)
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains(meant), "{arguments:?}: {}", text(&output));
        assert!(
            !dir.path().join("runs").exists(),
            "{arguments:?} left a directory behind"
        );
    }
}

#[test]
fn written_configuration_runs_again_under_the_same_hash() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        run(dir.path(), &["--arm", "quiet", "--set", "noise=0.11"])
            .status
            .success()
    );
    let first = place(dir.path(), "quiet", 0);
    let config = first.join("config.toml");
    let again = run(
        dir.path(),
        &[
            "--arm",
            "quiet",
            "--seed",
            "1",
            "--config",
            config.to_str().unwrap(),
        ],
    );
    assert!(again.status.success(), "{}", text(&again));
    assert_eq!(
        identity(&first).config_hash,
        identity(&place(dir.path(), "quiet", 1)).config_hash
    );

    std::fs::write(
        dir.path().join("bad.toml"),
        std::fs::read_to_string(&config).unwrap().replace("noise", "nois"),
    )
    .unwrap();
    let bad = run(
        dir.path(),
        &["--arm", "quiet", "--seed", "2", "--config", "bad.toml"],
    );
    assert!(text(&bad).contains("did you mean 'noise'"), "{}", text(&bad));
}

#[test]
fn plan_in_json_says_what_a_run_will_hash_to() {
    let dir = tempfile::tempdir().unwrap();
    let output = experiment()
        .args(["plan", "--json", "--scale", "smoke", "--set", "noise=0.2"])
        .output()
        .unwrap();
    let plan: Plan = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        run(dir.path(), &["--arm", "quiet", "--set", "noise=0.2"])
            .status
            .success()
    );
    assert_eq!(
        plan.arm("quiet").unwrap().config_hash,
        identity(&place(dir.path(), "quiet", 0)).config_hash
    );
    assert!(
        plan.arm("silent").unwrap().changes.is_empty(),
        "the override makes all arms alike"
    );
    assert!(matches!(plan.arm("slient"), Err(Error::Unknown { .. })));
}

#[test]
fn duplicate_utterance_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::at(dir.path(), 0).unwrap();
    assert!(matches!(
        run.utterance("test", "a", "x", "y"),
        Err(Error::SplitNotStarted { .. })
    ));
    run.start_split("test").unwrap();
    run.utterance("test", "a", "x", "y").unwrap();
    assert!(matches!(
        run.utterance("test", "a", "x", "y"),
        Err(Error::DuplicateUtterance { .. })
    ));
    // A split that is started again forgets what it held.
    run.start_split("test").unwrap();
    run.utterance("test", "a", "x", "z").unwrap();
    assert_eq!(
        read_utterances(dir.path(), "test").unwrap().unwrap()[0].hypothesis,
        "z"
    );
}

#[test]
fn run_that_panics_is_not_left_running() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let panicked = std::thread::spawn(move || {
        let _run = Run::at(&path, 0).unwrap();
        panic!("as a bug would");
    });
    assert!(panicked.join().is_err());
    assert_eq!(identity(dir.path()).status, Status::Failed);
}

#[test]
fn stage_of_a_run_has_a_directory_and_an_end_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::at(dir.path(), 7).unwrap();
    let mut stage = run.stage("pretrain").unwrap();
    assert_eq!((stage.seed(), stage.arm()), (7, run.arm()));
    assert!(run.stage("pretrain").is_err(), "it is locked");
    stage.log(3, "train", &[("loss", 1.5)]).unwrap();
    stage.set("fact", 2).unwrap();
    stage.done().unwrap();
    let identity = Identity::read(&dir.path().join("pretrain")).unwrap().unwrap();
    assert_eq!((identity.status, identity.sessions), (Status::Done, 1));
    assert!(identity.metadata.contains_key("fact"));
    assert!(dir.path().join("pretrain/metrics.jsonl").exists());
    // The run itself goes on, and knows nothing of it.
    let whole = Identity::read(dir.path()).unwrap().unwrap();
    assert_eq!(whole.status, Status::Running);
    assert!(!whole.metadata.contains_key("fact"));
    // Whoever comes back to a stage goes on in it.
    drop(run.stage("pretrain").unwrap());
    let identity = Identity::read(&dir.path().join("pretrain")).unwrap().unwrap();
    assert_eq!((identity.status, identity.sessions), (Status::Failed, 2));
}
