//! How a backup leaves a machine of our image over SSH: root's service makes it, sealed to those whom the association has
//! named there, and the engineer's session carries the pieces. An edge, border: that service's socket.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::{Failure, Words};
use crate::exit::Exit;
use crate::messages::Message;

/// Of a piece: what a pipe holds.
const PIECE_MAX: usize = 64 << 10;
/// Of the last words.
const WORDS_MAX: usize = 64 << 10;
/// The first piece may wait for copies of every database.
const ANSWER: Duration = Duration::from_secs(3600);
/// The question is ready when somebody comes; a piece is taken while the line is slow.
pub const ASKING: Duration = Duration::from_secs(5);
pub const TAKING: Duration = Duration::from_secs(120);
/// Of the question, with its end.
pub const ASK_MAX: u64 = 4096;

/// For whom it is sealed is not the engineer's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    Records,
    Keys,
    Drill,
}

#[derive(Serialize, Deserialize)]
enum Ended {
    Done(Value),
    Refused { exit: u8, code: String, ja: String, en: String, remedy_ja: String, remedy_en: String },
}

/// Each piece behind its length; a length of nought is the end, and how it ended follows.
pub struct Pieces<W: Write>(pub W);

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(PIECE_MAX)).unwrap_or_default();
        if !piece.is_empty() {
            self.0.write_all(&u32::try_from(piece.len()).unwrap_or(0).to_be_bytes())?;
            self.0.write_all(piece)?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Root's last words.
pub fn end(to: &mut dyn Write, ended: Result<Value, Failure>) -> Result<(), Failure> {
    let ended = match ended {
        Ok(value) => Ended::Done(value),
        Err(Failure { exit, words, .. }) => {
            let Words { code, ja, en, remedy_ja, remedy_en } = *words;
            Ended::Refused { exit: exit.code(), code, ja, en, remedy_ja, remedy_en }
        }
    };
    let text = serde_json::to_vec(&ended).map_err(|error| wire(error.to_string()))?;
    to.write_all(&[0; 4])
        .and_then(|()| to.write_all(&text))
        .and_then(|()| to.flush())
        .map_err(|error| wire(error.to_string()))
}

/// The engineer's side: the pieces go to `sink`, what was said at the end is returned.
pub fn ask(socket: &Path, act: Act, sink: &mut dyn Write) -> Result<Value, Failure> {
    let question = serde_json::to_vec(&act).map_err(|error| wire(error.to_string()))?;
    let mut words = Vec::new();
    let mut talk = || -> std::io::Result<()> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(&question)?;
        stream.shutdown(Shutdown::Write)?;
        take(&mut stream, sink, &mut words)
    };
    talk().map_err(|error| wire(error.to_string()))?;
    match serde_json::from_slice(&words).map_err(|error| wire(error.to_string()))? {
        Ended::Done(value) => Ok(value),
        Ended::Refused { exit, code, ja, en, remedy_ja, remedy_en } => {
            let exit = Exit::ALL.into_iter().find(|known| known.code() == exit).unwrap_or(Exit::Failed);
            let words = Box::new(Words { code, ja, en, remedy_ja, remedy_en });
            Err(Failure { exit, words, trace: None, faults: Vec::new() })
        }
    }
}

fn take(from: &mut dyn Read, sink: &mut dyn Write, words: &mut Vec<u8>) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_MAX];
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 {
            break;
        }
        let place = piece.get_mut(..length).ok_or_else(|| std::io::Error::other("a piece is too long"))?;
        from.read_exact(place)?;
        sink.write_all(place)?;
    }
    sink.flush()?;
    from.take(WORDS_MAX as u64).read_to_end(words).map(|_| ())
}

fn wire(why: String) -> Failure {
    Message::Wire { why }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_in_pieces_comes_out_whole_with_its_last_words() {
        let text: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut carried = Vec::new();
        Pieces(&mut carried).write_all(&text).unwrap();
        end(&mut carried, Ok(Value::from(7))).unwrap();
        let (mut back, mut words) = (Vec::new(), Vec::new());
        take(&mut carried.as_slice(), &mut back, &mut words).unwrap();
        assert_eq!(back, text);
        assert!(matches!(serde_json::from_slice(&words).unwrap(), Ended::Done(value) if value == 7));
    }

    /// A backup that breaks off must not look like one.
    #[test]
    fn an_end_without_last_words_is_an_error() {
        let mut carried = Vec::new();
        Pieces(&mut carried).write_all(b"half").unwrap();
        assert!(take(&mut carried.as_slice(), &mut Vec::new(), &mut Vec::new()).is_err());
        carried = u32::MAX.to_be_bytes().to_vec();
        assert!(take(&mut carried.as_slice(), &mut Vec::new(), &mut Vec::new()).is_err());
    }
}
