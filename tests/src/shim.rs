//! What changes on the way between an ordinary browser on this machine and a page behind a device's
//! tunnel: who may pass, and which headers say what on either side. Pure: headers in, headers out.
//!
//! ```text
//! browser ──http://127.0.0.1:PORT──▶ shim ──the device's tunnel and certificate──▶ https://sns.ZONE
//! ```
//! For demonstrations only. It lends a device to whoever holds the token, so it demands one, listens on
//! loopback alone, answers to one `Host`, and lends nothing to a page of another origin.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq;

/// Names a browser accepts only over TLS; on this side they get the port instead, because a browser
/// shares the cookies of 127.0.0.1 among its ports.
const HOST_LOCKED: &str = "__Host-";
/// The cookie that follows the token.
const PASS: &str = "shim";
/// Where the token stands in the first address.
const TOKEN: &str = "token=";

/// Meant for one connection (RFC 9110, 7.6.1), or rewritten below; what frames the body is hyper's business.
const NOT_CARRIED: [HeaderName; 14] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    header::COOKIE,
    HeaderName::from_static("keep-alive"),
];
/// Says something about TLS, which this side has not.
const NOT_RETURNED: [HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
    header::SET_COOKIE,
    header::LOCATION,
];

/// One address on this machine and the site that it leads to.
pub struct Shim {
    /// `sns.care.example.jp`
    host: String,
    port: u16,
    /// Nothing is demanded for what is published anyway.
    demands: Option<Secrets>,
}

struct Secrets {
    token: String,
    pass: String,
}

/// What is done with a request.
#[derive(PartialEq, Eq)]
pub enum Entry {
    Carry,
    /// The token was right: here is the cookie, go on without it in the address.
    Welcome {
        to: String,
        cookie: String,
    },
    Refuse(Refused),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Another name leads here (DNS rebinding).
    Host,
    Token,
    /// Neither token nor cookie.
    Stranger,
    /// A page of another origin asks.
    Origin,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Carry => f.write_str("Carry"),
            Entry::Welcome { to, .. } => write!(f, "Welcome to {to}"),
            Entry::Refuse(refused) => refused.fmt(f),
        }
    }
}

impl Refused {
    pub fn words(self) -> &'static str {
        match self {
            Refused::Host => {
                "このアドレスでは開けません。表示された http://127.0.0.1:… のアドレスを使ってください。"
            }
            Refused::Token => {
                "アドレスの token が違います。表示されたアドレスを、もう一度そのまま開いてください。"
            }
            Refused::Stranger => "表示されたアドレス（token 付き）から開いてください。",
            Refused::Origin => "ほかのサイトのページからは開けません。",
        }
    }
}

impl Shim {
    /// Two secrets: the one in the address ends in histories, the other does not open a door.
    pub fn new(host: &str, port: u16, token: &[u8; 32], pass: &[u8; 32]) -> Self {
        let text = |bytes: &[u8; 32]| BASE64URL_NOPAD.encode(bytes);
        let demands = Some(Secrets { token: text(token), pass: text(pass) });
        Self { host: host.to_owned(), port, demands }
    }

