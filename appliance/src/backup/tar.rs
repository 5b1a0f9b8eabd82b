//! A stream of files that stock `tar` reads (POSIX ustar; lengths beyond 8 GiB as GNU writes them). Pure: it writes to
//! and reads from whatever it is given. Read from a stranger's file, so every field is checked and a name is a plain
//! relative one; links, folders and devices are refused.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
const NAME: usize = 100;
const CHECKSUM_AT: usize = 148;
const SIZE_AT: usize = 124;
/// What eleven octal digits hold.
const OCTAL_MAX: u64 = 1 << 33;

pub struct Writer<W: Write> {
    out: W,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// One file of `size` bytes, all of which `from` must give.
    pub fn file(&mut self, name: &str, size: u64, at_s: i64, from: &mut impl Read) -> io::Result<()> {
        self.out.write_all(&head(name, size, at_s)?)?;
        let written = io::copy(&mut from.take(size), &mut self.out)?;
        if written != size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} became shorter")));
        }
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        if rest > 0 {
            self.out.write_all(&[0; BLOCK][rest..])?;
        }
        Ok(())
    }

    /// Two blocks of nothing; gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

pub struct Reader<R: Read> {
    from: R,
    /// Of the file that was given out last, with what fills its last block.
    left: u64,
    fill: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub size: u64,
}

impl<R: Read> Reader<R> {
    pub fn new(from: R) -> Self {
        Self { from, left: 0, fill: 0 }
    }

    /// The next file; none at the end, which must be there.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        let skip = self.left + self.fill;
        let skipped = io::copy(&mut (&mut self.from).take(skip), &mut io::sink())?;
        let mut block = [0; BLOCK];
        if skipped != skip {
            return Err(wrong("it ends in the middle of a file"));
        }
        self.from.read_exact(&mut block)?;
        if block == [0; BLOCK] {
            // What the format pads with; reading to the end also proves that nothing was cut off.
            return io::copy(&mut self.from, &mut io::sink()).map(|_| None);
        }
        let entry = parse(&block)?;
        self.left = entry.size;
        self.fill = (BLOCK as u64 - entry.size % BLOCK as u64) % BLOCK as u64;
        Ok(Some(entry))
    }
}

/// The bytes of the file that `entry` named.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.from).take(self.left).read(bytes)?;
        if read == 0 && self.left > 0 && !bytes.is_empty() {
            return Err(wrong("it ends in the middle of a file"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Relative, without dots, blanks or anything that a shell or another system reads differently.
pub fn is_plain(name: &str) -> bool {
    let part_fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    !name.is_empty() && name.len() <= NAME && name.split('/').all(part_fits)
}

fn head(name: &str, size: u64, at_s: i64) -> io::Result<[u8; BLOCK]> {
    if !is_plain(name) {
        return Err(wrong(&format!("`{name}` is no name for a file of a backup")));
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    if size < OCTAL_MAX {
        put(SIZE_AT, &format!("{size:011o}\0"));
    }
    put(136, &format!("{:011o}\0", at_s.max(0)));
    put(CHECKSUM_AT, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    if size >= OCTAL_MAX {
        block[SIZE_AT] = 0x80;
        block[SIZE_AT + 4..SIZE_AT + 12].copy_from_slice(&size.to_be_bytes());
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

fn parse(block: &[u8; BLOCK]) -> io::Result<Entry> {
    let sum_said = octal(&block[CHECKSUM_AT..CHECKSUM_AT + 8]).ok_or_else(|| wrong("no tar"))?;
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if (CHECKSUM_AT..CHECKSUM_AT + 8).contains(&at) { b' ' } else { *byte }))
        .sum();
    if sum != sum_said || &block[257..262] != b"ustar" {
        return Err(wrong("no tar, or a damaged one"));
    }
    // A file and nothing else; names of ours need no second field.
    if !matches!(block[156], b'0' | 0) || block[345] != 0 {
        return Err(wrong("it holds something that is no file"));
    }
    let end = block[..NAME].iter().position(|byte| *byte == 0).unwrap_or(NAME);
    let name = String::from_utf8(block[..end].to_vec()).map_err(|_| wrong("a name that is no text"))?;
    if !is_plain(&name) {
        return Err(wrong(&format!("`{}` is no name for a file of a backup", name.escape_default())));
    }
    let size = &block[SIZE_AT..SIZE_AT + 12];
    let size = match size {
        [0x80, 0, 0, 0, rest @ ..] => rest.try_into().ok().map(u64::from_be_bytes),
        octets => octal(octets),
    };
    Ok(Entry { name, size: size.ok_or_else(|| wrong("a length that is none"))? })
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn written(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (name, bytes) in files {
            writer.file(name, bytes.len() as u64, 1_700_000_000, &mut &**bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let (mut reader, mut found) = (Reader::new(bytes), Vec::new());
        while let Some(entry) = reader.entry()? {
            let mut text = Vec::new();
            reader.read_to_end(&mut text)?;
            found.push((entry.name, text));
        }
        Ok(found)
    }

    #[test]
    fn stock_tar_reads_what_we_write_and_we_read_what_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![7; 1025];
        let files: [(&str, &[u8]); 3] =
            [("a.txt", b"one"), ("state/pki/ledger.db", &long), ("state/empty", b"")];
        std::fs::write(folder.path().join("our.tar"), written(&files)).unwrap();
        let tar = |words: &[&str]| {
            let done = Command::new("tar").args(words).current_dir(folder.path()).output().unwrap();
            assert!(done.status.success(), "{words:?} {}", String::from_utf8_lossy(&done.stderr));
        };
        tar(&["-xf", "our.tar"]);
        tar(&["--format=ustar", "-cf", "its.tar", "a.txt", "state/pki/ledger.db", "state/empty"]);
        let its = read(&std::fs::read(folder.path().join("its.tar")).unwrap()).unwrap();
        for ((name, bytes), (its_name, its_bytes)) in files.iter().zip(&its) {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), *bytes);
            assert_eq!((*name, *bytes), (its_name.as_str(), its_bytes.as_slice()));
        }
        assert_eq!(its.len(), files.len());
    }

    #[test]
    fn a_length_beyond_eight_gibibytes_is_said_as_gnu_says_it() {
        let block = head("big", 9 << 30, 0).unwrap();
        assert_eq!(parse(&block).unwrap().size, 9 << 30);
    }

    /// The attacker's archives: names that lead elsewhere, links, folders, an end that is missing.
    #[test]
    fn nothing_but_plain_files_is_taken() {
        for name in ["/etc/passwd", "../x", "a/../../x", "a//b", ".ssh", "a b", "a\nb", "", "a/"] {
            assert!(!is_plain(name), "{name}");
        }
        let good = written(&[("a", b"one")]);
        assert_eq!(read(&good).unwrap().len(), 1);
        for (at, byte) in
            [(0, b'/'), (0, b'.'), (156, b'1'), (156, b'2'), (156, b'5'), (156, b'x'), (345, b'a')]
        {
            let mut bad = good.clone();
            bad[at] = byte;
            let sum: u32 = bad[..BLOCK]
                .iter()
                .enumerate()
                .map(|(at, byte)| {
                    u32::from(if (CHECKSUM_AT..CHECKSUM_AT + 8).contains(&at) { b' ' } else { *byte })
                })
                .sum();
            bad[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert!(read(&bad).is_err(), "byte {at} as {byte}");
        }
        assert!(read(&good[..BLOCK + 2]).is_err(), "cut in a file");
        assert!(read(&good[..2 * BLOCK]).is_err(), "cut before the end's mark");
    }
}
