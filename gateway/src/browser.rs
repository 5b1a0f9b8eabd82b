//! What a browser says about where a request comes from: only our own page of the same host may
//! change anything. Pure. Ruling 4; issue 2: a cross-origin unsafe request is refused.

use http::HeaderMap;
use http::header::ORIGIN;

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

/// Does whoever asks want a page rather than data?
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
