//! The byte-level gate before the parser: no byte of a request head reaches it before the whole head
//! was read and found to be strict HTTP/1.1 with unambiguous framing. Owns the framing of one
//! connection; after a fault it passes nothing more. Pure. Issue 2, strict HTTP; RFC 9112.
//!
//! ```text
//! Head --no body--> Head          Chunk size --0--> Last line --> Head
//!   |--Content-Length--> Body --> Head    |--n--> Data --> Data end --> Chunk size
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
}

/// The gate of one connection.
pub struct Heads {
    state: State,
    held: Vec<u8>,
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
    Shut {
        fault: HeadFault,
        in_head: bool,
    },
}

impl Default for Heads {
    fn default() -> Self {
        Self { state: State::Head, held: Vec::new() }
    }
}

impl Heads {
    /// Takes what arrived; appends to `out` what the parser may see.
    pub fn pass(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), HeadFault> {
        while !input.is_empty() {
            let used = match self.state {
                State::Shut { fault, .. } => return Err(fault),
                State::Head => self.head(input, out),
                State::Body(left) => {
                    let (used, next) = copy(input, left, out, State::Body, State::Head);
                    self.state = next;
                    Ok(used)
                }
                State::ChunkData(left) => {
                    let (used, next) = copy(input, left, out, State::ChunkData, State::ChunkEnd);
                    self.state = next;
                    Ok(used)
                }
                State::ChunkSize | State::ChunkEnd | State::LastLine => self.line(input, out),
            };
            match used {
                Ok(used) => input = &input[used..],
                Err(fault) => {
                    let in_head = self.state == State::Head;
                    self.state = State::Shut { fault, in_head };
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    /// Was it a head that broke? Then the parser still waits for one, and can be made to answer 400.
    pub fn broke_in_head(&self) -> bool {
        matches!(self.state, State::Shut { in_head: true, .. })
    }

    fn head(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HeadFault> {
        for (i, &byte) in input.iter().enumerate() {
            let last = self.held.last().copied();
            if (byte == b'\n') != (last == Some(b'\r')) {
                return Err(HeadFault::LineEnd);
            }
            if self.held.len() >= HEAD_MAX {
                return Err(HeadFault::TooLong);
            }
            self.held.push(byte);
            if self.held.ends_with(b"\r\n\r\n") || self.held == b"\r\n" {
                self.state = framing(&self.held)?;
                out.append(&mut self.held);
                return Ok(i + 1);
            }
        }
        Ok(input.len())
    }

    /// One of the short lines around chunks.
    fn line(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HeadFault> {
        for (i, &byte) in input.iter().enumerate() {
            self.held.push(byte);
            if byte != b'\n' {
                if self.held.len() >= CHUNK_LINE_MAX {
                    return Err(HeadFault::Chunk);
                }
                continue;
            }
            let text = self.held.strip_suffix(b"\r\n").ok_or(HeadFault::Chunk)?;
            self.state = match (self.state, text) {
                (State::ChunkSize, size) => match chunk_size(size)? {
                    0 => State::LastLine,
                    size => State::ChunkData(size),
                },
                (State::ChunkEnd, b"") => State::ChunkSize,
                (State::LastLine, b"") => State::Head,
                _ => return Err(HeadFault::Chunk),
            };
            out.append(&mut self.held);
            return Ok(i + 1);
        }
        Ok(input.len())
    }
}

fn copy(input: &[u8], left: u64, out: &mut Vec<u8>, more: fn(u64) -> State, done: State) -> (usize, State) {
    let take = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    out.extend_from_slice(&input[..take]);
    let left = left - take as u64;
    (take, if left == 0 { done } else { more(left) })
}

fn chunk_size(text: &[u8]) -> Result<u64, HeadFault> {
    if text.is_empty() || text.len() > 16 || !text.iter().all(u8::is_ascii_hexdigit) {
        return Err(HeadFault::Chunk);
    }
    let text = std::str::from_utf8(text).map_err(|_| HeadFault::Chunk)?;
    u64::from_str_radix(text, 16).map_err(|_| HeadFault::Chunk)
}

/// Judges a whole head, and says what follows it.
fn framing(head: &[u8]) -> Result<State, HeadFault> {
    let text = std::str::from_utf8(head).map_err(|_| HeadFault::HeaderLine)?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    request_line(lines.next().unwrap_or(""))?;
    let (mut hosts, mut count) = (0, 0);
    let mut length: Option<u64> = None;
    let mut chunked = false;
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
        }
    }
    match (chunked, length) {
        _ if count > HEADERS_MAX => Err(HeadFault::TooMany),
        _ if hosts != 1 => Err(HeadFault::Host),
        (true, Some(_)) => Err(HeadFault::Encoding),
        (true, None) => Ok(State::ChunkSize),
        (false, None | Some(0)) => Ok(State::Head),
        (false, Some(length)) => Ok(State::Body(length)),
    }
}

fn request_line(line: &str) -> Result<(), HeadFault> {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadFault::RequestLine);
    };
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) || target.is_empty() {
        return Err(HeadFault::RequestLine);
    }
    if target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') { Ok(()) } else { Err(HeadFault::Target) }
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
