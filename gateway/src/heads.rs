//! The byte-level gate before the parser: no byte of a request head reaches it before the whole head
//! was read and found to be strict HTTP/1.1 with unambiguous framing. Owns the framing of one
//! connection; after a fault it passes nothing more. Pure. Issue 2, strict HTTP; RFC 9112.
//!
//! ```text
//! Head --no body--> Head          Chunk size --0--> Last line --> Head
//!   |--Content-Length--> Body --> Head    |--n--> Data --> Data end --> Chunk size
//!   |--Upgrade: websocket--> Asked --granted--> Tunnel
//!                              |--declined--> Head
//! ```
//! The parser behind it forgives what smuggling is made of (a bare LF, a second equal Content-Length,
//! Transfer-Encoding beside it) without telling; so it must not see it.

/// Request line and headers together: our own pages need two KiB.
pub const HEAD_MAX: usize = 16 * 1024;
/// Headers of one request: browsers send about twenty.
pub const HEADERS_MAX: usize = 64;
/// A chunk's size line: sixteen hex digits and the line's end.
const CHUNK_LINE_MAX: usize = 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    #[error("a line does not end with CR LF")]
    LineEnd,
    #[error("the head is longer than {HEAD_MAX} bytes")]
    TooLong,
    #[error("the request line is not `METHOD target HTTP/1.1`")]
    RequestLine,
    #[error("the target holds a fragment or a byte that is no printable ASCII")]
    Target,
    #[error("a header line is not `name: value` of printable ASCII")]
    HeaderLine,
    #[error("more than {HEADERS_MAX} headers")]
    TooMany,
    #[error("not exactly one Host")]
    Host,
    #[error("Content-Length is not one plain number")]
    Length,
    #[error("Transfer-Encoding is not exactly one `chunked`, or stands beside Content-Length")]
    Encoding,
    #[error("a chunk is malformed, has extensions or is followed by trailers")]
    Chunk,
    #[error("an upgrade to something else than `websocket`, or with a body")]
    Upgrade,
    #[error("bytes before the answer to an upgrade")]
    Early,
}

/// The gate of one connection.
pub struct Heads {
    state: State,
    /// Of an unfinished head or chunk line: what came so far.
    held: Vec<u8>,
    /// How much of an unfinished head was looked at.
    scanned: usize,
    count: u64,
    oldest: Oldest,
}

/// The oldest form of a request that passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oldest {
    /// HTTP/1.1.
    #[default]
    Current,
    /// HTTP/1.0 too, framed by Content-Length alone: clients that fetch lists and OCSP answers speak it.
    /// Only where nothing is forwarded, so that nobody behind can frame it in another way.
    Fetching,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    /// The CR LF after a chunk's data.
    ChunkEnd,
    /// The empty line after the chunk of size zero.
    LastLine,
    /// An upgrade was asked for; until the answer, nothing may follow.
    Asked,
    /// The upgrade was granted: what follows is not HTTP.
    Tunnel,
    Shut {
        fault: HeadFault,
        in_head: bool,
    },
}

impl Default for Heads {
    fn default() -> Self {
        Self::of(Oldest::Current)
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// The first byte of a head.
    Head,
    RestOfHead,
    Body,
    /// Our answer to this request's wish to upgrade.
    Upgrade {
        request: u64,
    },
    /// Anything, for as long as it likes.
    Anything,
}

impl Heads {
    pub fn of(oldest: Oldest) -> Self {
        Self { state: State::Head, held: Vec::new(), scanned: 0, count: 0, oldest }
    }

