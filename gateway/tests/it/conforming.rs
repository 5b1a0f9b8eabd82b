//! HTTP/2 as RFC 9113 and RFC 7541 ask it, section by section (issue 6, conformance): what must be served is
//! served, what ends a connection ends it, what ends a stream ends it, and nothing malformed is answered 200.
//! Every probe is followed by a PING: whoever answers that has not noticed what was wrong before it.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::world::World;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GET https://sns.m.example.jp/sign-in without indexing.
const REQUEST: &[u8] = b"\x82\x87\x44\x08/sign-in\x41\x10sns.m.example.jp";
const MARK: &[u8; 8] = b"mimamori";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 0x5;
const OPEN: u8 = 0x4;
const PADDED: u8 = 0x8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn ask(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, REQUEST)
}

/// A header as it is, neither compressed nor remembered.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, name.len() as u8];
    bytes.extend(name.as_bytes());
    bytes.push(value.len() as u8);
    bytes.extend(value.as_bytes());
    bytes
}

/// The request and one more header.
fn with(name: &str, value: &str) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &[REQUEST, &literal(name, value)].concat())
}

fn block(pieces: &[&[u8]]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &pieces.concat())
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW, 0, stream, &by.to_be_bytes())
}

/// What must come of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The request on this stream is answered.
    Served(u32),
    /// The connection ends before the PING behind the probe is answered.
    Ended,
    /// The stream is reset, or the connection ends; an answer may have gone before.
    Reset(u32),
    /// The stream is reset or answered with a refusal, or the connection ends; never 200.
    Refused,
}
use Due::{Ended, Refused, Reset, Served};

