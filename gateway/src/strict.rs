//! The checks after the parser: who was addressed, by which method, with which target. What passes
//! is forwarded unchanged, so nothing may mean two things to two readers. Pure. Issue 2, strict HTTP.

use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Version};

use crate::messages::Message;
use crate::upgrade::{Wish, wish};

/// Longest target: our own are under 200 bytes; an OIDC answer stays under 4 KiB.
const TARGET_MAX: usize = 4096;

/// A request whose authority, method and target mean one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked<N> {
    pub name: N,
    /// Path and query, as they came.
    pub target: PathAndQuery,
    /// Changes something: anything but GET and HEAD.
    pub unsafe_method: bool,
    /// A WebSocket is asked for.
    pub upgrade: Option<Wish>,
}

impl<N> Checked<N> {
    pub fn path(&self) -> &str {
        self.target.path()
    }
}

/// Which rule a request broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("neither HTTP/1.1 nor HTTP/2")]
    Version,
    #[error("a header value with a byte that is no printable ASCII, or with space around it")]
    HeaderValue,
    #[error("not exactly one Host")]
    NoHost,
    #[error("the Host is not a name of this listener")]
    OtherHost,
    #[error("the absolute target disagrees with the Host")]
    Absolute,
    #[error("the method is not supported")]
    Method,
    #[error("an upgrade that is no WebSocket handshake")]
    Upgrade,
    #[error("the target is not a plain path")]
    Target,
    #[error("the path holds a dot segment")]
    DotSegment,
}

impl Fault {
    pub fn outside(self) -> (StatusCode, Message) {
        match self {
            Fault::OtherHost => (StatusCode::MISDIRECTED_REQUEST, Message::HostWrong),
            Fault::Method => (StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused),
            Fault::Version
            | Fault::HeaderValue
            | Fault::NoHost
            | Fault::Absolute
            | Fault::Upgrade
            | Fault::Target
            | Fault::DotSegment => (StatusCode::BAD_REQUEST, Message::RequestMalformed),
        }
    }
}

/// The scheme and default port of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Https,
    Http,
    /// On whatever port it was reached; for measuring, where the port is anybody's.
    HttpsAnyPort,
}

impl Scheme {
    fn name_and_port(self) -> (&'static str, Option<&'static str>) {
        match self {
            Scheme::Https => ("https", Some("443")),
            Scheme::Http => ("http", Some("80")),
            Scheme::HttpsAnyPort => ("https", None),
        }
    }
}

pub fn check<N: Copy>(parts: &Parts, scheme: Scheme, names: &[(String, N)]) -> Result<Checked<N>, Fault> {
    match parts.version {
        Version::HTTP_11 => {}
        // Published bytes only, where nothing is forwarded.
        Version::HTTP_10 if scheme == Scheme::Http => {}
        // Over HTTP/1.1 the gate has looked at every byte.
        Version::HTTP_2 if parts.headers.values().all(|value| is_plain(value.as_bytes())) => {}
        Version::HTTP_2 => return Err(Fault::HeaderValue),
        _ => return Err(Fault::Version),
    }
    let unsafe_method = match parts.method {
        Method::GET | Method::HEAD => false,
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => true,
        _ => return Err(Fault::Method),
    };
    let upgrade = wish(&parts.method, parts.version, &parts.headers).map_err(|_| Fault::Upgrade)?;
    let name = addressed(parts, scheme, names)?;
    let target = parts.uri.path_and_query().ok_or(Fault::Target)?;
    plain(target.as_str())?;
    Ok(Checked { name, target: target.clone(), unsafe_method, upgrade })
}

fn addressed<N: Copy>(parts: &Parts, scheme: Scheme, names: &[(String, N)]) -> Result<N, Fault> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next(), parts.version) {
        (Some(host), None, _) => host.to_str().map_err(|_| Fault::NoHost)?,
        (None, None, Version::HTTP_2) => parts.uri.authority().ok_or(Fault::NoHost)?.as_str(),
        _ => return Err(Fault::NoHost),
    };
    let (scheme, port) = scheme.name_and_port();
    match parts.uri.authority() {
        Some(authority) if parts.uri.scheme_str() != Some(scheme) || authority.as_str() != host => {
            return Err(Fault::Absolute);
        }
        None if parts.version == Version::HTTP_2 => return Err(Fault::NoHost),
        _ => {}
    }
    let bare = match host.split_once(':') {
        Some((bare, given)) if port.map_or_else(|| is_port(given), |port| given == port) => bare,
        Some(_) => return Err(Fault::OtherHost),
        None => host,
    };
    let found = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(bare));
    found.map(|(_, name)| *name).ok_or(Fault::OtherHost)
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.parse::<u16>().is_ok() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Printable ASCII without space around it.
fn is_plain(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    value.iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
        && !blank(value.first())
        && !blank(value.last())
}

