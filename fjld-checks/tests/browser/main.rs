//! The report in a real browser. It takes chromium and its chromedriver, so that it is run by itself: `scripts/browser/run.sh`.

mod drawn;
mod driver;
mod formulas;

use driver::{Browser, Scheme};
use fjld_checks::audit;
use fjld_checks::report::{self, Report, html, pictures};
use fjld_checks::tier::Tier;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::LazyLock;

const WIDTHS: [u32; 3] = [360, 768, 1440];
const SCHEMES: [Scheme; 2] = [Scheme::Light, Scheme::Dark];

/// Keys as WebDriver names them.
const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

/// The report that FJLD_REPORT names, or one of a few claims that take no training.
static REPORT: LazyLock<Report> = LazyLock::new(|| match std::env::var_os("FJLD_REPORT") {
    Some(path) => report::read(&PathBuf::from(path)).expect("FJLD_REPORT is a report"),
    None => {
        let claims = [
            "theorem-1",
            "theorem-2",
            "ratio-definition",
            "descent-boundary",
            "unification",
        ];
        let mut audit = audit::run(&audit::Options {
            tier: Tier::Quick,
            root_seed: audit::ROOT_SEED,
            claims: claims.map(str::to_owned).to_vec(),
            folder: None,
            data: None,
            binding: None,
            device: candle_core::Device::Cpu,
        })
        .expect("these are claims");
        pictures::add(&mut audit).expect("they have pictures");
        audit.report
    }
});

/// A report's page as a file.
struct Shown {
    page: PathBuf,
    _folder: tempfile::TempDir,
}

fn show(report: &Report) -> Shown {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let page = folder.path().join("report.html");
    std::fs::write(&page, html(report, None)).expect("the folder is there");
    Shown {
        page,
        _folder: folder,
    }
}

/// A browser that shows the report.
fn opened(width: u32, scheme: Scheme) -> (Browser, Shown) {
    let shown = show(&REPORT);
    let browser = Browser::start();
    browser.open(&shown.page, width, scheme);
    (browser, shown)
}

