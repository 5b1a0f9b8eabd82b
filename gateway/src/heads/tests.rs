//! What the gate lets through and what it stops, byte by byte (issue 2: strict HTTP, smuggling).

use super::*;
use proptest::prelude::*;

fn pass(input: &[u8], step: usize) -> Result<Vec<u8>, HeadFault> {
    let mut gate = Heads::default();
    let mut out = Vec::new();
    for piece in input.chunks(step) {
        let whole = gate.pass(piece, &mut out)?;
        out.extend_from_slice(&piece[..whole]);
    }
    Ok(out)
}

const HOST: &str = "Host: sns.example.jp\r\n";

fn get(extra: &str) -> String {
    format!("GET /a?b=c HTTP/1.1\r\n{HOST}{extra}\r\n")
}

#[test]
fn good_requests_pass_unchanged_however_they_are_cut() {
    for good in [
        get(""),
        format!("{}{}", get(""), get("X-A: b\r\n")),
        format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nab\ncd{}", get("")),
        format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n{}", get("")),
        format!(
            "POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n4\r\nab\r\n\r\n1F\r\n{}\r\n0\r\n\r\n{}",
            "x".repeat(31),
            get("")
        ),
    ] {
        for step in [1, 2, 3, 7, 4096] {
            assert_eq!(pass(good.as_bytes(), step).as_deref(), Ok(good.as_bytes()), "{good:?}");
        }
    }
}

#[test]
fn http_1_0_passes_only_where_bytes_are_fetched_and_only_plainly_framed() {
    let old = |text: String| text.replace("HTTP/1.1", "HTTP/1.0");
    let through = |oldest, text: &str| {
        let mut out = Vec::new();
        Heads::of(oldest).pass(text.as_bytes(), &mut out)
    };
    let post = old(format!("POST /ocsp HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\nab"));
    for good in [old(get("")), post] {
        assert_eq!(through(Oldest::Fetching, &good), Ok(good.len()), "{good:?}");
        assert_eq!(through(Oldest::Current, &good), Err(HeadFault::RequestLine), "{good:?}");
    }
    for (attack, fault) in [
        (get("Transfer-Encoding: chunked\r\n"), HeadFault::Encoding),
        (get("Upgrade: websocket\r\n"), HeadFault::Upgrade),
        (get("").replace(HOST, ""), HeadFault::Host),
        (get("").replace("HTTP/1.1", "HTTP/0.9"), HeadFault::RequestLine),
    ] {
        assert_eq!(through(Oldest::Fetching, &old(attack)), Err(fault), "{fault}");
    }
}