/// Path and query of RFC 3986 characters only, without dot segments in any spelling.
fn plain(target: &str) -> Result<(), Fault> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // Two slashes at its beginning are an authority to some readers.
    if !path.starts_with('/') || path.starts_with("//") || target.len() > TARGET_MAX {
        return Err(Fault::Target);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&b);
    if !path.bytes().all(allowed) || !query.bytes().all(|b| allowed(b) || b == b'?') {
        return Err(Fault::Target);
    }
    if !escapes_are_whole(target) || hides_a_separator(path) {
        return Err(Fault::Target);
    }
    if path.split('/').any(is_dots) { Err(Fault::DotSegment) } else { Ok(()) }
}

/// One dot or two, in any spelling; `..;x` is a dot segment to some readers.
fn is_dots(segment: &str) -> bool {
    let mut rest = segment.split(';').next().unwrap_or("").as_bytes();
    let mut dots = 0;
    loop {
        rest = match rest {
            [] => return matches!(dots, 1 | 2),
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        dots += 1;
    }
}

fn escapes_are_whole(target: &str) -> bool {
    let mut parts = target.split('%');
    parts.next();
    parts.all(|part| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

/// An encoded slash, backslash, percent or control character in a path is read differently by every server.
fn hides_a_separator(path: &str) -> bool {
    path.split('%').skip(1).any(|part| {
        let code = part.get(..2).unwrap_or("");
        let separators = ["2f", "5c", "25", "7f"];
        separators.iter().any(|one| code.eq_ignore_ascii_case(one)) || code.starts_with(['0', '1'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn names() -> Vec<(String, u8)> {
        vec![("sns.example.jp".into(), 1), ("office.example.jp".into(), 2)]
    }

    fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Checked<u8>, Fault> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, Scheme::Https, &names())
    }

    const OURS: (&str, &str) = ("host", "sns.example.jp");

    #[test]
    fn plain_requests_pass_with_their_target_unchanged() {
        for target in ["/", "/api/teams?x=1&y=%E3%81%82", "/a.b/..c/%20", "/a?b=/../c"] {
            assert_eq!(ask("GET", target, &[OURS]).unwrap().target.as_str(), target);
        }
        assert_eq!(ask("GET", "/", &[("host", "OFFICE.example.jp:443")]).unwrap().name, 2);
        let absolute = ask("POST", "https://sns.example.jp/x?y", &[OURS]).unwrap();
        assert_eq!((absolute.target.as_str(), absolute.unsafe_method), ("/x?y", true));
    }

    #[test]
    fn every_other_authority_is_refused() {
        for (host, fault) in [
            ("example.jp", Fault::OtherHost),
            ("sns.example.jp:8443", Fault::OtherHost),
            ("sns.example.jp.", Fault::OtherHost),
            ("user@sns.example.jp", Fault::OtherHost),
            ("sns.example.jp/x", Fault::OtherHost),
            ("sns.example.jp, office.example.jp", Fault::OtherHost),
            ("10.18.255.1", Fault::OtherHost),
            ("", Fault::OtherHost),
        ] {
            assert_eq!(ask("GET", "/", &[("host", host)]), Err(fault), "{host}");
        }
        assert_eq!(ask("GET", "/", &[]), Err(Fault::NoHost));
        assert_eq!(ask("GET", "/", &[OURS, OURS]), Err(Fault::NoHost));
        for uri in ["https://office.example.jp/", "http://sns.example.jp/", "https://a@sns.example.jp/"] {
            assert_eq!(ask("GET", uri, &[OURS]), Err(Fault::Absolute), "{uri}");
        }
    }

    #[test]
    fn targets_that_mean_two_things_are_refused() {
        for target in ["/a/../b", "/..", "/.", "/%2e%2E/b", "/.%2e", "/a/..;x/b", "/a/%2e"] {
            assert_eq!(ask("GET", target, &[OURS]), Err(Fault::DotSegment), "{target}");
        }
        for target in [
            "//evil.example/",
            "/%2fa",
            "/..%2f",
            "/%5c",
            "/%00",
            "/%0d%0a",
            "/%252e",
            "/%",
            "/%2",
            "/%zz",
            "/a|b",
            "/a?b=%",
        ] {
            assert_eq!(ask("GET", target, &[OURS]), Err(Fault::Target), "{target}");
        }
        assert_eq!(ask("OPTIONS", "*", &[OURS]), Err(Fault::Method));
        for method in ["CONNECT", "TRACE", "PRI", "PROPFIND"] {
            assert_eq!(ask(method, "/", &[OURS]), Err(Fault::Method), "{method}");
        }
        assert_eq!(ask("GET", "/", &[OURS, ("upgrade", "websocket, H2C")]), Err(Fault::Upgrade));
    }
}
