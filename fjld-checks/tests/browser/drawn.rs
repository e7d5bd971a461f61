//! Nothing that is written in a picture is cut off or stands on something else that is written there.

use super::{names, opened};
use crate::driver::Scheme;

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn no_text_of_a_picture_is_cut_off_or_stands_on_another() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    let found = browser.script(include_str!("drawn.js"));
    assert!(found["looked"].as_u64() > Some(100), "{found}");
    assert_eq!(names(found["wrong"].clone()), Vec::<String>::new());
}

#[test]
#[ignore = "scripts/browser/run.sh runs it"]
fn every_caption_and_every_panel_begins_with_a_capital_or_a_number() {
    let (browser, _shown) = opened(1440, Scheme::Light);
    let small = browser.script(
        "const texts = [...document.querySelectorAll('figcaption')].map(c => c.textContent.replace(c.querySelector('strong').textContent, ''));
         const panels = [...document.querySelectorAll('.panel-title')].map(p => p.textContent);
         return [...texts, ...panels].map(t => t.trim()).filter(t => !/^[\\p{Lu}\\d]/u.test(t)).map(t => t.slice(0, 60))",
    );
    assert_eq!(names(small), Vec::<String>::new());
}
