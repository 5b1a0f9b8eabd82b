//! What the HTTP/2 library does not count: frames of every kind a peer may send, and how long it may
//! leave us waiting. Sees both directions of one connection as bytes, changes none, and ends it by a
//! fault. Pure. Issue 6, bounds; RFC 9113.
//!
//! ```text
//! in:  preface, then 9-byte heads: kinds are counted, streams open and bring bodies
//! out: the same heads: streams end, windows shrink and grow
//! ```

mod reader;

use std::collections::BTreeMap;

use self::reader::{Head, Reader};
use crate::hpack::{BlockFault, Piece, Pieces};
use crate::pace::{Bucket, HEAD_MS, IDLE_MS, PROGRESS, Progress};

/// What we announce as the size of a stream's window, and so the memory of one upload.
pub const WINDOW: u32 = 64 * 1024;
/// What a header block may take together: our own are below two KiB.
const BLOCK_MAX: u32 = 32 * 1024;
/// The largest frame we announce (the protocol's default).
const FRAME_MAX: u32 = 16 * 1024;
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The protocol's window before either side said anything else.
const DEFAULT_WINDOW: i64 = 65_535;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITISED: u8 = 0x20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    #[error("not HTTP/2's preface")]
    Preface,
    #[error("a frame larger than was announced")]
    TooLarge,
    #[error("a header block in too many or too large pieces, or one that cannot be read")]
    Block,
    #[error("a target with a fragment")]
    Fragment,
    #[error("a flood of {0} frames")]
    Flood(&'static str),
    #[error("nothing was asked in time")]
    Silent,
    #[error("a frame or header block stopped half-way")]
    HalfFrame,
    #[error("a body stopped half-way")]
    HalfBody,
    #[error("the answer is not taken")]
    NotTaken,
}

/// One connection.
pub struct Frames {
    /// How much of the preface has come; one more with the settings that end it.
    preface: usize,
    inbound: Reader,
    outbound: Reader,
    budgets: Budgets,
    streams: BTreeMap<u32, Stream>,
    /// The newest stream that the peer has opened.
    newest: u32,
    /// What we may send on a new stream, and on all together.
    peer_window: i64,
    send_window: i64,
    recv_window: i64,
    choked_since: Option<u64>,
    /// A header block that has begun: since when, and its size so far.
    block: Option<(u64, u32)>,
    pieces: Pieces,
    half_since: Option<u64>,
    idle_since: u64,
    asked: bool,
}

struct Budgets {
    settings: Bucket,
    ping: Bucket,
    reset: Bucket,
    our_reset: Bucket,
    empty: Bucket,
    window: Bucket,
    other: Bucket,
}

impl Default for Budgets {
    /// Bursts: several times what browsers send in a busy minute; a flood is thousands.
    fn default() -> Self {
        Self {
            settings: Bucket::per_second(16, 1),
            ping: Bucket::per_second(32, 1),
            reset: Bucket::per_second(100, 10),
            our_reset: Bucket::per_second(100, 10),
            empty: Bucket::per_second(32, 1),
            window: Bucket::per_second(1_000, 50),
            other: Bucket::per_second(200, 20),
        }
    }
}

struct Stream {
    send_window: i64,
    recv_window: i64,
    /// The peer has sent its whole request.
    whole: bool,
    upload: Progress,
    choked_since: Option<u64>,
}

impl Frames {
    pub fn new(now_ms: u64) -> Self {
        Self {
            preface: 0,
            inbound: Reader::default(),
            outbound: Reader::default(),
            budgets: Budgets::default(),
            streams: BTreeMap::new(),
            newest: 0,
            peer_window: DEFAULT_WINDOW,
            send_window: DEFAULT_WINDOW,
            recv_window: DEFAULT_WINDOW,
            choked_since: None,
            block: None,
            pieces: Pieces::default(),
            half_since: None,
            idle_since: now_ms,
            asked: false,
        }
    }

    /// Bytes from the peer.
    pub fn arrive(&mut self, mut bytes: &[u8], now_ms: u64) -> Result<(), FrameFault> {
        while self.preface < PREFACE.len() {
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            if *first != PREFACE[self.preface] {
                return Err(FrameFault::Preface);
            }
            self.preface += 1;
            bytes = rest;
        }
        while !bytes.is_empty() {
            let mut reader = std::mem::take(&mut self.inbound);
            let began = reader.head(&mut bytes);
            if let Some(head) = began {
                self.frame_in(head, now_ms)?;
            }
            if reader.whole_head() {
                let payload = bytes;
                let taken = reader.payload(&mut bytes, |setting| self.setting(setting));
                self.look(reader.now(), &payload[..taken as usize])?;
                self.payload_in(reader.now(), taken, now_ms);
                if reader.left == 0 {
                    self.end_in(&reader, now_ms);
                    self.half_since = None;
                    reader = Reader::default();
                }
            }
            self.inbound = reader;
        }
        self.half_since = match (self.inbound.filled, self.inbound.now().kind) {
            // A body's own progress is judged instead.
            (0, _) => None,
            (9, DATA) => None,
            _ => self.half_since.or(Some(now_ms)),
        };
        Ok(())
    }

