//! The pages of `teeter report` in a browser: complete, without a network, readable on narrow and wide screens, in dark
//! colours and on paper, and harmless whatever the texts of servers and hooks are.
//!
//! A fake teeterd answers, so that the pages have what a test farm does not show in seconds. Pictures of the pages are
//! left in `target/report-pages`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use teeter_lab::{Chromium, Look};

use crate::fixtures::fake_teeterd::FakeTeeterd;
use crate::fixtures::report_documents::{events, farm_runs, hostile, run};

/// The looks at a page: each width of a screen in light and dark colours, and paper.
const LOOKS: [Look; 6] = [
    Look { width: 400, dark: false, paper: false },
    Look { width: 400, dark: true, paper: false },
    Look { width: 900, dark: false, paper: false },
    Look { width: 1200, dark: false, paper: false },
    Look { width: 1200, dark: true, paper: false },
    Look { width: 680, dark: true, paper: true },
];

/// Everything that is too wide, lies outside its picture or covers another text.
const OVERFLOWS: &str = r#"(() => {
    const found = [], root = document.documentElement, name = e => `${e.tagName} ${e.textContent.slice(0, 60)}`;
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
    for (const e of document.querySelectorAll('main, main *:not(title)')) {
        const box = e.getBoundingClientRect();
        if (box.width && (box.right > root.clientWidth + 1 || box.left < -1)) found.push(`outside: ${name(e)}`);
        const block = !(e instanceof SVGElement) && getComputedStyle(e).display !== 'inline';
        if (block && e.scrollWidth > e.clientWidth + 1) found.push(`too wide: ${name(e)}`);
    }
    for (const picture of document.querySelectorAll('figure > svg')) {
        const frame = picture.getBoundingClientRect();
        const texts = [...picture.querySelectorAll('text')].map(e => [e, e.getBoundingClientRect()]);
        texts.forEach(([e, a], index) => {
            if (a.left < frame.left - 1 || a.right > frame.right + 1) found.push(`outside its picture: ${name(e)}`);
            for (const [other, b] of texts.slice(index + 1)) {
                const meets = a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2;
                if (meets) found.push(`${name(e)} covers ${name(other)}`);
            }
        });
    }
    return found;
})()"#;

