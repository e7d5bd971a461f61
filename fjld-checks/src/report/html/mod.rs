//! The report as one HTML file that needs nothing else: style, script and pictures are in it, and it asks no network for anything.
//!
//! Every text of the report is escaped where it is put in, and the page carries a policy by which a browser runs its own script, named by
//! its hash, and no other.

mod answer;
mod figure;

use super::page::Page;
use super::{Report, truths::Truth};
use crate::evidence::picture::capital;
use answer::Answer;
use figure::Figure;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Statements that stand, on one topic.
#[derive(Serialize)]
struct Topic<'a> {
    name: &'a str,
    truths: &'a [Truth],
}

/// The whole report. `provenance` is `provenance.json`, where it is there.
pub fn html(report: &Report, provenance: Option<&serde_json::Value>) -> String {
    let figures: BTreeMap<&str, Figure> = report
        .pictures
        .iter()
        .map(|picture| (picture.id.as_str(), Figure::of(picture)))
        .collect();
    let suite = report.pictures.iter().filter(|p| p.claims.is_empty());
    let suite: Vec<&str> = suite.map(|p| p.id.as_str()).collect();
    let pages: Vec<Page> = report.claims.iter().map(|c| Page::of(c, report)).collect();
    let topics = report
        .what_is_true
        .chunk_by(|a, b| a.topic == b.topic)
        .map(|truths| Topic {
            name: &truths[0].topic,
            truths,
        });
    let topics: Vec<Topic> = topics.collect();
    let timings = report.timings.iter();
    let timing_standings: Vec<&str> = timings
        .flat_map(|t| t.recorded.figures.iter().map(|f| f.standing(&t.sources)))
        .collect();
    let values = context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        script_hash => base64(&Sha256::digest(SCRIPT)),
        report => report,
        answer => Answer::of(report),
        topics => topics,
        pages => pages,
        figures => figures,
        suite => suite,
        timing_standings => timing_standings,
        provenance => provenance,
        sentences => super::appendix::sentences(report),
    };
    let environment = environment();
    let template = environment
        .get_template("report.html")
        .expect("a test renders the template");
    template
        .render(values)
        .expect("a test renders the template")
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.add_filter("inline", inline);
    environment.add_filter("name", |verdict: String| verdict.replace('_', " "));
    environment.add_filter("plain", crate::evidence::picture::plain);
    environment.add_filter("capital", |text: String| capital(&text));
    environment.add_filter("anchor", anchor);
    environment
        .add_template("report.html", TEMPLATE)
        .expect("a test renders the template");
    environment
}

/// A name as part of an address within the page: letters, digits and dashes.
fn anchor(name: String) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    name.chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

/// Text in which what stands between back quotes is code.
fn inline(text: String) -> Value {
    let mut html = String::new();
    for (k, piece) in text.split('`').enumerate() {
        let escaped = escape(piece);
        match k % 2 {
            1 => html += &format!("<code>{escaped}</code>"),
            _ => html += &escaped,
        }
    }
    Value::from_safe_string(html)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// As RFC 4648 writes bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [
            chunk[0],
            *chunk.get(1).unwrap_or(&0),
            *chunk.get(2).unwrap_or(&0),
        ];
        let number = padded.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        for place in 0..4 {
            text.push(match place <= chunk.len() {
                true => char::from(LETTERS[number >> (18 - 6 * place) & 63]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;
    use crate::tier::Tier;

    fn report() -> Report {
        let options = audit::Options {
            tier: Tier::Quick,
            root_seed: 1,
            claims: vec!["theorem-1".into(), "entropy-rate".into()],
            folder: None,
            data: None,
            binding: None,
            device: candle_core::Device::Cpu,
        };
        let mut audit = audit::run(&options).expect("two claims without training");
        super::super::pictures::add(&mut audit).expect("they have pictures");
        audit.report
    }

    #[test]
    fn the_page_holds_the_answer_and_every_claim_and_asks_no_network_for_anything() {
        let page = html(&report(), None);
        for id in ["theorem-1", "entropy-rate"] {
            assert!(
                page.contains(&format!("<article id=\"claim-{id}\"")),
                "{id}"
            );
        }
        assert!(page.contains("Of the document’s 2 claims"), "the answer");
        for asks in ["src=", "http-equiv=\"refresh\"", "@import", "url("] {
            assert!(!page.contains(asks), "{asks}");
        }
        let addresses = page.matches("http").count();
        let of_svg = page.matches("http-equiv").count();
        assert_eq!(addresses, of_svg, "no address outside of the page");
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut report = report();
        let hostile = "</style><script>alert(1)</script>\"'`<img onerror=x>`";
        report.claims[0].statement = hostile.into();
        report.claims[0].id = "x\" onclick=\"alert(1)".into();
        report.claims[0].checks[0].summary = hostile.into();
        report.pictures[0].title = hostile.into();
        report.pictures[0].caption = hostile.into();
        report.pictures[0].panels[0].series[0].name = hostile.into();
        let page = html(&report, None);
        assert!(!page.contains("<script>alert"));
        assert!(!page.contains("<img"));
        assert!(!page.contains("onclick=\"alert"));
        assert_eq!(page.matches("</style>").count(), 1);
    }

    #[test]
    fn bytes_are_written_as_the_standard_says() {
        let of = |text: &str| base64(text.as_bytes());
        assert_eq!(
            [of("f"), of("fo"), of("foo"), of("foobar")],
            ["Zg==", "Zm8=", "Zm9v", "Zm9vYmFy"]
        );
    }
}
