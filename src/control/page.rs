//! Refuses requests of web pages. A browser can reach the control socket through a proxy, and sends any request that a
//! page asks for.

use axum::http::{HeaderMap, Method, header};

use super::problem::Failure;

/// Checks that no header shows that a browser sends the request for a page. Browsers send `Origin` with every change
/// and with cross-site reads of scripts, and `Sec-Fetch-Site` with every request on a secure connection.
pub(super) fn no_page_header(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Failure::from_a_page("origin"));
    }
    let sites = headers.get_all(SEC_FETCH_SITE);
    if sites.iter().all(|site| ACCEPTED_SITES.contains(&site.as_bytes())) {
        Ok(())
    } else {
        Err(Failure::from_a_page(SEC_FETCH_SITE))
    }
}

/// Checks that a change has the content type of JSON. Before a browser sends this type for a page of another site, it
/// asks for permission, which teeterd never gives. Forms, and older browsers without these headers, send other types.
pub(super) fn has_json_content_type(method: &Method, headers: &HeaderMap, request_line: &str) -> Result<(), Failure> {
    if method.is_safe() {
        return Ok(());
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (kind, second) = (kinds.next(), kinds.next());
    let text = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let essence = text.as_deref().map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if essence.as_deref() == Some(JSON) && second.is_none() {
        return Ok(());
    }
    let sent = text.map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
    Err(Failure::media_type(request_line, if second.is_some() { "several" } else { &sent }))
}

const JSON: &str = "application/json";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Accepted values of `Sec-Fetch-Site`: an address that a user has typed, and a page behind the same proxy.
const ACCEPTED_SITES: [&[u8]; 2] = [b"none", b"same-origin"];

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
    fn headers_of_web_pages_are_refused() {
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
            assert_eq!(no_page_header(&headers(pairs)).is_ok(), passes, "{pairs:?}");
        }
    }

    #[test]
    fn a_change_needs_the_content_type_of_json() {
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
                assert_eq!(
                    has_json_content_type(&method, &headers, "POST /v1/holds").is_ok(),
                    passes,
                    "{method} {pairs:?}"
                );
            }
            assert!(has_json_content_type(&Method::GET, &headers, "POST /v1/holds").is_ok());
        }
    }
}