#[test]
fn every_probe_is_stopped_with_its_reason() {
    let te = "Transfer-Encoding: chunked\r\n";
    let post = |headers: &str| format!("POST / HTTP/1.1\r\n{HOST}{headers}\r\n");
    let chunked = |body: &str| format!("{}{body}", post(te));
    let probes: Vec<(String, HeadFault)> = vec![
        (get("").replace("\r\n", "\n"), HeadFault::LineEnd),
        (get("X: a\nY: b\r\n"), HeadFault::LineEnd),
        (get("X: a\rY: b\r\n"), HeadFault::LineEnd),
        ("\r\n".into(), HeadFault::RequestLine),
        (get("").replace("HTTP/1.1", "HTTP/1.0"), HeadFault::RequestLine),
        (get("").replace("HTTP/1.1", "HTTP/1.1 "), HeadFault::RequestLine),
        (get("").replace("GET ", "GET  "), HeadFault::RequestLine),
        (get("").replace("GET", "get"), HeadFault::RequestLine),
        (get("").replace("/a", "/a#b"), HeadFault::Target),
        (get("").replace("/a", "/あ"), HeadFault::Target),
        (get("").replace("/a", "/a\0"), HeadFault::Target),
        (get("").replace("/a", "/a\t"), HeadFault::Target),
        (get(" folded: x\r\n"), HeadFault::HeaderLine),
        (get("X : y\r\n"), HeadFault::HeaderLine),
        (get("X\r\n"), HeadFault::HeaderLine),
        (get(": y\r\n"), HeadFault::HeaderLine),
        (get("X: \0\r\n"), HeadFault::HeaderLine),
        (get("X: é\r\n"), HeadFault::HeaderLine),
        (get(HOST), HeadFault::Host),
        (get("").replace(HOST, ""), HeadFault::Host),
        (post("Content-Length: 1\r\nContent-Length: 1\r\n"), HeadFault::Length),
        (post("Content-Length: 1, 1\r\n"), HeadFault::Length),
        (post("Content-Length: +1\r\n"), HeadFault::Length),
        (post("Content-Length: -1\r\n"), HeadFault::Length),
        (post("Content-Length: 0x1\r\n"), HeadFault::Length),
        (post("Content-Length:\r\n"), HeadFault::Length),
        (post("Content-Length: 99999999999999999999\r\n"), HeadFault::Length),
        (post(&format!("Content-Length: 4\r\n{te}")), HeadFault::Encoding),
        (post(&format!("{te}Content-Length: 4\r\n")), HeadFault::Encoding),
        (post(&format!("{te}{te}")), HeadFault::Encoding),
        (post("Transfer-Encoding: gzip, chunked\r\n"), HeadFault::Encoding),
        (post("Transfer-Encoding: Chunked\r\n"), HeadFault::Encoding),
        (post("Transfer-Encoding: identity\r\n"), HeadFault::Encoding),
        (post("Transfer-Encoding:\r\n"), HeadFault::Encoding),
        (post("Transfer-Encoding : chunked\r\n"), HeadFault::HeaderLine),
        (chunked("0\r\nX-Trailer: a\r\n\r\n"), HeadFault::Chunk),
        (chunked("1;ext=1\r\na\r\n"), HeadFault::Chunk),
        (chunked("-1\r\n"), HeadFault::Chunk),
        (chunked("0x1\r\n"), HeadFault::Chunk),
        (chunked("\r\n"), HeadFault::Chunk),
        (chunked("1\na\r\n"), HeadFault::Chunk),
        (chunked("1\r\nab\r\n"), HeadFault::Chunk),
        (chunked("11111111111111111\r\n"), HeadFault::Chunk),
        (get("Upgrade: h2c\r\n"), HeadFault::Upgrade),
        (get("Upgrade: websocket, h2c\r\n"), HeadFault::Upgrade),
        (get("Upgrade: websocket\r\nUpgrade: websocket\r\n"), HeadFault::Upgrade),
        (post("Upgrade: websocket\r\nContent-Length: 5\r\n"), HeadFault::Upgrade),
        (post(&format!("Upgrade: websocket\r\n{te}")), HeadFault::Upgrade),
        (format!("{}x", get("Upgrade: websocket\r\n")), HeadFault::Early),
        (get(&"X: y\r\n".repeat(HEADERS_MAX)), HeadFault::TooMany),
        (get(&format!("X: {}\r\n", "y".repeat(HEAD_MAX))), HeadFault::TooLong),
    ];
    for (probe, fault) in probes {
        for step in [1, 5, 65_536] {
            assert_eq!(pass(probe.as_bytes(), step), Err(fault), "{probe:.200?}");
        }
    }
}

#[test]
fn a_tunnel_opens_when_the_upgrade_is_granted_and_not_before() {
    for granted in [true, false] {
        let mut gate = Heads::default();
        let mut out = Vec::new();
        let asked = get("Upgrade: websocket\r\nConnection: Upgrade\r\n");
        assert_eq!(gate.pass(asked.as_bytes(), &mut out), Ok(asked.len()));
        assert_eq!(gate.awaits(), Awaits::Upgrade { request: 1 });
        gate.answered(granted);
        let frame = b"\x81\x05hello\n";
        assert_eq!(
            gate.pass(frame, &mut out),
            if granted { Ok(frame.len()) } else { Err(HeadFault::LineEnd) }
        );
        assert_eq!(gate.broke_in_head(), !granted);
    }
}

#[test]
fn after_a_fault_nothing_passes() {
    let mut gate = Heads::default();
    let mut out = Vec::new();
    assert!(gate.pass(b"GET / HTTP/1.1\n", &mut out).is_err());
    assert!(gate.pass(get("").as_bytes(), &mut out).is_err());
    assert!(out.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_passes_is_a_prefix_of_what_came(input in proptest::collection::vec(any::<u8>(), 0..300), step in 1usize..50) {
        let good = get("");
        let mut stream = good.clone().into_bytes();
        stream.extend(&input);
        let mut gate = Heads::default();
        let mut out = Vec::new();
        for piece in stream.chunks(step) {
            match gate.pass(piece, &mut out) {
                Ok(whole) => out.extend_from_slice(&piece[..whole]),
                Err(_) => break,
            }
        }
        prop_assert!(stream.starts_with(&out));
        prop_assert!(out.is_empty() || out.starts_with(good.as_bytes()));
    }
}