/// Every text whose contrast with its background is less than 4.5.
const FAINT_TEXTS: &str = r#"(() => {
    const light = colour => {
        const part = colour.match(/[\d.]+/g).slice(0, 3).map(c => c / 255);
        const [r, g, b] = part.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const solid = colour => colour.startsWith('rgb(');
    const behind = e => {
        if (e.classList.contains('within')) return getComputedStyle(e.parentElement.previousElementSibling).fill;
        for (; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (solid(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const found = [];
    for (const e of document.querySelectorAll('body *:not(title)')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        const style = getComputedStyle(e), a = light(e instanceof SVGElement ? style.fill : style.color);
        const b = light(behind(e)), contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(1)}: ${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`);
    }
    return found;
})()"#;

/// The addresses that the page names, in attributes or in its style.
const ADDRESSES: &str = r#"(() => {
    const found = [...document.querySelectorAll('[src], [href], [action], [data], link, script, iframe, object, embed')];
    const style = [...document.querySelectorAll('style')].map(e => e.textContent).join('');
    return found.map(e => e.outerHTML).concat(style.match(/url\(|@import|https?:/g) || []);
})()"#;

/// Writes a page with these arguments of `teeter report`.
async fn write_page(teeterd: &FakeTeeterd, arguments: &[&str], file: &Path) {
    let path = file.display().to_string();
    let written = teeterd.teeter(&[&["report"], arguments, &["-o", &path]].concat()).await;
    assert_eq!((written.code, written.out.as_str()), (0, ""), "{written:?}");
}

fn strings(value: Value) -> Vec<String> {
    serde_json::from_value(value).expect("a list of texts")
}

/// Looks at a page in each way, and leaves its pictures.
async fn look_at(browser: &mut Chromium, file: &Path, name: &str, sections: &[&str]) {
    let pictures = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/report-pages"));
    std::fs::create_dir_all(&pictures).expect("a directory is made");
    for look in LOOKS {
        browser.open(file, look).await.expect("the page is opened");
        let ids = "[...document.querySelectorAll('section')].filter(e => e.offsetHeight > 20).map(e => e.id)";
        let found = strings(browser.value(ids).await.expect("it has sections"));
        assert_eq!(found, sections, "{look:?}");
        for check in [OVERFLOWS, FAINT_TEXTS, ADDRESSES] {
            let found = strings(browser.value(check).await.expect("it is checked"));
            assert!(found.is_empty(), "{name}: {look:?}: {:?}", &found[..found.len().min(5)]);
        }
        let background = browser.value("getComputedStyle(document.body).backgroundColor").await.expect("a colour");
        let is_dark = background != "rgb(255, 255, 255)";
        assert_eq!(is_dark, look.dark && !look.paper, "{background}");
        let scheme = if look.dark { "dark" } else { "light" };
        let kind = if look.paper { "paper".to_owned() } else { format!("{}-{scheme}", look.width) };
        let picture = browser.picture().await.expect("a picture is taken");
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5000, "{kind}: {} bytes", picture.len());
        std::fs::write(pictures.join(format!("{name}-{kind}.png")), picture).expect("a picture is written");
    }
    let paper = browser.paper().await.expect("the page is printed");
    assert!(paper.starts_with(b"%PDF-") && paper.len() > 5000, "{} bytes", paper.len());
    std::fs::write(pictures.join(format!("{name}.pdf")), paper).expect("a file is written");
    std::fs::copy(file, pictures.join(format!("{name}.html"))).expect("a file is copied");
    let asked: Vec<&String> = browser.asked().iter().filter(|address| !address.starts_with("file://")).collect();
    assert!(asked.is_empty(), "the page asks for {asked:?}");
    assert!(browser.logged().is_empty(), "{:?}", browser.logged());
}

/// Starts a browser; `None`, with a line in the output, if there is none.
async fn browser() -> Option<Chromium> {
    let browser = Chromium::start().await.expect("the browser starts");
    if browser.is_none() {
        teeter_lab::skip("there is no Chromium: the pages are not opened in one");
    }
    browser
}

#[tokio::test]
async fn page_of_a_run_is_complete_and_readable_in_a_browser() {
    let Some(mut browser) = browser().await else { return };
    let teeterd = FakeTeeterd::start([("/v1/runs/7", run()), ("/v1/events", events())]);
    let file = teeterd.dir().join("run.html");
    write_page(&teeterd, &["7"], &file).await;
    let sections = ["timeline", "steps", "flips", "drains", "watches", "output", "record"];
    look_at(&mut browser, &file, "run", &sections).await;
    browser.open(&file, LOOKS[3]).await.expect("the page is opened");
    // The lanes of the timeline, the flip across them, and a curve for each drain.
    for (selector, count) in [
        ("#timeline svg .drain", 2),
        ("#timeline svg .work", 4),
        ("#timeline svg .stopped", 2),
        ("#timeline svg .flip line", 1),
        ("#timeline svg > title, #drains svg > title", 3),
        ("#watches svg > title, #watches .share-limit", 8),
        ("#drains .curve-line", 2),
    ] {
        let found = browser.value(&format!("document.querySelectorAll('{selector}').length")).await.expect("a count");
        assert_eq!(found, count, "{selector}");
    }
    let wide = "document.querySelector('#drains .curve-line').getBoundingClientRect().width > 200";
    assert_eq!(browser.value(wide).await.expect("it is measured"), true);
    let words = "document.querySelector('#drains').innerText";
    let words = browser.value(words).await.expect("it has words");
    let words = words.as_str().unwrap_or_default();
    assert!(
        words.contains("a: 46s, empty") && words.contains("stuck at the deadline, with 3 requests in flight"),
        "{words}"
    );
    // Hook output is folded, and unfolds.
    let fold = "(() => { const pre = document.querySelector('details pre'), before = pre.checkVisibility();
        document.querySelector('details summary').click(); return [before, pre.checkVisibility() && pre.offsetHeight > 20]; })()";
    assert_eq!(browser.value(fold).await.expect("it unfolds"), serde_json::json!([false, true]));
}

#[tokio::test]
async fn page_of_a_farm_is_complete_and_readable_in_a_browser() {
    let Some(mut browser) = browser().await else { return };
    let teeterd = FakeTeeterd::start([("/v1/farms/web/runs", farm_runs(60))]);
    let file = teeterd.dir().join("web.html");
    write_page(&teeterd, &["--farm", "web", "--since", "2026-01-01"], &file).await;
    look_at(&mut browser, &file, "farm", &["lengths", "drains", "runs"]).await;
    let rows = "document.querySelectorAll('#runs tbody tr').length";
    assert_eq!(browser.value(rows).await.expect("it has rows"), 60);
    let drawn =
        "[...document.querySelectorAll('#drains .column')].filter(e => e.getBoundingClientRect().height > 2).length";
    assert!(browser.value(drawn).await.expect("it has columns").as_u64().is_some_and(|columns| columns >= 3));
}

#[tokio::test]
async fn hostile_texts_are_harmless_in_a_browser() {
    let Some(mut browser) = browser().await else { return };
    let documents = [
        ("/v1/runs/7", hostile(run())),
        ("/v1/events", hostile(events())),
        ("/v1/farms/web/runs", hostile(farm_runs(3))),
    ];
    let teeterd = FakeTeeterd::start(documents);
    for (arguments, name) in [(&["7"][..], "run"), (&["--farm", "web"][..], "farm")] {
        let file = teeterd.dir().join(format!("{name}.html"));
        write_page(&teeterd, arguments, &file).await;
        browser.open(&file, LOOKS[0]).await.expect("the page is opened");
        assert_eq!(browser.value("typeof window.attacked").await.expect("a word"), "undefined");
        let foreign =
            "[...document.querySelectorAll('script, img, iframe, a, b i, style ~ style')].map(e => e.outerHTML)";
        assert_eq!(strings(browser.value(foreign).await.expect("a list")), Vec::<String>::new());
        // The page shows the text as it is, except invisible characters and those that change the direction of text.
        let text = browser.value("document.documentElement.textContent").await.expect("a text");
        let text = text.as_str().unwrap_or_default();
        assert!(text.contains("<img src=x onerror=\"attacked=1\">"), "{text}");
        let controls =
            |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(controls), "{text:?}");
        let found = strings(browser.value(OVERFLOWS).await.expect("it is checked"));
        assert_eq!(found, Vec::<String>::new(), "{name}");
    }
    let asked: Vec<&String> = browser.asked().iter().filter(|address| !address.starts_with("file://")).collect();
    assert!(asked.is_empty() && browser.logged().is_empty(), "{asked:?} {:?}", browser.logged());
}