type Probe = (&'static str, Due, Vec<u8>);

fn served() -> Vec<Probe> {
    let get = ask(1);
    let after = |first: Vec<u8>| [first, ask(1)].concat();
    let pieces = |at: usize| {
        let first = frame(HEADERS, 0x1, 1, &REQUEST[..at]);
        [first, frame(CONTINUATION, 0x4, 1, &REQUEST[at..])].concat()
    };
    vec![
        ("3.4 a request after the preface", Served(1), get.clone()),
        ("4.1 an unknown type is ignored", Served(1), after(frame(0xfa, 0xff, 0, b"what"))),
        ("4.1 unknown flags are ignored", Served(1), after(frame(PING, 0xfe, 0, b"whatever"))),
        ("4.1 the reserved bit is ignored", Served(1), frame(HEADERS, WHOLE, 0x8000_0001, REQUEST)),
        ("4.3 a block in two frames", Served(1), pieces(5)),
        ("4.3 an empty first piece", Served(1), pieces(0)),
        ("5.1.1 streams may be left out", Served(7), ask(7)),
        ("5.1.2 streams beside each other", Served(3), [ask(1), ask(3)].concat()),
        ("5.3 PRIORITY of an idle stream", Served(1), after(frame(PRIORITY, 0, 9, &[0, 0, 0, 7, 1]))),
        (
            "5.3 HEADERS with a priority",
            Served(1),
            frame(HEADERS, WHOLE | 0x20, 1, &[&[0, 0, 0, 0, 15], REQUEST].concat()),
        ),
        (
            "6.1 an empty last DATA",
            Served(1),
            [frame(HEADERS, OPEN, 1, REQUEST), frame(DATA, 1, 1, b"")].concat(),
        ),
        (
            "6.2 padded HEADERS",
            Served(1),
            frame(HEADERS, WHOLE | PADDED, 1, &[&[3], REQUEST, &[0; 3]].concat()),
        ),
        ("6.5.2 an unknown setting", Served(1), after(setting(0xfff, 1))),
        ("6.5.2 no table", Served(1), after(setting(1, 0))),
        ("6.5.2 the largest frames", Served(1), after(setting(5, 0xff_ffff))),
        ("6.9 windows grow", Served(1), [update(0, 1_000), get.clone(), update(1, 1_000)].concat()),
        ("8.2.2 te: trailers", Served(1), with("te", "trailers")),
        (
            "8.2.3 cookies in crumbs",
            Served(1),
            block(&[REQUEST, &literal("cookie", "a=b"), &literal("cookie", "c=d")]),
        ),
        ("HPACK 4.2 a smaller table", Served(1), block(&[b"\x20", REQUEST])),
        (
            "HPACK 6.2.1 a remembered header",
            Served(3),
            [block(&[REQUEST, b"\x40\x03x-a\x01b"]), frame(HEADERS, WHOLE, 3, &[REQUEST, b"\xc0"].concat())]
                .concat(),
        ),
    ]
}

fn ending() -> Vec<Probe> {
    let open = frame(HEADERS, OPEN, 1, REQUEST);
    let half = frame(HEADERS, 0x1, 1, &REQUEST[..5]);
    let rest = |stream| frame(CONTINUATION, 0x4, stream, &REQUEST[5..]);
    let large = vec![0; 16_385];
    let both = |one: &[u8], two: Vec<u8>| [one, &two].concat();
    let hpack = |bad: &[u8]| block(&[REQUEST, bad]);
    let probes: Vec<(&'static str, Vec<u8>)> = vec![
        ("4.2 DATA too large", both(&open, frame(DATA, 0, 1, &large))),
        ("4.2 HEADERS too large", frame(HEADERS, WHOLE, 1, &large)),
        ("4.2 an unknown frame too large", frame(0xfa, 0, 0, &large)),
        ("4.3 PRIORITY within a block", [half.clone(), frame(PRIORITY, 0, 1, &[0; 5]), rest(1)].concat()),
        ("4.3 HEADERS within a block", both(&half, ask(3))),
        ("4.3 an unknown type within a block", [half.clone(), frame(0xfa, 0, 0, b""), rest(1)].concat()),
        ("5.1 DATA on an idle stream", frame(DATA, 1, 1, b"x")),
        ("5.1 RST_STREAM on an idle stream", frame(RST, 0, 1, &[0, 0, 0, 8])),
        ("5.1 WINDOW_UPDATE on an idle stream", update(1, 1)),
        ("5.1.1 an even stream", ask(2)),
        ("5.1.1 back to a lower stream", both(&ask(5), ask(3))),
        ("6.1 DATA on stream 0", frame(DATA, 1, 0, b"x")),
        ("6.1 DATA with more padding than frame", both(&open, frame(DATA, 1 | PADDED, 1, b"\x06xyz"))),
        ("6.2 HEADERS on stream 0", frame(HEADERS, WHOLE, 0, REQUEST)),
        (
            "6.2 HEADERS with more padding than frame",
            frame(HEADERS, WHOLE | PADDED, 1, &[&[0xff], REQUEST].concat()),
        ),
        ("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5])),
        ("6.4 RST_STREAM on stream 0", frame(RST, 0, 0, &[0; 4])),
        ("6.4 RST_STREAM of 3 bytes", both(&open, frame(RST, 0, 1, &[0; 3]))),
        ("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, b"")),
        ("6.5 SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("6.5 an acknowledgement with a payload", frame(SETTINGS, 1, 0, &[0; 6])),
        ("6.5.2 ENABLE_PUSH of 2", setting(2, 2)),
        ("6.5.2 INITIAL_WINDOW_SIZE of 2^31", setting(4, 1 << 31)),
        ("6.5.2 MAX_FRAME_SIZE of 16383", setting(5, 16_383)),
        ("6.5.2 MAX_FRAME_SIZE of 2^24", setting(5, 1 << 24)),
        (
            "6.6 PUSH_PROMISE from a client",
            both(&open, frame(PUSH, 0x4, 1, &[&[0, 0, 0, 2], REQUEST].concat())),
        ),
        ("6.7 PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("6.7 PING of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        ("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        ("6.8 GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, &[0; 7])),
        ("6.9 WINDOW_UPDATE of 3 bytes", frame(WINDOW, 0, 0, &[0; 3])),
        ("6.9 WINDOW_UPDATE by nothing", update(0, 0)),
        ("6.9.1 a window above 2^31-1", both(&update(0, i32::MAX as u32), update(0, i32::MAX as u32))),
        ("6.10 CONTINUATION without HEADERS", rest(1)),
        ("6.10 CONTINUATION on stream 0", both(&half, rest(0))),
        ("6.10 CONTINUATION on another stream", both(&half, rest(3))),
        ("6.10 CONTINUATION after the end", both(&ask(1), rest(1))),
        ("HPACK 2.3.3 index 0", hpack(b"\x80")),
        ("HPACK 2.3.3 an index that is nowhere", hpack(b"\xc6")),
        ("HPACK 4.2 a larger table than announced", block(&[b"\x3f\xe1\xff\x03", REQUEST])),
        ("HPACK 4.2 a table's size within a block", hpack(b"\x20\x00\x01a\x01b")),
        ("HPACK 5.1 a number without an end", hpack(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("HPACK 5.2 a text that is cut off", hpack(b"\x00\x05ab")),
        ("HPACK 5.2 padding of zeros", hpack(b"\x00\x01a\x81\x18")),
        ("HPACK 5.2 padding of a whole byte", hpack(b"\x00\x01a\x82\x1f\xff")),
        ("HPACK 5.2 the end symbol", hpack(b"\x00\x01a\x84\xff\xff\xff\xff")),
    ];
    probes.into_iter().map(|(name, bytes)| (name, Ended, bytes)).collect()
}

fn resetting() -> Vec<Probe> {
    let open = frame(HEADERS, OPEN, 1, REQUEST);
    let gone = frame(RST, 0, 1, &[0, 0, 0, 8]);
    let after = |first: &[u8], second: Vec<u8>| [first, &second].concat();
    vec![
        ("5.1 DATA after the end", Reset(1), after(&ask(1), frame(DATA, 1, 1, b"x"))),
        ("5.1 HEADERS after the end", Reset(1), after(&ask(1), ask(1))),
        ("5.1 DATA after a reset", Reset(1), [open.clone(), gone.clone(), frame(DATA, 1, 1, b"x")].concat()),
        ("5.1 HEADERS after a reset", Reset(1), [open.clone(), gone, ask(1)].concat()),
        ("6.3 PRIORITY of 4 bytes", Reset(1), after(&open, frame(PRIORITY, 0, 1, &[0; 4]))),
        ("6.9 a stream's window by nothing", Reset(1), after(&open, update(1, 0))),
        (
            "6.9.1 a stream's window above 2^31-1",
            Reset(1),
            [open.clone(), update(1, i32::MAX as u32), update(1, i32::MAX as u32)].concat(),
        ),
        (
            "6.9.2 a stream's window by a setting",
            Reset(1),
            [open, update(1, i32::MAX as u32 - 65_535), setting(4, 65_536)].concat(),
        ),
    ]
}

fn malformed() -> Vec<Probe> {
    let path: &[u8] = b"\x44\x08/sign-in";
    let authority: &[u8] = b"\x41\x10sns.m.example.jp";
    let more = |pieces: &[u8]| block(&[REQUEST, pieces]);
    let probes: Vec<(&'static str, Vec<u8>)> = vec![
        ("8.2.1 an upper-case name", with("X-Note", "a")),
        ("8.2.1 a name with a space", with("x note", "a")),
        ("8.2.1 a name with a colon", with("x:note", "a")),
        ("8.2.1 a name without letters", with("", "a")),
        ("8.2.1 a value with CR LF", with("x-note", "a\r\nb: c")),
        ("8.2.1 a value with NUL", with("x-note", "a\0b")),
        ("8.2.1 a value with a space before", with("x-note", " a")),
        ("8.2.1 a value with a space behind", with("x-note", "a ")),
        ("8.2.2 connection", with("connection", "keep-alive")),
        ("8.2.2 keep-alive", with("keep-alive", "timeout=5")),
        ("8.2.2 proxy-connection", with("proxy-connection", "keep-alive")),
        ("8.2.2 transfer-encoding", with("transfer-encoding", "chunked")),
        ("8.2.2 upgrade", with("upgrade", "websocket")),
        ("8.2.2 te: gzip", with("te", "gzip")),
        ("8.3 a pseudo-header nobody knows", more(&literal(":colour", "red"))),
        ("8.3 a pseudo-header of answers", more(&literal(":status", "200"))),
        (
            "8.3 a pseudo-header behind a header",
            block(&[b"\x82\x87", path, &literal("x-note", "a"), authority]),
        ),
        ("8.3.1 no :method", block(&[b"\x87", path, authority])),
        ("8.3.1 no :scheme", block(&[b"\x82", path, authority])),
        ("8.3.1 no :path", block(&[b"\x82\x87", authority])),
        ("8.3.1 an empty :path", block(&[b"\x82\x87\x44\x00", authority])),
        ("8.3.1 a :path without a slash", block(&[b"\x82\x87\x44\x07sign-in", authority])),
        ("8.3.1 two :method", block(&[b"\x82\x82\x87", path, authority])),
        ("8.3.1 two :scheme", block(&[b"\x82\x87\x86", path, authority])),
        ("8.3.1 two :path", block(&[b"\x82\x87", path, path, authority])),
        ("8.3.1 two :authority", block(&[b"\x82\x87", path, authority, authority])),
        ("8.3.1 no :authority", block(&[b"\x82\x87", path])),
        ("8.3.1 another scheme", block(&[b"\x82\x86", path, authority])),
        ("8.3.1 another authority", block(&[b"\x82\x87", path, b"\x41\x09localhost"])),
        ("8.3.1 a host that disagrees", with("host", "office.m.example.jp")),
        ("8.1.1 a length and no body", with("content-length", "5")),
        ("8.1.1 a length that is no number", with("content-length", "0x0")),
        (
            "8.1.1 two lengths",
            block(&[REQUEST, &literal("content-length", "0"), &literal("content-length", "1")]),
        ),
        ("8.5 CONNECT", block(&[b"\x02\x07CONNECT", authority])),
        ("8.5 CONNECT with a path", block(&[b"\x02\x07CONNECT\x87", path, authority])),
        ("TRACE", block(&[b"\x02\x05TRACE\x87", path, authority])),
        ("a method in lower case", block(&[b"\x02\x03get\x87", path, authority])),
        ("a space in the path", block(&[b"\x82\x87\x44\x09/sign-in ", authority])),
        ("dots in the path", block(&[b"\x82\x87\x44\x0c/a/../sign-in", authority])),
        ("a fragment", block(&[b"\x82\x87\x44\x0a/sign-in#a", authority])),
        ("a fragment, coded", block(&[b"\x82\x87\x44\x88\x61\x06\x9a\xa5\x8d\x57\xfd\x0f", authority])),
        ("a fragment in a new name", block(&[b"\x82\x87\x00\x05:path\x0a/sign-in#a", authority])),
        (
            "a fragment in two frames",
            [
                frame(HEADERS, 0x1, 1, b"\x82\x87\x44\x0a/sign-"),
                frame(CONTINUATION, 0x4, 1, &[&b"in#a"[..], authority].concat()),
            ]
            .concat(),
        ),
        (
            "an absolute path that disagrees",
            block(&[b"\x82\x87\x44\x20https://off.m.example.jp/sign-in", authority]),
        ),
        ("an absolute path", block(&[b"\x82\x87\x44\x20https://sns.m.example.jp/sign-in", authority])),
    ];
    probes.into_iter().map(|(name, bytes)| (name, Refused, bytes)).collect()
}

/// What was heard until the case is decided.
#[derive(Debug, Default)]
struct Heard {
    ok: BTreeSet<u32>,
    other: BTreeSet<u32>,
    reset: BTreeSet<u32>,
    acknowledged: bool,
    broken_off: bool,
    marked: bool,
    /// The connection is over.
    over: bool,
}

impl Heard {
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        // An answer may begin with the size of its table.
        let first = payload.iter().find(|byte| **byte & 0xe0 != 0x20);
        match kind {
            HEADERS if first == Some(&0x88) => drop(self.ok.insert(stream)),
            HEADERS => drop(self.other.insert(stream)),
            RST => drop(self.reset.insert(stream)),
            GOAWAY => self.broken_off |= payload.get(4..8) != Some(&[0; 4]),
            SETTINGS => self.acknowledged |= flags & 1 == 1,
            PING => self.marked |= flags & 1 == 1 && payload == MARK,
            _ => {}
        }
    }

    /// `None`: more must be heard.
    fn judged(&self, due: Due) -> Option<bool> {
        // Whoever answered the mark and went later has not noticed anything.
        let ended = self.broken_off || (self.over && !self.marked);
        let judged = match due {
            Served(stream) if self.ok.contains(&stream) && self.acknowledged && self.marked => Some(true),
            Served(stream) if self.other.contains(&stream) || self.reset.contains(&stream) => Some(false),
            Ended if ended => Some(true),
            Ended if self.marked => Some(false),
            Reset(stream) if ended || self.reset.contains(&stream) => Some(true),
            Refused if !self.ok.is_empty() => Some(false),
            Refused if ended || !self.reset.is_empty() || !self.other.is_empty() => Some(true),
            _ => None,
        };
        judged.or(self.over.then_some(false))
    }
}

async fn probe(tls: &mut TlsStream<TcpStream>, due: Due, bytes: &[u8]) -> Result<(), Heard> {
    let begun = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    let text = [&begun, bytes, &frame(PING, 0, 0, MARK)].concat();
    let mut heard = Heard::default();
    let _ = tls.write_all(&text).await;
    let _ = tls.flush().await;
    loop {
        if let Some(good) = heard.judged(due) {
            return if good { Ok(()) } else { Err(heard) };
        }
        let mut head = [0; 9];
        if tls.read_exact(&mut head).await.is_err() {
            heard.over = true;
            continue;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if tls.read_exact(&mut payload).await.is_err() {
            heard.over = true;
            continue;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        heard.frame(head[3], head[4], stream, &payload);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_spoken_as_it_is_written() {
    let world = World::new().await;
    let client = world.client(1).await;
    let mut wrong = Vec::new();
    for (name, due, bytes) in [served(), ending(), resetting(), malformed()].concat() {
        let mut tls = client.tls2().await.unwrap();
        if let Err(heard) = probe(&mut tls, due, &bytes).await {
            wrong.push(format!("{name}: {due:?}, but {heard:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(world.upstream.seen().is_empty(), "nobody had a session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preface_is_whole_and_begins_with_settings() {
    let world = World::new().await;
    let client = world.client(1).await;
    let settings = frame(SETTINGS, 0, 0, b"");
    for (name, first) in [
        ("another preface", [&PREFACE[..18], b"XX\r\n\r\n", &settings].concat()),
        (
            "HTTP/1.1 where HTTP/2 was agreed on",
            b"GET /sign-in HTTP/1.1\r\nHost: sns.m.example.jp\r\n\r\n".to_vec(),
        ),
        ("a PING first", [PREFACE, &frame(PING, 0, 0, MARK), &settings].concat()),
        ("a request first", [PREFACE, &ask(1), &settings].concat()),
        ("an acknowledgement first", [PREFACE, &frame(SETTINGS, 1, 0, b""), &settings].concat()),
    ] {
        let mut tls = client.tls2().await.unwrap();
        tls.write_all(&first).await.unwrap();
        let _ = tls.write_all(&frame(PING, 0, 0, MARK)).await;
        let mut heard = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = tls.read(&mut piece).await {
            heard.extend_from_slice(&piece[..read]);
            assert!(!heard.windows(8).any(|eight| eight == MARK), "{name} was not noticed");
        }
        assert!(!heard.windows(10).any(|head| head[3] == HEADERS && head[9] == 0x88), "{name} was served");
    }
}
