//! The one upgrade there is: WebSocket over HTTP/1.1 (RFC 6455). Judges the wish of a request and the
//! room's consent; what is neither is refused before a byte of it is carried. Pure.

use aws_lc_rs::digest;
use data_encoding::BASE64;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Method, Version};

/// What makes an answer the answer to this very request (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A well-formed wish to speak WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    accept: String,
}

/// An upgrade to something else, or not as it must be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// `None`: no upgrade is asked for.
pub fn wish(method: &Method, version: Version, headers: &HeaderMap) -> Result<Option<Wish>, Malformed> {
    if headers.contains_key("http2-settings") {
        return Err(Malformed);
    }
    if !headers.contains_key(UPGRADE) {
        return Ok(None);
    }
    let key = only(headers, SEC_WEBSOCKET_KEY).ok_or(Malformed)?;
    let plain = version == Version::HTTP_11
        && method == Method::GET
        && only(headers, UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && only(headers, CONNECTION).is_some_and(|value| names(value, "upgrade"))
        && only(headers, SEC_WEBSOCKET_VERSION) == Some("13")
        && BASE64.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16);
    if plain { Ok(Some(Wish { accept: accept(key) })) } else { Err(Malformed) }
}

impl Wish {
    /// Does a room's `101` answer this wish?
    pub fn is_granted_by(&self, headers: &HeaderMap) -> bool {
        only(headers, UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
            && only(headers, CONNECTION).is_some_and(|value| names(value, "upgrade"))
            && only(headers, SEC_WEBSOCKET_ACCEPT) == Some(&self.accept)
    }
}

fn accept(key: &str) -> String {
    let text = [key.as_bytes(), GUID].concat();
    BASE64.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text).as_ref())
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn names(value: &str, wanted: &str) -> bool {
    value.split(',').any(|name| name.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(change: impl FnOnce(&mut HeaderMap)) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        change(&mut headers);
        headers
    }

    fn asked(headers: &HeaderMap) -> Result<Option<Wish>, Malformed> {
        wish(&Method::GET, Version::HTTP_11, headers)
    }

    #[test]
    fn the_rfcs_own_example_is_granted_and_nothing_near_it() {
        let wish = asked(&headers(|_| {})).unwrap().unwrap();
        let mut answer = headers(|_| {});
        assert!(!wish.is_granted_by(&answer), "an echo is no consent");
        answer.insert("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap());
        assert!(wish.is_granted_by(&answer));
        answer.append("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap());
        assert!(!wish.is_granted_by(&answer));
    }

    #[test]
    fn half_a_wish_is_malformed() {
        let remove = |name: &'static str| headers(|headers| drop(headers.remove(name)));
        for without in ["connection", "sec-websocket-version", "sec-websocket-key"] {
            assert_eq!(asked(&remove(without)), Err(Malformed), "{without}");
        }
        assert_eq!(asked(&remove("upgrade")), Ok(None));
        for (name, value) in [
            ("upgrade", "h2c"),
            ("upgrade", "websocket, h2c"),
            ("connection", "close"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", "dG9vIHNob3J0"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
        ] {
            let one = headers(|headers| drop(headers.insert(name, value.parse().unwrap())));
            assert_eq!(asked(&one), Err(Malformed), "{name}: {value}");
        }
        let whole = headers(|_| {});
        assert_eq!(wish(&Method::POST, Version::HTTP_11, &whole), Err(Malformed));
        assert_eq!(wish(&Method::GET, Version::HTTP_2, &whole), Err(Malformed));
    }
}