fn names(value: Value) -> Vec<String> {
    serde_json::from_value(value).expect("the script returns names")
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn the_page_opens_without_a_word_on_the_console_and_asks_for_nothing_else() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    assert_eq!(browser.console(), Vec::<String>::new());
    let asked = browser.script("return performance.getEntriesByType('resource').map(e => e.name)");
    assert_eq!(names(asked), Vec::<String>::new());
    let answer = browser.script("return document.querySelector('h1').textContent");
    let answer = answer.as_str().expect("there is a heading").to_owned();
    assert!(answer.starts_with("Of the document’s "), "{answer}");
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn nothing_reaches_beyond_the_sides_at_any_width() {
    let shown = show(&REPORT);
    let browser = Browser::start();
    for width in WIDTHS {
        browser.open(&shown.page, width, Scheme::Light);
        let found = browser.script(
            "for (const fold of document.querySelectorAll('details')) fold.open = true;
             const wide = document.documentElement.scrollWidth;
             const beyond = [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll'));
             return [wide <= innerWidth, beyond.slice(0, 5).map(e => e.outerHTML.slice(0, 120))]",
        );
        assert_eq!(found[0], true, "at {width}: {}", found[1]);
        assert_eq!(names(found[1].clone()), Vec::<String>::new(), "at {width}");
    }
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn every_link_leads_to_a_place_of_the_page_and_every_place_is_one() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    let lost = browser.script(
        "return [...document.querySelectorAll('a')].map(a => a.getAttribute('href')).filter(h => !h || !h.startsWith('#') || !document.getElementById(decodeURIComponent(h.slice(1))))",
    );
    assert_eq!(names(lost), Vec::<String>::new());
    let twice = browser.script(
        "const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
         return ids.filter((id, k) => ids.indexOf(id) !== k)",
    );
    assert_eq!(names(twice), Vec::<String>::new());
}

/// The claims that the table shows, each with its verdict.
fn shown_rows(browser: &Browser) -> Vec<[String; 2]> {
    let rows = browser.script(
        "return [...document.querySelectorAll('#claims tbody tr')].filter(r => r.getClientRects().length).map(r => [r.querySelector('a').textContent, r.dataset.verdict])",
    );
    serde_json::from_value(rows).expect("the script returns pairs")
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn claims_are_filtered_by_words_and_by_verdict_with_the_keyboard_alone() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    let all = shown_rows(&browser);
    assert_eq!(all.len(), REPORT.claims.len());

    browser.press("/");
    browser.press("theorem");
    let found = shown_rows(&browser);
    assert!(!found.is_empty() && found.len() < all.len(), "{found:?}");
    browser.press(ESCAPE);
    assert_eq!(shown_rows(&browser).len(), all.len());

    // from the field to the buttons: all, then a verdict each
    browser.press(TAB);
    browser.press(TAB);
    browser.press(ENTER);
    let verdict = browser.script("return document.activeElement.dataset.verdict");
    let verdict = verdict.as_str().expect("a button has the focus").to_owned();
    let found = shown_rows(&browser);
    assert!(
        !found.is_empty() && found.len() < all.len(),
        "{verdict}: {found:?}"
    );
    assert!(
        found.iter().all(|[_, own]| *own == verdict),
        "{verdict}: {found:?}"
    );
    let pressed = browser.script("return document.activeElement.getAttribute('aria-pressed')");
    assert_eq!(pressed, "true");
    let told = browser.script("return document.querySelector('#filter output').textContent");
    assert_eq!(told, format!("{} of {} claims", found.len(), all.len()));
    browser.press(ENTER);
    assert_eq!(shown_rows(&browser).len(), all.len());
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn text_and_lines_stand_out_from_what_is_behind_them_in_light_and_dark() {
    let shown = show(&REPORT);
    let browser = Browser::start();
    for scheme in SCHEMES {
        browser.open(&shown.page, 1440, scheme);
        let found = browser.script(include_str!("contrast.js"));
        assert!(found["looked"].as_u64() > Some(300), "{found}");
        assert_eq!(
            names(found["short"].clone()),
            Vec::<String>::new(),
            "{scheme:?}"
        );
    }
    let paper = |scheme| {
        browser.open(&shown.page, 1440, scheme);
        browser.script("return getComputedStyle(document.body).backgroundColor")
    };
    assert_ne!(paper(Scheme::Light), paper(Scheme::Dark));
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn every_picture_is_named_and_every_control_has_a_label() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    let nameless = browser.script(
        "const named = s => s.getAttribute('aria-hidden') === 'true' || (s.getAttribute('role') === 'img' && (s.getAttribute('aria-label') || '').length > 10);
         return [...document.querySelectorAll('svg')].filter(s => !named(s)).map(s => s.outerHTML.slice(0, 100))",
    );
    assert_eq!(names(nameless), Vec::<String>::new());
    let pictures =
        browser.script("return document.querySelectorAll('figure svg[role=img]').length");
    assert!(pictures.as_u64() > Some(5), "{pictures}");
    let silent = browser.script(
        "const uncaptioned = [...document.querySelectorAll('figure')].filter(f => !/n = \\d/.test(f.querySelector('figcaption').textContent) && !/\\d/.test(f.querySelector('figcaption').textContent)).map(f => f.textContent.slice(0, 80));
         const unlabelled = [...document.querySelectorAll('input')].filter(i => !i.labels.length).map(i => i.outerHTML);
         const unnamed = [...document.querySelectorAll('button, a')].filter(b => !b.textContent.trim()).map(b => b.outerHTML);
         return [...uncaptioned, ...unlabelled, ...unnamed]",
    );
    assert_eq!(names(silent), Vec::<String>::new());
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn what_is_folded_away_is_printed() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    let closed = "return [...document.querySelectorAll('details')].filter(d => !d.open).length";
    assert!(browser.script(closed).as_u64() > Some(0));
    let printed = browser.devtools("Page.printToPDF", serde_json::json!({}));
    assert!(
        printed["data"]
            .as_str()
            .is_some_and(|pdf| pdf.len() > 10_000)
    );
    assert_eq!(browser.script(closed), 0);
}

const HOSTILE: [&str; 4] = [
    "</style><script>window.hacked = 1</script>",
    "\"'><img src=x onerror=\"window.hacked = 2\">",
    "javascript:window.hacked = 3",
    "`</code><svg onload=window.hacked=4>` </script><script>window.hacked = 5</script>",
];

/// Replaces every text that is no name of the program's own.
fn spoil(value: &mut Value, count: &mut usize) {
    const FREE: [&str; 14] = [
        "statement",
        "about",
        "summary",
        "hypothesis",
        "what",
        "case",
        "scope",
        "holds_when",
        "reason",
        "title",
        "caption",
        "asks",
        "name",
        "text",
    ];
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, count)),
        Value::Object(keys) => {
            for (key, own) in keys.iter_mut() {
                match own {
                    Value::String(text) if FREE.contains(&key.as_str()) => {
                        *count += 1;
                        *text = HOSTILE[*count % HOSTILE.len()].to_owned();
                    }
                    own => spoil(own, count),
                }
            }
        }
        _ => {}
    }
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn hostile_text_runs_no_script() {
    let mut json = serde_json::to_value(&*REPORT).expect("a report is JSON");
    let mut count = 0;
    spoil(&mut json, &mut count);
    for (k, text) in HOSTILE.iter().enumerate() {
        json["claims"][0]["id"] = Value::from(*text);
        json["claims"][0]["receipt"]["command"] = Value::from(HOSTILE[(k + 1) % HOSTILE.len()]);
        let report: Report = serde_json::from_value(json.clone()).expect("still a report");
        assert!(count > 50);
        let shown = show(&report);
        let browser = Browser::start();
        browser.open(&shown.page, 1440, Scheme::Light);
        let scripts = browser.script("return document.querySelectorAll('script').length");
        assert_eq!(scripts, 1);
        let strange = browser.script(
            "return [...document.querySelectorAll('*')].filter(e => ['IMG', 'IFRAME', 'OBJECT'].includes(e.tagName) || [...e.attributes].some(a => a.name.startsWith('on') || (['href', 'src', 'action'].includes(a.name) && !a.value.startsWith('#')))).map(e => e.outerHTML.slice(0, 100))",
        );
        assert_eq!(names(strange), Vec::<String>::new());
        assert_eq!(browser.console(), Vec::<String>::new());
        click_links_of_a_claim(&browser);
        let hacked = browser.script("return window.hacked === undefined");
        assert_eq!(hacked, true);
        // and if something had slipped through, the policy of the page would stop it
        browser.script("document.querySelector('footer').innerHTML = '<img src=x onerror=\"window.hacked = 6\">'");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(browser.script("return window.hacked === undefined"), true);
    }
}

/// Of the first one, whose name is hostile.
fn click_links_of_a_claim(browser: &Browser) {
    browser.script("for (const a of document.querySelectorAll('#claims tbody tr:first-child a, article:first-of-type a')) a.click()");
}