    /// Bytes to the peer.
    pub fn leave(&mut self, mut bytes: &[u8], now_ms: u64) -> Result<(), FrameFault> {
        while !bytes.is_empty() {
            let mut reader = std::mem::take(&mut self.outbound);
            if let Some(head) = reader.head(&mut bytes) {
                self.frame_out(head, now_ms)?;
            }
            if reader.whole_head() {
                reader.payload(&mut bytes, |_| {});
                if reader.left == 0 {
                    self.end_out(&reader);
                    reader = Reader::default();
                }
            }
            self.outbound = reader;
        }
        Ok(())
    }

    /// Is the peer late with anything? If not, when will it be?
    pub fn overdue(&self, now_ms: u64) -> Result<u64, FrameFault> {
        let mut next = u64::MAX;
        let mut due = |at: Option<u64>, fault: FrameFault| match at {
            Some(at) if now_ms >= at => Err(fault),
            Some(at) => {
                next = next.min(at);
                Ok(())
            }
            None => Ok(()),
        };
        let quiet = self.streams.is_empty() && self.block.is_none();
        let patience = if self.asked { IDLE_MS } else { HEAD_MS };
        due(quiet.then_some(self.idle_since + patience), FrameFault::Silent)?;
        due(self.half_since.map(|since| since + HEAD_MS), FrameFault::HalfFrame)?;
        due(self.block.map(|(since, _)| since + HEAD_MS), FrameFault::HalfFrame)?;
        let choked = |since: Option<u64>| since.map(|since| since + crate::pace::PROGRESS_MS);
        if !self.streams.is_empty() {
            due(choked(self.choked_since), FrameFault::NotTaken)?;
        }
        for stream in self.streams.values() {
            due(stream.upload.deadline(), FrameFault::HalfBody)?;
            due(choked(stream.choked_since), FrameFault::NotTaken)?;
        }
        Ok(next)
    }

    /// Streams that are not answered to the end.
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    fn frame_in(&mut self, head: Head, now: u64) -> Result<(), FrameFault> {
        if head.length > FRAME_MAX {
            return Err(FrameFault::TooLarge);
        }
        // The preface ends with the peer's settings (RFC 9113, 3.4).
        if self.preface == PREFACE.len() {
            if head.kind != SETTINGS || head.flags & ACK != 0 {
                return Err(FrameFault::Preface);
            }
            self.preface += 1;
        }
        let flood = |within: bool, kind| if within { Ok(()) } else { Err(FrameFault::Flood(kind)) };
        let budgets = &mut self.budgets;
        match head.kind {
            DATA => {
                let empty = head.length == 0 && head.flags & END_STREAM == 0;
                flood(!empty || budgets.empty.take(now), "empty DATA")
            }
            HEADERS | CONTINUATION => self.block_in(head, now),
            RST_STREAM => flood(budgets.reset.take(now), "RST_STREAM"),
            SETTINGS => flood(budgets.settings.take(now), "SETTINGS"),
            PING if head.flags & ACK == 0 => flood(budgets.ping.take(now), "PING"),
            WINDOW_UPDATE => flood(budgets.window.take(now), "WINDOW_UPDATE"),
            PING | GOAWAY => flood(budgets.other.take(now), "control"),
            _ => flood(budgets.other.take(now), "PRIORITY or unknown"),
        }
    }

    fn block_in(&mut self, head: Head, now: u64) -> Result<(), FrameFault> {
        let (since, size) = self.block.unwrap_or((now, 0));
        let size = size + head.length;
        // An empty piece moves nothing and may be repeated for ever.
        let empty = head.kind == CONTINUATION && head.length == 0;
        if size > BLOCK_MAX || (empty && !self.budgets.empty.take(now)) {
            return Err(FrameFault::Block);
        }
        self.block = (head.flags & END_HEADERS == 0).then_some((since, size));
        if head.kind == HEADERS && head.stream > self.newest {
            self.newest = head.stream;
            self.asked = true;
            let stream = Stream {
                send_window: self.peer_window,
                recv_window: i64::from(WINDOW),
                whole: false,
                upload: Progress::default(),
                choked_since: (self.peer_window < PROGRESS as i64).then_some(now),
            };
            self.streams.insert(head.stream, stream);
        }
        if head.kind == HEADERS
            && let Some(stream) = self.streams.get_mut(&head.stream)
        {
            stream.whole |= head.flags & END_STREAM != 0;
            if stream.whole { stream.upload.rests() } else { stream.upload.waits(now) }
        }
        Ok(())
    }

