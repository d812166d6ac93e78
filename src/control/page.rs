//! That a request does not come from a web page: a browser reaches the control socket where a proxy leads to it, and
//! sends what any page asks it to send.

use axum::http::{HeaderMap, Method, header};

use super::problem::Failure;

/// That no browser says to send it for a page. Browsers send `Origin` with every change and with what a page of another
/// site reads by a script, and `Sec-Fetch-Site` with everything where the connection is safe.
pub(super) fn is_not_asking(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Failure::from_a_page("origin"));
    }
    let harmless = |site: &[u8]| SITES.contains(&site);
    let sites = headers.get_all(SEC_FETCH_SITE);
    if sites.iter().all(|site| harmless(site.as_bytes())) { Ok(()) } else { Err(Failure::from_a_page(SEC_FETCH_SITE)) }
}

/// That no page could have sent a change behind its reader's back: with this content type a browser asks first whether it
/// may, which teeterd never allows. A form, or an older browser without the headers above, has only others.
pub(super) fn could_not_ask(method: &Method, headers: &HeaderMap, asked: &str) -> Result<(), Failure> {
    if method.is_safe() {
        return Ok(());
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (kind, more) = (kinds.next(), kinds.next());
    let text = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let essence = text.as_deref().map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if essence.as_deref() == Some(JSON) && more.is_none() {
        return Ok(());
    }
    let sent = text.map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
    Err(Failure::media_type(asked, if more.is_some() { "several" } else { &sent }))
}

const JSON: &str = "application/json";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What `Sec-Fetch-Site` says of an address that a person has typed, and of a page behind the same proxy that reads.
const SITES: [&[u8]; 2] = [b"none", b"same-origin"];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_a_browser_sends_for_a_page_is_refused() {
        for (pairs, passes) in [
            (&[][..], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], false),
        ] {
            assert_eq!(is_not_asking(&headers(pairs)).is_ok(), passes, "{pairs:?}");
        }
    }

    #[test]
    fn a_change_has_the_content_type_of_json() {
        let json = ("content-type", "application/json");
        for (pairs, passes) in [
            (&[json][..], true),
            (&[("content-type", "Application/JSON; charset=utf-8")], true),
            (&[], false),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "text/plain; application/json")], false),
            (&[("content-type", "application/x-www-form-urlencoded")], false),
            (&[json, ("content-type", "text/plain")], false),
        ] {
            let headers = headers(pairs);
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
                assert_eq!(could_not_ask(&method, &headers, "it").is_ok(), passes, "{method} {pairs:?}");
            }
            assert!(could_not_ask(&Method::GET, &headers, "it").is_ok());
        }
    }
}
