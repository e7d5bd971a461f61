//! What the program writes is as its published schemas say.

mod validator;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use validator::Validator;

fn schema(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(name);
    let text = std::fs::read_to_string(path).expect("it is published");
    let json = serde_json::from_str(&text).expect("a schema is JSON");
    Validator::new(json).expect("it is a schema")
}

fn holds(validator: &Validator, value: &Value) {
    let wrong = validator.errors(value);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A report of claims of every kind: exact, identities, drawn, trained, and one that waits.
fn report(folder: &Path) -> Value {
    let claims = [
        "theorem-2",
        "implicit-jeffreys",
        "descent-boundary",
        "phase-precedes-accuracy",
        "unification",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
    command
        .args(["report", "--tier", "quick", "--fresh", "--out"])
        .arg(folder);
    for claim in claims {
        command.args(["--claim", claim]);
    }
    let output = command
        .env_remove("FJLD_DOCUMENT")
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let text = std::fs::read_to_string(folder.join("report.json")).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

#[test]
fn a_report_and_its_evidence_are_as_their_schemas_say() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let report = report(folder.path());
    let validator = schema("fjld-report-1.schema.json");
    holds(&validator, &report);
    assert!(report["nights"].is_object(), "a fresh report has nights");
    let pictures = report["pictures"].as_array().expect("there are pictures");
    let kinds = ["curves", "map", "bars"];
    for kind in kinds {
        assert!(pictures.iter().any(|p| p["kind"] == kind), "{kind}");
    }

    let lines = schema("fjld-evidence-1.schema.json");
    let text = std::fs::read_to_string(folder.path().join("evidence/digits-mlp.jsonl"));
    for line in text.expect("it was written").lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        holds(&lines, &line);
    }

    // a schema that takes anything is none
    for (pointer, wrong) in [
        ("/claims/0/verdict", Value::from("maybe")),
        ("/claims/0/checks/0/cases", Value::from(-1)),
        ("/schema", Value::from("fjld-report/2")),
        ("/pictures/0/kind", Value::Null),
    ] {
        let mut spoilt = report.clone();
        *spoilt.pointer_mut(pointer).expect("it is there") = wrong;
        assert!(!validator.errors(&spoilt).is_empty(), "{pointer}");
    }
    let mut more = report.clone();
    more["claims"][0]["host"] = Value::from("here");
    assert!(!validator.errors(&more).is_empty(), "an unknown key");
}

#[test]
fn a_measurement_is_as_its_schema_says() {
    let validator = schema("fjld-measure-1.schema.json");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("gradients.npy");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let mut header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }".to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for value in [1.0f64, 0.0, 2.0, 1.0, 1.5, -1.0] {
        bytes.extend(value.to_le_bytes());
    }
    std::fs::write(&path, bytes).expect("the folder is there");
    for more in [vec![], vec!["--batch-size", "4"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fjld-checks"));
        let output = command
            .arg("measure")
            .arg(&path)
            .arg("--json")
            .args(&more)
            .output();
        let output = output.expect("the program starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        holds(&validator, &json);
    }
}
