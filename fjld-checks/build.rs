//! Collects what the file of each claim says of it, so that its page in a report and its rustdoc are one text; and takes the hash of the
//! sources that the benches measure, by which a report tells whether recorded timings are still of them.

#[path = "../benches/src/sources.rs"]
mod sources;

use std::fmt::Write;
use std::path::Path;

const CLAIMS: &str = "src/claims";

/// The lines of a module's own documentation.
fn documentation(source: &str) -> String {
    let lines = source.lines().take_while(|line| line.starts_with("//!"));
    let text = lines.map(|line| line.trim_start_matches("//!"));
    let text: Vec<&str> = text.map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
    text.join("\n")
}

fn main() -> std::io::Result<()> {
    let root = Path::new("..");
    for place in sources::PLACES {
        println!("cargo::rerun-if-changed={}", root.join(place).display());
    }
    println!("cargo::rerun-if-changed=../benches/src/sources.rs");
    println!(
        "cargo::rustc-env=FJLD_MEASURED_SOURCES={}",
        sources::hash(root)?
    );
    println!("cargo::rerun-if-changed={CLAIMS}");
    println!("cargo::rerun-if-changed=build.rs");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(CLAIMS)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "rs")
            && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
        {
            let text = documentation(&std::fs::read_to_string(&path)?);
            found.push((stem.replace('_', "-"), text));
        }
    }
    found.sort();
    let mut code = String::from("&[\n");
    for (id, text) in &found {
        writeln!(code, "    ({id:?}, {text:?}),").expect("a string takes what is written to it");
    }
    code.push(']');
    let out = std::env::var("OUT_DIR").map_err(std::io::Error::other)?;
    std::fs::write(Path::new(&out).join("about.rs"), code)
}
