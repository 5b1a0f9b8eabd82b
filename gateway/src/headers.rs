//! Which headers pass, in both directions: lists of what is allowed, so that no new or misspelt
//! name can slip through. One function for every forwarded request. Pure. Issue 2: s7.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::names::Host;

/// What a room behind the gateway may learn from a request; framing, cookies and hop-by-hop never.
const REQUEST: [HeaderName; 10] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::RANGE,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

/// What a room behind the gateway may tell the device; cookies and policies are the gateway's own.
const RESPONSE: [HeaderName; 10] = [
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::RETRY_AFTER,
    header::ALLOW,
];

/// What passes on some paths and on no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Besides<'a> {
    Nothing,
    /// Enrolment by a machine (RFC 7030 `simpleenroll`): number and password as its client sends them, and the
    /// tunnel's public key, for which the standard has no place.
    Enrolment,
    /// ACME (RFC 8555): each answer brings the next nonce and names places, whole and at this origin.
    Acme {
        origin: &'a str,
    },
}

impl Besides<'_> {
    fn asked(self) -> &'static [HeaderName] {
        static ENROLMENT: [HeaderName; 2] =
            [header::AUTHORIZATION, HeaderName::from_static("wireguard-public-key")];
        match self {
            Besides::Nothing | Besides::Acme { .. } => &[],
            Besides::Enrolment => &ENROLMENT,
        }
    }

    fn told(self) -> &'static [HeaderName] {
        static ENROLMENT: [HeaderName; 2] =
            [header::WWW_AUTHENTICATE, HeaderName::from_static("wireguard-profile")];
        static ACME: [HeaderName; 2] = [HeaderName::from_static("replay-nonce"), header::LINK];
        match self {
            Besides::Nothing => &[],
            Besides::Enrolment => &ENROLMENT,
            Besides::Acme { .. } => &ACME,
        }
    }

    /// May a room send somebody there? To its own places by their path; as a whole URL only where a client must be
    /// told one, and only to the origin that it asked.
    fn is_own(self, place: &[u8]) -> bool {
        let is_path =
            |text: &[u8]| text.starts_with(b"/") && !text.starts_with(b"//") && !text.contains(&b'\\');
        match self {
            Besides::Acme { origin } => place.strip_prefix(origin.as_bytes()).is_some_and(is_path),
            Besides::Nothing | Besides::Enrolment => is_path(place),
        }
    }
}

/// Of these, the ones that are lists; anything else given twice means two things to two readers.
const LISTS: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// What a WebSocket's wish and consent carry besides.
const UPGRADE_REQUEST: [HeaderName; 4] = [
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];
const UPGRADE_RESPONSE: [HeaderName; 3] =
    [header::SEC_WEBSOCKET_ACCEPT, header::SEC_WEBSOCKET_PROTOCOL, header::SEC_WEBSOCKET_EXTENSIONS];

/// The prefix of every header that carries our own word.
const OURS: &str = "mimamori-";

/// What is forwarded of a request's headers, and how many tried to speak for us.
pub struct Forwarded {
    pub headers: HeaderMap,
    pub forged: u32,
    /// Something that there is one of was given twice.
    pub twice: bool,
}

/// One function for requests and for upgrades: what differs is the list.
pub fn forward_request(headers: &HeaderMap, upgrade: bool, besides: Besides<'_>) -> Forwarded {
    let nominated = nominated(headers);
    // Room for what the gateway adds.
    let mut forwarded = HeaderMap::with_capacity(16);
    let more: &[HeaderName] = if upgrade { &UPGRADE_REQUEST } else { &[] };
    let mut twice = false;
    for name in REQUEST.iter().chain(more).chain(besides.asked()) {
        if nominated.iter().any(|nominated| nominated.eq_ignore_ascii_case(name.as_str())) {
            continue;
        }
        for (number, value) in headers.get_all(name).iter().enumerate() {
            twice |= number > 0 && !LISTS.contains(name);
            forwarded.append(name.clone(), value.clone());
        }
    }
    if upgrade {
        switch(&mut forwarded);
    }
    let forged = headers.keys().filter(|name| speaks_for_us(name.as_str())).count();
    Forwarded { headers: forwarded, forged: forged as u32, twice }
}