    /// What the library will not tell of a header block.
    fn look(&mut self, head: Head, payload: &[u8]) -> Result<(), FrameFault> {
        if !matches!(head.kind, HEADERS | CONTINUATION) {
            return Ok(());
        }
        let first = |flag| head.kind == HEADERS && head.flags & flag != 0;
        let (padded, prioritised) = (first(PADDED), first(PRIORITISED));
        let last = head.flags & END_HEADERS != 0;
        let piece = Piece { length: head.length, padded, prioritised, last };
        self.pieces.arrive(piece, payload).map_err(|fault| match fault {
            BlockFault::Fragment => FrameFault::Fragment,
            BlockFault::Unreadable => FrameFault::Block,
        })
    }

    /// Bytes of a payload came.
    fn payload_in(&mut self, head: Head, bytes: u32, now: u64) {
        if head.kind != DATA || bytes == 0 {
            return;
        }
        self.recv_window -= i64::from(bytes);
        if let Some(stream) = self.streams.get_mut(&head.stream) {
            stream.recv_window -= i64::from(bytes);
            stream.upload.brought(u64::from(bytes), now);
        }
        self.turns(now);
    }

    /// A frame is whole.
    fn end_in(&mut self, reader: &Reader, now: u64) {
        let head = reader.now();
        match head.kind {
            DATA if head.flags & END_STREAM != 0 => {
                if let Some(stream) = self.streams.get_mut(&head.stream) {
                    stream.whole = true;
                    stream.upload.rests();
                }
            }
            RST_STREAM => self.close(head.stream, now),
            WINDOW_UPDATE => {
                let increment = i64::from(reader.increment());
                if head.stream == 0 {
                    self.send_window += increment;
                    choke(&mut self.choked_since, self.send_window, now);
                } else if let Some(stream) = self.streams.get_mut(&head.stream) {
                    stream.send_window += increment;
                    choke(&mut stream.choked_since, stream.send_window, now);
                }
            }
            SETTINGS => {
                for stream in self.streams.values_mut() {
                    choke(&mut stream.choked_since, stream.send_window, now);
                }
            }
            _ => {}
        }
    }

    fn setting(&mut self, setting: [u8; 6]) {
        if let Some(window) = initial_window(setting) {
            let change = window - self.peer_window;
            self.peer_window = window;
            for stream in self.streams.values_mut() {
                stream.send_window += change;
            }
        }
    }

    fn frame_out(&mut self, head: Head, now: u64) -> Result<(), FrameFault> {
        match head.kind {
            DATA => {
                let length = i64::from(head.length);
                // Who takes data may say so.
                self.budgets.window.earn(4);
                self.send_window -= length;
                choke(&mut self.choked_since, self.send_window, now);
                if let Some(stream) = self.streams.get_mut(&head.stream) {
                    stream.send_window -= length;
                    choke(&mut stream.choked_since, stream.send_window, now);
                }
                if head.flags & END_STREAM != 0 {
                    self.close(head.stream, now);
                }
            }
            HEADERS if head.flags & END_STREAM != 0 => self.close(head.stream, now),
            RST_STREAM => {
                self.close(head.stream, now);
                if !self.budgets.our_reset.take(now) {
                    return Err(FrameFault::Flood("refused"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end_out(&mut self, reader: &Reader) {
        let head = reader.now();
        if head.kind != WINDOW_UPDATE {
            return;
        }
        let increment = i64::from(reader.increment());
        if head.stream == 0 {
            self.recv_window += increment;
        } else if let Some(stream) = self.streams.get_mut(&head.stream) {
            stream.recv_window += increment;
        }
    }

    fn close(&mut self, stream: u32, now: u64) {
        self.streams.remove(&stream);
        if self.streams.is_empty() {
            self.idle_since = now;
        }
    }

    /// Whose turn it is with every body: the peer's, unless our window is closed.
    fn turns(&mut self, now: u64) {
        let open = self.recv_window >= PROGRESS as i64;
        for stream in self.streams.values_mut().filter(|stream| !stream.whole) {
            if open && stream.recv_window >= PROGRESS as i64 {
                stream.upload.waits(now);
            } else {
                stream.upload.rests();
            }
        }
    }
}

/// The new initial window, if that is what this setting says.
fn initial_window(setting: [u8; 6]) -> Option<i64> {
    let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
    (setting[0] == 0 && setting[1] == 4).then_some(i64::from(value))
}

/// A window too small for progress: since when.
fn choke(since: &mut Option<u64>, window: i64, now: u64) {
    if window >= PROGRESS as i64 {
        *since = None;
    } else {
        since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests;
