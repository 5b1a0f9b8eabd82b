//! What a browser says about where a request comes from: only our own page of the same host may
//! change anything. Pure. Ruling 4; issue 2: a cross-origin unsafe request is refused.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue, ORIGIN};

use crate::messages::Message;

/// Asked for every unsafe request: `Origin` must be this host's; without one, `Sec-Fetch-Site` must
/// say same-origin. What contradicts itself is refused.
pub fn same_origin(headers: &HeaderMap, origin: &str) -> Result<(), Message> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let (given, site) = (origins.next(), sites.next());
    if origins.next().is_some() || sites.next().is_some() {
        return Err(Message::OriginForeign);
    }
    let site_says_same = site.map(|site| site.as_bytes() == b"same-origin");
    match (given, site_says_same) {
        (_, Some(false)) | (None, None) => Err(Message::OriginForeign),
        (Some(given), _) if given.as_bytes() != origin.as_bytes() => Err(Message::OriginForeign),
        (Some(_), _) | (None, Some(true)) => Ok(()),
    }
}

/// What speaks below which path in which media type, and is no browser: EST (RFC 7030) and ACME (RFC 8555).
const MACHINES: [(&str, &[u8]); 2] =
    [("/.well-known/est/", b"application/pkcs10"), ("/acme/", b"application/jose+json")];

/// A machine's clients send neither header, which a browser does with every unsafe request. No form makes their media
/// types either.
pub fn is_machine(path: &str, headers: &HeaderMap) -> bool {
    let media: Vec<_> = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes).collect();
    MACHINES.iter().any(|(below, speaks)| path.starts_with(below) && media == [*speaks])
        && !headers.contains_key(ORIGIN)
        && !headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// Does whoever asks want a page rather than data?
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issue 5: what enrols without a hand is let past this check, and nothing that a page could send.
    #[test]
    fn only_what_no_browser_sends_is_a_machines() {
        let est = "/.well-known/est/simplereenroll";
        let pkcs10 = ("content-type", "application/pkcs10");
        let jose = ("content-type", "application/jose+json");
        for (path, given, machine) in [
            (est, vec![pkcs10], true),
            (est, vec![], false),
            (est, vec![("content-type", "text/plain")], false),
            (est, vec![("content-type", "application/pkcs10; charset=utf-8")], false),
            (est, vec![pkcs10, pkcs10], false),
            (est, vec![pkcs10, ("origin", "https://evil.example")], false),
            (est, vec![pkcs10, ("origin", "https://claim.example.jp")], false),
            (est, vec![pkcs10, ("sec-fetch-site", "same-origin")], false),
            (est, vec![pkcs10, ("sec-fetch-mode", "no-cors")], false),
            ("/claim", vec![pkcs10], false),
            ("/.well-known/estate", vec![pkcs10], false),
            ("/acme/new-order", vec![jose], true),
            ("/acme/new-order", vec![pkcs10], false),
            ("/acme/new-order", vec![jose, jose], false),
            ("/acme/new-order", vec![jose, ("origin", "https://claim.example.jp")], false),
            ("/acme/new-order", vec![jose, ("sec-fetch-site", "cross-site")], false),
            ("/acme/new-order", vec![("content-type", "application/json")], false),
            ("/acmes", vec![jose], false),
            (est, vec![jose], false),
            ("/claim", vec![jose], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &given {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_machine(path, &headers), machine, "{path} {given:?}");
        }
    }

    #[test]
    fn only_our_own_page_may_change_anything() {
        let ours = "https://sns.example.jp";
        for (origin, site, fine) in [
            (Some(ours), None, true),
            (Some(ours), Some("same-origin"), true),
            (None, Some("same-origin"), true),
            (None, None, false),
            (Some("null"), None, false),
            (Some("https://office.example.jp"), None, false),
            (Some("https://office.example.jp"), Some("same-origin"), false),
            (Some("http://sns.example.jp"), None, false),
            (Some("https://sns.example.jp.evil.example"), None, false),
            (Some("https://sns.example.jp:443"), None, false),
            (Some(ours), Some("same-site"), false),
            (Some(ours), Some("cross-site"), false),
            (None, Some("none"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            if let Some(site) = site {
                headers.insert("sec-fetch-site", site.parse().unwrap());
            }
            assert_eq!(same_origin(&headers, ours).is_ok(), fine, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn two_origins_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, "https://sns.example.jp".parse().unwrap());
        headers.append(ORIGIN, "https://evil.example".parse().unwrap());
        assert!(same_origin(&headers, "https://sns.example.jp").is_err());
    }
}
