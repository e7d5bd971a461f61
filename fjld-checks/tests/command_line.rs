//! The program as its users meet it: results, refusals, exit codes.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fjld(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program starts")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    command.args(arguments).env_remove("FJLD_DOCUMENT");
    command
}

/// The refusal of bad input: exit code 2, nothing on standard output, one sentence on standard error.
fn refusal(arguments: &[&str]) -> String {
    let output = fjld(arguments);
    let said = String::from_utf8(output.stderr).expect("messages are text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the program wrote it")
}

fn path_in(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A report of the claims that take no training, into `out`.
fn quick_report(out: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["report", "--tier", "quick", "--out", out];
    arguments.extend(["--claim", "theorem-1", "--claim", "entropy-rate"]);
    arguments.extend(more);
    fjld(&arguments)
}

#[test]
fn a_report_of_pinned_claims_exits_with_0_and_leaves_its_files() {
    let out = folder();
    let output = quick_report(&path_in(&out, "r"), &[]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).expect("a report is text");
    assert!(
        printed.starts_with("2 claims: 0 stand, 2 refuted, 0 open"),
        "{printed}"
    );
    assert!(printed.contains("it overclaims 2, agrees 0, underclaims 0, undecided 0"));
    assert!(!printed.contains("Not examined"));
    assert!(printed.contains("D = 1, dD/dt = 1: dH/dt = 1/2, the formula gives -1/2"));
    let at_start = String::from_utf8(output.stderr).expect("messages are text");
    assert!(
        at_start.starts_with("root seed 2026, tier quick; any false alarm"),
        "{at_start}"
    );
    for file in ["report.json", "report.md", "provenance.json"] {
        assert!(out.path().join("r").join(file).exists(), "{file}");
    }
    let provenance = text_of(&out.path().join("r/provenance.json"));
    let provenance: Value = serde_json::from_str(&provenance).expect("it holds JSON");
    assert_eq!(provenance["scenarios"], serde_json::json!({}));
}

#[test]
fn report_json_has_the_keys_that_others_rely_on() {
    let out = folder();
    let output = quick_report(&path_in(&out, "r"), &["--json"]);
    let printed: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    let written = text_of(&out.path().join("r/report.json"));
    assert_eq!(
        printed,
        serde_json::from_str::<Value>(&written).expect("it holds JSON")
    );
    let has = |value: &Value, keys: &[&str]| {
        for key in keys {
            assert!(value.get(key).is_some(), "{key} is missing");
        }
    };
    has(
        &printed,
        &[
            "schema",
            "tier",
            "root_seed",
            "budget",
            "summary",
            "checklist",
            "claims",
            "methods",
            "calibration",
            "judge",
            "recorded_nights",
            "timings",
        ],
    );
    assert_eq!(printed["schema"], "fjld-report/1");
    has(&printed["calibration"], &["recorded", "gaps"]);
    has(&printed["judge"], &["recorded", "confusion", "gaps"]);
    has(&printed["recorded_nights"], &["recorded", "gaps"]);
    has(&printed["timings"], &["recorded", "sources"]);
    let methods = &printed["methods"];
    assert_eq!(
        (&methods[0]["method"], &methods[0]["bound"]),
        (&"enumeration".into(), &0.0.into())
    );
    let claim = &printed["claims"][0];
    has(
        claim,
        &[
            "id",
            "origin",
            "statement",
            "document",
            "verdict",
            "holds_when",
            "corrected",
            "checks",
            "receipt",
        ],
    );
    has(&claim["document"], &["section", "line", "sha256", "status"]);
    has(&claim["corrected"], &["statement", "verdict"]);
    let check = &claim["checks"][0];
    has(
        check,
        &[
            "id",
            "kind",
            "cases",
            "effect",
            "interval",
            "tolerance",
            "detectable",
            "false_alarm",
            "method",
            "bound",
            "sample_size",
            "planted_defect",
            "planted_truth",
            "counterexample",
        ],
    );
    has(&check["planted_defect"], &["what", "size", "caught"]);
    has(&check["planted_truth"], &["what", "passed"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_number_of_threads() {
    let out = folder();
    let report = |name: &str, threads: &str| {
        let to = path_in(&out, name);
        fjld(&[
            "--threads",
            threads,
            "report",
            "--tier",
            "quick",
            // training, a study with eigenbases, simulated draws and exact search
            "--claim",
            "phase-precedes-accuracy",
            "--claim",
            "kfac-sharper",
            "--claim",
            "ratio-definition",
            "--claim",
            "theorem-1",
            "--out",
            &to,
        ]);
        let evidence = text_of(&Path::new(&to).join("evidence/digits-mlp.jsonl"));
        (text_of(&Path::new(&to).join("report.json")), evidence)
    };
    let one = report("one", "1");
    let same = one == report("two", "2");
    assert!(same, "two threads gave other bytes than one");
    assert!(one.1.lines().count() > 100, "there are measurements in it");
}

#[test]
fn another_seed_draws_other_numbers_and_comes_to_the_same_verdicts() {
    let out = folder();
    let report = |name: &str, seed: &str| -> Value {
        let to = path_in(&out, name);
        let claim = "theorem-2-corrected";
        let arguments = ["report", "--claim", claim, "--seed", seed, "--out", &to];
        assert_eq!(fjld(&arguments).status.code(), Some(0));
        let text = text_of(&Path::new(&to).join("report.json"));
        serde_json::from_str(&text).expect("it holds JSON")
    };
    let (a, b) = (report("a", "1"), report("b", "2"));
    assert_eq!(a["claims"][0]["verdict"], b["claims"][0]["verdict"]);
    assert_ne!(a["claims"][0]["checks"], b["claims"][0]["checks"]);
}

#[test]
fn a_replayed_claim_is_bit_equal_and_a_tampered_report_is_found_out() {
    let out = folder();
    quick_report(&path_in(&out, "r"), &[]);
    let report = path_in(&out, "r/report.json");
    for what in ["theorem-1", "entropy-rate/library"] {
        let output = fjld(&["replay", what, "--from", &report]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, format!("{what}: bit_equal\n").into_bytes());
    }
    let tampered = text_of(Path::new(&report)).replacen("\"violated\"", "\"holds\"", 1);
    std::fs::write(&report, tampered).expect("the folder can be written");
    let output = fjld(&["replay", "theorem-1", "--from", &report]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"theorem-1: diverged\n");
}

#[test]
fn the_claims_are_listed_with_their_places_in_the_document() {
    let output = fjld(&["claims", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let list: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    let claims = list["claims"].as_array().expect("a list");
    let theorem = claims
        .iter()
        .find(|c| c["id"] == "theorem-1")
        .expect("it is a claim");
    assert_eq!(theorem["document"]["line"], 42);
    assert_eq!(fjld(&["claims"]).status.code(), Some(0));
}

#[test]
fn a_gaussian_scenario_prints_every_metric_beside_its_exact_value() {
    let out = folder();
    let scenario = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../scenarios/gaussian-isotropic.toml"
    );
    let to = path_in(&out, "run");
    let output = fjld(&["run", scenario, "--out", &to, "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let table: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    let metrics = table["metrics"].as_array().expect("a list");
    let plug_in = metrics
        .iter()
        .find(|m| m["metric"] == "ratio.plug_in")
        .expect("it is there");
    assert_eq!(plug_in["exact"], 0.25);
    let [low, high] = [&table["interval"][0], &table["interval"][1]].map(|v| v.as_f64());
    assert!(low < Some(0.25) && Some(0.25) < high, "{low:?} {high:?}");
}

#[test]
fn bad_usage_names_the_value_and_what_is_accepted() {
    let unknown = refusal(&["report", "--claim", "theorem-3"]);
    assert!(
        unknown.contains("no claim is called \"theorem-3\"; there are ratio-definition, "),
        "{unknown}"
    );
    let tier = refusal(&["report", "--tier", "slow"]);
    assert!(tier.contains("quick, standard, full"), "{tier}");
    let device = refusal(&["report", "--device", "cuda"]);
    assert!(
        device.contains("built without CUDA; accepted is cpu")
            && device.contains("--features cuda"),
        "{device}"
    );
    let data = refusal(&["report", "--data", "/no/such/folder"]);
    assert!(data.contains("/no/such/folder is not there"), "{data}");
    let threads = refusal(&["--threads", "0", "claims"]);
    assert!(threads.contains("'0'"), "{threads}");
    let document = refusal(&["claims", "--document", "/no/such/document"]);
    assert!(
        document.contains("/no/such/document could not be read"),
        "{document}"
    );
    let measure = refusal(&["measure", "/no/such/file.npy"]);
    assert!(measure.contains("/no/such/file.npy"), "{measure}");
}

#[test]
fn a_bad_scenario_is_refused_with_its_place_and_leaves_nothing_behind() {
    let out = folder();
    let scenario = path_in(&out, "bad.toml");
    std::fs::write(&scenario, "schema = \"fjld-scenario/1\"\nkind = [\n").expect("writable");
    let to = path_in(&out, "run");
    let said = refusal(&["run", &scenario, "--out", &to]);
    assert!(said.contains("bad.toml, line "), "{said}");
    assert!(said.contains(", column "), "{said}");
    assert!(!Path::new(&to).exists());
    let missing = refusal(&["run", "/no/such/scenario.toml"]);
    assert!(
        missing.contains("/no/such/scenario.toml could not be read"),
        "{missing}"
    );
}

#[test]
fn a_report_that_can_not_be_replayed_is_refused() {
    let out = folder();
    let file = path_in(&out, "report.json");
    assert!(refusal(&["replay", "theorem-1", "--from", &file]).contains("could not be read"));
    std::fs::write(&file, "{\"schema\": 1}").expect("the folder can be written");
    assert!(
        refusal(&["replay", "theorem-1", "--from", &file])
            .contains("names no schema; accepted is \"fjld-report/1\"")
    );
    quick_report(&path_in(&out, "r"), &[]);
    let report = path_in(&out, "r/report.json");
    let check = refusal(&["replay", "theorem-1/nothing", "--from", &report]);
    assert!(
        check.contains("has no check \"nothing\"; it has proportional, "),
        "{check}"
    );
    let claim = refusal(&["replay", "one-nat", "--from", &report]);
    assert!(
        claim.contains("the report holds no claim \"one-nat\""),
        "{claim}"
    );
}

#[test]
fn a_place_that_can_not_be_written_is_named() {
    let said = {
        let output = quick_report("/dev/null/report", &[]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).expect("messages are text")
    };
    assert!(said.contains("/dev/null/report"), "{said}");
}

#[test]
fn a_reader_that_closes_early_is_no_error() {
    let mut child = command(&["claims"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.stderr.is_empty());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_recording_is_written_with_its_provenance_and_the_spent_time_is_told() {
    let out = folder();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/digits-mlp.toml");
    let (to, kept) = (path_in(&out, "run"), path_in(&out, "kept"));
    let output = fjld(&[
        "run", scenario, "--tier", "quick", "--out", &to, "--record", &kept, "--note", "a trial",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).expect("messages are text");
    assert!(said.contains("core-seconds; its file states 10"), "{said}");
    let provenance = text_of(&Path::new(&kept).join("digits-mlp.json"));
    let provenance: Value = serde_json::from_str(&provenance).expect("it holds JSON");
    assert_eq!(provenance["schema"], "fjld-recorded/2");
    assert_eq!(provenance["note"], "a trial");
    let command = "fjld-checks run scenarios/digits-mlp.toml --tier quick";
    assert_eq!(provenance["command"], command);
    let packed = std::fs::File::open(Path::new(&kept).join("digits-mlp.jsonl.gz"));
    let lines = std::io::read_to_string(flate2::read::GzDecoder::new(packed.expect("it is kept")));
    let lines = lines.expect("it is whole");
    assert_eq!(
        lines,
        text_of(&Path::new(&to).join("evidence/digits-mlp.jsonl"))
    );
    let gaussian = scenario.replace("digits-mlp", "gaussian-isotropic");
    let none = path_in(&out, "none");
    let refused = refusal(&["run", &gaussian, "--record", &kept, "--out", &none]);
    assert!(refused.contains("has no runs"), "{refused}");
    assert!(!Path::new(&none).exists());
}

#[test]
fn a_fresh_report_adds_a_night_to_the_ledger_and_later_ones_show_it() {
    let out = folder();
    let report = |more: &[&str]| {
        let out = path_in(&out, "r");
        let mut arguments = vec!["report", "--tier", "quick", "--out", &out, "--json"];
        arguments.extend(["--claim", "adaptive"]);
        arguments.extend(more);
        let output = fjld(&arguments);
        let said = String::from_utf8(output.stderr).expect("messages are text");
        let json: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
        (json, said)
    };
    let (json, _) = report(&[]);
    assert!(json.get("nights").is_none());
    for nights in 1..=2 {
        let (json, _) = report(&["--fresh"]);
        assert_eq!(json["nights"]["nights"], nights);
        let check = &json["nights"]["checks"][0];
        assert_eq!(
            (&check["claim"], &check["check"]),
            (&"adaptive".into(), &"adam-itself".into())
        );
        assert_eq!(check["nights"], nights);
    }
    let ledger = out.path().join("r/ledger.jsonl");
    let text = text_of(&ledger);
    assert_eq!(text.lines().count(), 2);
    // a report that is not fresh adds nothing, shows what there is, and says what it drops
    std::fs::write(&ledger, format!("{text}{{\"schema\"")).expect("it can be written");
    let (json, said) = report(&[]);
    assert_eq!(json["nights"]["nights"], 2);
    assert!(said.contains("9 bytes of an unfinished line"), "{said}");
}

#[test]
fn nights_of_the_stochastic_checks_alone_add_up_over_commands() {
    let out = folder();
    let nights = |count: &str| {
        let out = path_in(&out, "n");
        let output = fjld(&[
            "nights", "--count", count, "--claim", "adaptive", "--out", &out,
        ]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("it is text")
    };
    let told = nights("1");
    assert!(
        told.starts_with("1 nights, 1 checks, 1 planted truths: 0 alarms"),
        "{told}"
    );
    let told = nights("2");
    assert!(
        told.starts_with("3 nights, 1 checks, 3 planted truths: 0 alarms"),
        "{told}"
    );
    assert_eq!(
        text_of(&out.path().join("n/ledger.jsonl")).lines().count(),
        3
    );
    let output = fjld(&["nights", "--claim", "no-such", "--out", "never-made"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn calibrating_and_judging_record_what_they_say() {
    let out = folder();
    for (command, count, said, schema) in [
        (
            "calibrate",
            "--repeats",
            "3 checks calibrated, of which 0 alarm",
            "fjld-calibration/1",
        ),
        (
            "judge",
            "--seeds",
            "2 checks judged, of which 0 do not keep",
            "fjld-judge/1",
        ),
    ] {
        let file = path_in(&out, command);
        let output = fjld(&[
            command,
            count,
            "20",
            "--claim",
            "instruments",
            "--out",
            &file,
        ]);
        assert_eq!(output.status.code(), Some(0));
        let printed = String::from_utf8(output.stdout).expect("a sentence is text");
        assert!(printed.starts_with(said), "{printed}");
        let written = text_of(Path::new(&file));
        let json: Value = serde_json::from_str(&written).expect("it holds JSON");
        assert_eq!(json["schema"], schema);
        assert_eq!(json["command"], format!("{command} {count} 20"));
        let refused = refusal(&[command, "--claim", "no-such", "--out", &file]);
        assert!(refused.contains("\"no-such\""), "{refused}");
        std::fs::write(&file, "{}").expect("it can be written");
        let refused = refusal(&[command, "--out", &file]);
        assert!(refused.contains("holds no recording"), "{refused}");
    }
}