    /// Takes what arrived. The first bytes of `input`, as many as returned, may go on as they lie
    /// there; but whatever was put into `out` goes first. Nothing else may.
    pub fn pass(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HeadFault> {
        if let State::Shut { fault, .. } = self.state {
            return Err(fault);
        }
        let between = self.state == State::Head;
        let passed = self.pass_checked(input, out);
        if let (Err(fault), true) = (passed, between) {
            self.state = State::Shut { fault, in_head: true };
        }
        passed
    }

    fn pass_checked(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HeadFault> {
        if self.held.is_empty() {
            let (passed, result) = self.advance(input);
            self.held.extend_from_slice(&input[passed..]);
            // What came whole before the fault does not count for the one who sent it.
            return result.map(|()| passed);
        }
        let mut work = std::mem::take(&mut self.held);
        work.extend_from_slice(input);
        let (passed, result) = self.advance(&work);
        self.held = work.split_off(passed);
        result?;
        out.append(&mut work);
        Ok(0)
    }

    /// Does the parser still wait for a head? Then it can be made to answer 400.
    pub fn broke_in_head(&self) -> bool {
        matches!(self.state, State::Shut { in_head: true, .. })
    }

    pub fn awaits(&self) -> Awaits {
        match self.state {
            State::Head if self.held.is_empty() => Awaits::Head,
            State::Head => Awaits::RestOfHead,
            State::Asked => Awaits::Upgrade { request: self.count },
            State::Tunnel | State::Shut { .. } => Awaits::Anything,
            _ => Awaits::Body,
        }
    }

    /// Heads that passed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The answer to the upgrade that was asked for.
    pub fn answered(&mut self, granted: bool) {
        if self.state == State::Asked {
            self.state = if granted { State::Tunnel } else { State::Head };
        }
    }

    /// Walks over `work` up to the first thing that is not whole; says how far that is.
    fn advance(&mut self, work: &[u8]) -> (usize, Result<(), HeadFault>) {
        let mut at = 0;
        while at < work.len() {
            let rest = &work[at..];
            let step = match self.state {
                State::Head => self.head(rest),
                State::Body(left) => Ok(Some(self.data(rest, left, State::Body, State::Head))),
                State::ChunkData(left) => Ok(Some(self.data(rest, left, State::ChunkData, State::ChunkEnd))),
                State::ChunkSize | State::ChunkEnd | State::LastLine => self.line(rest),
                State::Asked => Err(HeadFault::Early),
                State::Tunnel => Ok(Some(rest.len())),
                State::Shut { fault, .. } => Err(fault),
            };
            match step {
                Ok(Some(used)) => at += used,
                Ok(None) => break,
                Err(fault) => {
                    self.state = State::Shut { fault, in_head: false };
                    return (at, Err(fault));
                }
            }
        }
        (at, Ok(()))
    }

    fn head(&mut self, rest: &[u8]) -> Result<Option<usize>, HeadFault> {
        let mut at = self.scanned;
        while let Some(&byte) = rest.get(at) {
            let before = if at == 0 { None } else { Some(rest[at - 1]) };
            if (byte == b'\n') != (before == Some(b'\r')) {
                return Err(HeadFault::LineEnd);
            }
            if at >= HEAD_MAX {
                return Err(HeadFault::TooLong);
            }
            at += 1;
            if byte == b'\n' && (rest[..at].ends_with(b"\r\n\r\n") || at == 2) {
                self.state = framing(&rest[..at], self.oldest)?;
                self.scanned = 0;
                self.count += 1;
                return Ok(Some(at));
            }
        }
        self.scanned = at;
        Ok(None)
    }

    fn data(&mut self, rest: &[u8], left: u64, more: fn(u64) -> State, done: State) -> usize {
        let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - take as u64;
        self.state = if left == 0 { done } else { more(left) };
        take
    }

    /// One of the short lines around chunks.
    fn line(&mut self, rest: &[u8]) -> Result<Option<usize>, HeadFault> {
        let short = &rest[..rest.len().min(CHUNK_LINE_MAX)];
        let Some(end) = short.iter().position(|byte| *byte == b'\n') else {
            return if short.len() == CHUNK_LINE_MAX { Err(HeadFault::Chunk) } else { Ok(None) };
        };
        let text = short[..=end].strip_suffix(b"\r\n").ok_or(HeadFault::Chunk)?;
        self.state = match (self.state, text) {
            (State::ChunkSize, size) => match chunk_size(size)? {
                0 => State::LastLine,
                size => State::ChunkData(size),
            },
            (State::ChunkEnd, b"") => State::ChunkSize,
            (State::LastLine, b"") => State::Head,
            _ => return Err(HeadFault::Chunk),
        };
        Ok(Some(end + 1))
    }
}

fn chunk_size(text: &[u8]) -> Result<u64, HeadFault> {
    if text.is_empty() || text.len() > 16 || !text.iter().all(u8::is_ascii_hexdigit) {
        return Err(HeadFault::Chunk);
    }
    let text = std::str::from_utf8(text).map_err(|_| HeadFault::Chunk)?;
    u64::from_str_radix(text, 16).map_err(|_| HeadFault::Chunk)
}

/// Judges a whole head, and says what follows it.
fn framing(head: &[u8], oldest: Oldest) -> Result<State, HeadFault> {
    let text = std::str::from_utf8(head).map_err(|_| HeadFault::HeaderLine)?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let old = request_line(lines.next().unwrap_or(""), oldest)?;
    let (mut hosts, mut count) = (0, 0);
    let mut length: Option<u64> = None;
    let (mut chunked, mut upgrade) = (false, false);
    for line in lines {
        count += 1;
        let (name, value) = header_line(line)?;
        if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case("content-length") {
            let digits = value.len() <= 18 && value.bytes().all(|b| b.is_ascii_digit());
            if length.is_some() || !digits {
                return Err(HeadFault::Length);
            }
            length = Some(value.parse().map_err(|_| HeadFault::Length)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || value != "chunked" {
                return Err(HeadFault::Encoding);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("upgrade") {
            if upgrade || !value.eq_ignore_ascii_case("websocket") {
                return Err(HeadFault::Upgrade);
            }
            upgrade = true;
        }
    }
    match (chunked, length) {
        _ if count > HEADERS_MAX => Err(HeadFault::TooMany),
        _ if hosts != 1 => Err(HeadFault::Host),
        (true, Some(_)) => Err(HeadFault::Encoding),
        (true, None) if old => Err(HeadFault::Encoding),
        (false, _) if old && upgrade => Err(HeadFault::Upgrade),
        (true, None) | (false, Some(1..)) if upgrade => Err(HeadFault::Upgrade),
        (false, _) if upgrade => Ok(State::Asked),
        (true, None) => Ok(State::ChunkSize),
        (false, None | Some(0)) => Ok(State::Head),
        (false, Some(length)) => Ok(State::Body(length)),
    }
}

/// Says whether it is HTTP/1.0.
fn request_line(line: &str, oldest: Oldest) -> Result<bool, HeadFault> {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadFault::RequestLine);
    };
    let old = version == "HTTP/1.0" && oldest == Oldest::Fetching;
    if version != "HTTP/1.1" && !old {
        return Err(HeadFault::RequestLine);
    }
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) || target.is_empty() {
        return Err(HeadFault::RequestLine);
    }
    if target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') { Ok(old) } else { Err(HeadFault::Target) }
}

fn header_line(line: &str) -> Result<(&str, &str), HeadFault> {
    let (name, value) = line.split_once(':').ok_or(HeadFault::HeaderLine)?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let printable = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
    if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(printable) {
        return Err(HeadFault::HeaderLine);
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests;