/// A room's consent to a WebSocket, after it was found to be one.
pub fn forward_consent(headers: &HeaderMap) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    for name in &UPGRADE_RESPONSE {
        if let Some(value) = headers.get(name) {
            forwarded.insert(name.clone(), value.clone());
        }
    }
    switch(&mut forwarded);
    forwarded
}

fn switch(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

pub fn forward_response(headers: &HeaderMap, besides: Besides<'_>) -> HeaderMap {
    let mut forwarded = HeaderMap::with_capacity(24);
    for name in RESPONSE.iter().chain(besides.told()) {
        for value in headers.get_all(name) {
            // A room sends nobody to another origin.
            if *name != header::LOCATION || besides.is_own(value.as_bytes()) {
                forwarded.append(name.clone(), value.clone());
            }
        }
    }
    forwarded
}

/// What every answer of an origin carries (ruling 4).
pub fn guard(headers: &mut HeaderMap, host: Option<Host>) {
    let policy = match host {
        // The claim page makes its keys in its own scripts (ruling 5); its form goes nowhere without them.
        Some(Host::Claim) => concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; ",
            "font-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        ),
        Some(Host::Sns | Host::Office) | None => concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; ",
            "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    };
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: under it browsers say `Origin: null` about our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "geolocation=(), payment=(), usb=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if host.is_some() {
        let two_years = HeaderValue::from_static("max-age=63072000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, two_years);
    }
}

/// May a body follow this status?
pub fn has_body(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// The names that `Connection` makes hop-by-hop.
fn nominated(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// Would some reader take this name for one of ours?
fn speaks_for_us(name: &str) -> bool {
    let same = |(given, ours): (u8, u8)| given == ours || (given == b'_' && ours == b'-');
    let mut places = name.as_bytes().windows(OURS.len());
    places.any(|place| place.iter().map(u8::to_ascii_lowercase).zip(OURS.bytes()).all(same))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn no_spelling_of_our_names_passes_and_each_is_counted() {
        let forged = [
            "Mimamori-Identity",
            "mimamori_identity",
            "MIMAMORI-VISITOR",
            "Mimamori-Trace",
            "x-mimamori-identity",
            "mimamori-identity_",
        ];
        let pairs: Vec<(&str, &str)> = forged.iter().map(|name| (*name, "v1;role=secretariat")).collect();
        let forwarded = forward_request(&map(&pairs), false, Besides::Nothing);
        assert!(forwarded.headers.is_empty());
        assert_eq!(forwarded.forged, forged.len() as u32);
        let upgrade = forward_request(&map(&pairs), true, Besides::Nothing);
        assert_eq!(
            upgrade.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["connection", "upgrade"]
        );
        assert_eq!(upgrade.forged, forged.len() as u32);
    }

    #[test]
    fn hop_by_hop_framing_and_cookies_never_pass() {
        let forwarded = forward_request(
            &map(&[
                ("connection", "close, Accept"),
                ("accept", "x"),
                ("content-type", "application/json"),
                ("cookie", "__Host-session=x"),
                ("content-length", "5"),
                ("transfer-encoding", "chunked"),
                ("te", "trailers"),
                ("upgrade", "websocket"),
                ("expect", "100-continue"),
                ("x-forwarded-for", "1.2.3.4"),
                ("forwarded", "for=1.2.3.4"),
                ("authorization", "Basic x"),
                ("idempotency_key", "x"),
            ]),
            false,
            Besides::Nothing,
        );
        assert_eq!(forwarded.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    }

    /// Issue 5, RFC 7030: an EST client's number and password reach the claim, and nothing else of it does.
    #[test]
    fn an_enrolment_brings_its_number_and_tunnel_key_and_no_other_request_does() {
        let asked = map(&[("authorization", "Basic x"), ("wireguard-public-key", "k"), ("cookie", "a=b")]);
        let passed = |besides| {
            let headers = forward_request(&asked, false, besides).headers;
            headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(passed(Besides::Enrolment), ["authorization", "wireguard-public-key"]);
        assert!(passed(Besides::Nothing).is_empty());
        let twice = map(&[("authorization", "Basic x"), ("authorization", "Basic y")]);
        assert!(forward_request(&twice, false, Besides::Enrolment).twice);
        let told = map(&[("www-authenticate", "Basic"), ("wireguard-profile", "x"), ("set-cookie", "a=b")]);
        assert_eq!(forward_response(&told, Besides::Enrolment).len(), 2);
        assert!(forward_response(&told, Besides::Nothing).is_empty());
    }

    /// Issue 5, RFC 8555: an ACME client learns nonce, links and whole URLs of the origin that it asked, and no others.
    #[test]
    fn acme_names_places_at_its_own_origin_alone() {
        let besides = Besides::Acme { origin: "https://claim.example.jp" };
        let told = |place: &str, besides| {
            let told = map(&[
                ("replay-nonce", "n"),
                ("link", "<x>;rel=\"up\""),
                ("location", place),
                ("set-cookie", "a=b"),
            ]);
            let forwarded = forward_response(&told, besides);
            (
                forwarded.contains_key("location"),
                forwarded.contains_key("replay-nonce"),
                forwarded.contains_key("link"),
            )
        };
        assert_eq!(told("https://claim.example.jp/acme/order/o-1", besides), (true, true, true));
        for place in [
            "https://claim.example.jp.evil.example/",
            "https://claim.example.jp",
            "https://claim.example.jp//evil.example/",
            "https://claim.example.jp/\\evil.example",
            "http://claim.example.jp/",
            "https://sns.example.jp/",
            "/acme/order/o-1",
        ] {
            assert_eq!(told(place, besides), (false, true, true), "{place}");
        }
        assert_eq!(told("https://claim.example.jp/acme", Besides::Nothing), (false, false, false));
        let asked = map(&[
            ("authorization", "Basic x"),
            ("replay-nonce", "n"),
            ("content-type", "application/jose+json"),
        ]);
        let passed = forward_request(&asked, false, besides).headers;
        assert_eq!(passed.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    }

    #[test]
    fn what_there_is_one_of_is_not_given_twice() {
        for (name, twice) in
            [("accept", false), ("content-type", true), ("idempotency-key", true), ("x", false)]
        {
            assert_eq!(
                forward_request(&map(&[(name, "a"), (name, "b")]), false, Besides::Nothing).twice,
                twice,
                "{name}"
            );
        }
    }

    #[test]
    fn a_room_sets_no_cookie_and_sends_nobody_away() {
        let told = map(&[
            ("set-cookie", "a=b"),
            ("server", "x"),
            ("content-security-policy", "default-src *"),
            ("mimamori-identity", "v1"),
            ("www-authenticate", "Basic"),
            ("location", "https://evil.example/"),
            ("location", "//evil.example/"),
            ("etag", "\"1\""),
        ]);
        let forwarded = forward_response(&told, Besides::Nothing);
        assert_eq!(forwarded.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn only_listed_names_ever_pass(name in "[a-zA-Z_-]{1,24}", value in "[ -~]{0,20}") {
            let Ok(value) = HeaderValue::from_str(&value) else { return Ok(()) };
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(name.clone(), value);
            let passed = forward_request(&headers, false, Besides::Nothing).headers;
            prop_assert_eq!(passed.contains_key(&name), REQUEST.contains(&name));
            prop_assert_eq!(forward_response(&headers, Besides::Enrolment).contains_key("set-cookie"), false);
        }
    }
}
