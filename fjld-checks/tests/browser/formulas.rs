//! The formulas of the built documentation, set by KaTeX from its npm package in place of the network.

use crate::driver::{Browser, Scheme};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// What the header asks the network for.
const NETWORK: &str = "https://cdn.jsdelivr.net/npm/";
/// Where this test has it.
const HERE: &str = "/npm/";

/// A formula in a built page: a block, or a span between dollars.
const BLOCK: &str = "<pre class=\"language-math\">";
const SPAN: &str = "<code>$";

fn folder(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    folder.unwrap_or_else(|| panic!("scripts/browser/run.sh sets {variable}"))
}

/// Serves the documentation, and what its header asks for if `packages` has it. Returns its address.
fn serve(documentation: PathBuf, packages: Option<PathBuf>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (documentation, packages) = (documentation.clone(), packages.clone());
            // a browser that hangs up is no concern of this test
            std::thread::spawn(move || answer(stream, &documentation, packages.as_deref()).ok());
        }
    });
    format!("http://{address}")
}

fn answer(
    mut stream: TcpStream,
    documentation: &Path,
    packages: Option<&Path>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let asked = first.split(' ').nth(1).unwrap_or("/");
    let asked = asked.split('?').next().unwrap_or(asked);
    let file = match asked.strip_prefix(HERE) {
        Some(file) => packages.map(|folder| folder.join(file)),
        None => Some(documentation.join(asked.trim_start_matches('/'))),
    };
    let Some(content) = file.and_then(|file| std::fs::read(file).ok()) else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let (kind, content) = match asked.rsplit('.').next() {
        Some("html") => {
            let page = String::from_utf8_lossy(&content).replace(NETWORK, HERE);
            ("text/html", page.into_bytes())
        }
        Some("css") => ("text/css", content),
        Some("js") => ("text/javascript", content),
        _ => ("application/octet-stream", content),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    stream.write_all(&content)
}

/// The pages with formulas, and how many each has.
fn pages(documentation: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![
        documentation.join("fjld_core"),
        documentation.join("fjld_checks"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("scripts/docs.sh has run") {
            let path = entry.expect("it is there").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|e| e != "html") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a page is text");
            let count = text.matches(BLOCK).count() + text.matches(SPAN).count();
            if count > 0 {
                let name = path.strip_prefix(documentation).expect("it lies there");
                found.push((name.display().to_string(), count as u64));
            }
        }
    }
    found.sort();
    found
}

/// How many formulas are set, how many wait, whether the page is no wider than its window, and what is wrong.
const LOOK: &str = "
    const waiting = [...document.querySelectorAll('pre.language-math, code')].filter(e => e.matches('pre') || e.textContent.startsWith('$'));
    return { set: document.querySelectorAll('.katex').length,
             waiting: waiting.map(e => e.textContent),
             fits: document.documentElement.scrollWidth <= innerWidth }";

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn every_formula_of_the_documentation_is_set_and_no_page_is_wider_than_its_window() {
    let documentation = folder("FJLD_DOCS");
    let pages = pages(&documentation);
    let address = serve(documentation, Some(folder("FJLD_NPM")));
    let browser = Browser::start();
    let mut total = 0;
    for (page, count) in &pages {
        browser.visit(&format!("{address}/{page}"), 1440, Scheme::Light);
        for width in [1440, 360] {
            browser.resize(width);
            let found = browser.script(LOOK);
            // what KaTeX can not read is said on the console and stays as it was written
            assert_eq!(
                found["waiting"],
                Value::Array(Vec::new()),
                "{page}: {:?}",
                browser.console()
            );
            assert_eq!(found["set"], *count, "{page}");
            assert_eq!(found["fits"], true, "{page} at {width}");
        }
        total += count;
    }
    println!("{total} formulas on {} pages are set", pages.len());
    assert!(total > 150, "{total}");
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn without_a_network_a_formula_stays_as_it_was_written() {
    let address = serve(folder("FJLD_DOCS"), None);
    let browser = Browser::start();
    browser.visit(
        &format!("{address}/fjld_core/ratio/index.html"),
        1440,
        Scheme::Light,
    );
    let found = browser.script(LOOK);
    assert_eq!(found["set"], 0);
    let waiting: Vec<String> = serde_json::from_value(found["waiting"].clone()).expect("texts");
    assert!(
        waiting
            .iter()
            .any(|w| w.starts_with(r"C = \frac{|\mu|^2}{\Tr D}")),
        "{waiting:?}"
    );
}