    /// For bytes that everybody may have: certificates, lists, OCSP.
    pub fn open(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, demands: None }
    }

    /// What a person opens.
    pub fn url(&self) -> String {
        let token =
            self.demands.as_ref().map_or(String::new(), |secrets| format!("?{TOKEN}{}", secrets.token));
        format!("{}/{token}", self.origin())
    }

    pub fn admit(&self, path_and_query: &str, headers: &HeaderMap) -> Entry {
        let one = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
            (values.next(), values.next().is_some())
        };
        if one(&header::HOST) != (Some(self.authority().as_bytes()), false) {
            return Entry::Refuse(Refused::Host);
        }
        let Some(secrets) = &self.demands else { return Entry::Carry };
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if let Some(token) = query.split('&').find_map(|pair| pair.strip_prefix(TOKEN)) {
            if !same(token, &secrets.token) {
                return Entry::Refuse(Refused::Token);
            }
            let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(TOKEN)).collect();
            let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
            let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.local(PASS), secrets.pass);
            return Entry::Welcome { to: format!("{path}{query}"), cookie };
        }
        // Other ports of this machine are the same site to a browser, not the same origin.
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        let foreign_site = site.is_some_and(|site| site != b"same-origin" && site != b"none");
        let foreign_origin = match one(&header::ORIGIN) {
            (None, _) => false,
            (Some(origin), several) => several || origin != self.origin().as_bytes(),
        };
        let shown = cookies(headers).find(|(name, _)| *name == self.local(PASS));
        match shown {
            Some((_, value)) if same(value, &secrets.pass) && !foreign_site && !foreign_origin => {
                Entry::Carry
            }
            Some((_, value)) if same(value, &secrets.pass) => Entry::Refuse(Refused::Origin),
            _ => Entry::Refuse(Refused::Stranger),
        }
    }

    /// As the device's own browser would have said it.
    pub fn inward(&self, headers: &HeaderMap) -> HeaderMap {
        let mut carried = HeaderMap::new();
        for (name, value) in headers.iter().filter(|(name, _)| !NOT_CARRIED.contains(name)) {
            carried.append(name.clone(), value.clone());
        }
        put(&mut carried, header::HOST, &self.host);
        if headers.contains_key(header::ORIGIN) {
            put(&mut carried, header::ORIGIN, &format!("https://{}", self.host));
        }
        if let Some(path) = text(headers, &header::REFERER).and_then(|from| from.strip_prefix(&self.origin()))
        {
            put(&mut carried, header::REFERER, &format!("https://{}{path}", self.host));
        }
        let ending = self.local("");
        let theirs = cookies(headers).filter_map(|(name, value)| {
            let name = name.strip_suffix(&ending).filter(|name| *name != PASS && !name.is_empty())?;
            Some(format!("{HOST_LOCKED}{name}={value}"))
        });
        let theirs: Vec<String> = theirs.collect();
        if !theirs.is_empty() {
            put(&mut carried, header::COOKIE, &theirs.join("; "));
        }
        carried
    }

    /// As a browser without TLS will take it.
    pub fn outward(&self, headers: &HeaderMap) -> HeaderMap {
        let mut returned = HeaderMap::new();
        for (name, value) in headers.iter().filter(|(name, _)| !NOT_RETURNED.contains(name)) {
            returned.append(name.clone(), value.clone());
        }
        for cookie in headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            if let Some(value) =
                self.cookie_out(cookie).and_then(|cookie| HeaderValue::from_str(&cookie).ok())
            {
                returned.append(header::SET_COOKIE, value);
            }
        }
        if let Some(to) = text(headers, &header::LOCATION) {
            let home = format!("https://{}", self.host);
            let to = to.strip_prefix(&home).filter(|path| path.starts_with('/')).unwrap_or(to);
            put(&mut returned, header::LOCATION, to);
        }
        returned
    }

    /// `__Host-session=x; Secure; …` → `session-41234=x; …`. Others are never set by our gateway.
    fn cookie_out(&self, cookie: &str) -> Option<String> {
        let mut parts = cookie.split(';').map(str::trim);
        let (name, value) = parts.next()?.strip_prefix(HOST_LOCKED)?.split_once('=')?;
        let kept = parts.filter(|part| !part.eq_ignore_ascii_case("secure"));
        Some(
            std::iter::once(format!("{}={value}", self.local(name)))
                .chain(kept.map(str::to_owned))
                .collect::<Vec<_>>()
                .join("; "),
        )
    }

    fn local(&self, name: &str) -> String {
        format!("{name}-{}", self.port)
    }

    fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn origin(&self) -> String {
        format!("http://{}", self.authority())
    }
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shim() -> Shim {
        Shim::new("sns.care.example.jp", 41234, &[1; 32], &[2; 32])
    }

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn pass() -> String {
        format!("shim-41234={}", BASE64URL_NOPAD.encode(&[2; 32]))
    }

    #[test]
    fn the_printed_address_opens_and_its_cookie_goes_on() {
        let shim = shim();
        let url = shim.url();
        let path = url.strip_prefix("http://127.0.0.1:41234").unwrap();
        let host = ("host", "127.0.0.1:41234");
        let Entry::Welcome { to, cookie } = shim.admit(path, &map(&[host])) else { panic!("{url}") };
        assert_eq!(to, "/");
        assert!(cookie.starts_with(&pass()) && cookie.ends_with("SameSite=Strict"));
        assert!(cookie.contains("HttpOnly") && !cookie.contains("Domain"));
        assert_eq!(shim.admit("/teams", &map(&[host, ("cookie", &pass())])), Entry::Carry);
        let fine = [
            host,
            ("cookie", &pass()),
            ("origin", "http://127.0.0.1:41234"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert_eq!(shim.admit("/teams", &map(&fine)), Entry::Carry);
    }

    /// The attacker: a rebound name, a guess, another port's page, no cookie at all.
    #[test]
    fn nobody_else_borrows_the_device() {
        let shim = shim();
        let (host, cookie) = (("host", "127.0.0.1:41234"), pass());
        let pass = ("cookie", cookie.as_str());
        let token = format!("/?token={}", BASE64URL_NOPAD.encode(&[2; 32]));
        for (path, headers, refused) in [
            ("/", vec![pass], Refused::Host),
            ("/", vec![("host", "evil.example:41234"), pass], Refused::Host),
            ("/", vec![("host", "localhost:41234"), pass], Refused::Host),
            ("/", vec![host, ("host", "evil.example"), pass], Refused::Host),
            ("/?token=", vec![host, pass], Refused::Token),
            ("/?a=b&token=x", vec![host, pass], Refused::Token),
            (token.as_str(), vec![host], Refused::Token),
            ("/", vec![host], Refused::Stranger),
            ("/", vec![host, ("cookie", "shim-41234=x")], Refused::Stranger),
            ("/", vec![host, ("cookie", "shim-41235=x; session-41234=y")], Refused::Stranger),
            ("/", vec![host, pass, ("sec-fetch-site", "same-site")], Refused::Origin),
            ("/", vec![host, pass, ("sec-fetch-site", "cross-site")], Refused::Origin),
            ("/", vec![host, pass, ("origin", "http://127.0.0.1:8000")], Refused::Origin),
            ("/", vec![host, pass, ("origin", "null")], Refused::Origin),
            ("/", vec![host, pass, ("origin", "http://127.0.0.1:41234"), ("origin", "x")], Refused::Origin),
        ] {
            assert_eq!(shim.admit(path, &map(&headers)), Entry::Refuse(refused), "{path} {headers:?}");
        }
    }

    #[test]
    fn published_bytes_need_no_token_and_still_the_right_name() {
        let open = Shim::open("10.18.255.2", 41240);
        assert_eq!(open.url(), "http://127.0.0.1:41240/");
        assert_eq!(open.admit("/crl/00.crl", &map(&[("host", "127.0.0.1:41240")])), Entry::Carry);
        let rebound = open.admit("/crl/00.crl", &map(&[("host", "evil.example:41240")]));
        assert_eq!(rebound, Entry::Refuse(Refused::Host));
    }

    #[test]
    fn the_gateway_hears_its_own_name_and_only_its_own_cookies() {
        let carried = shim().inward(&map(&[
            ("host", "127.0.0.1:41234"),
            ("origin", "http://127.0.0.1:41234"),
            ("referer", "http://127.0.0.1:41234/teams/p-1"),
            ("cookie", "session-41234=abc; session-41235=of-another; a=b"),
            ("cookie", &pass()),
            ("connection", "keep-alive"),
            ("content-length", "4"),
            ("last-event-id", "7"),
        ]));
        let said = |name: &str| carried.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(said("host"), Some("sns.care.example.jp"));
        assert_eq!(said("origin"), Some("https://sns.care.example.jp"));
        assert_eq!(said("referer"), Some("https://sns.care.example.jp/teams/p-1"));
        assert_eq!(said("cookie"), Some("__Host-session=abc"));
        assert_eq!(said("last-event-id"), Some("7"));
        assert_eq!((said("connection"), said("content-length")), (None, None));
    }

    #[test]
    fn a_browser_without_tls_keeps_the_session() {
        let returned = shim().outward(&map(&[
            ("set-cookie", "__Host-session=abc; Path=/; Secure; HttpOnly; SameSite=Strict"),
            ("set-cookie", "stray=1"),
            ("strict-transport-security", "max-age=1"),
            ("location", "https://sns.care.example.jp/teams"),
            ("content-length", "9"),
        ]));
        let cookies: Vec<_> = returned.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["session-41234=abc; Path=/; HttpOnly; SameSite=Strict"]);
        assert_eq!(returned.get("location").unwrap(), "/teams");
        assert!(!returned.contains_key("strict-transport-security"));
        assert_eq!(returned.get("content-length").unwrap(), "9");
    }
}
