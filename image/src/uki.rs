//! The one file that is booted: systemd's stub with kernel, initrd and command line as sections of its own, so that
//! one signature covers all of them. Writes PE headers by itself: the same inputs give the same bytes. Pure.

/// A section of PE: name, address, size, place in the file, and flags.
const HEADER: usize = 40;
/// Initialised data that is read.
const READ_DATA: u32 = 0x4000_0040;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StubError {
    #[error("the stub is no PE file of 64 bits")]
    NotPe,
    #[error("the stub's headers have no room for another section")]
    NoRoom,
    #[error("a section is larger than PE can say")]
    TooLarge,
}

/// The stub with these sections behind its own.
pub fn join(stub: &[u8], sections: &[(&str, &[u8])]) -> Result<Vec<u8>, StubError> {
    let pe = Pe::read(stub)?;
    let mut out = stub.to_vec();
    let (mut address, mut count, mut added) = (pe.image_end, pe.sections, 0u32);
    for (name, bytes) in sections {
        let at = pe.table + usize::from(count) * HEADER;
        if at + HEADER > pe.headers_end || name.len() > 8 {
            return Err(StubError::NoRoom);
        }
        let size = u32::try_from(bytes.len()).map_err(|_| StubError::TooLarge)?;
        out.resize(out.len().next_multiple_of(pe.file_align as usize), 0);
        let place = u32::try_from(out.len()).map_err(|_| StubError::TooLarge)?;
        let stored = size.checked_next_multiple_of(pe.file_align).ok_or(StubError::TooLarge)?;
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(pe.file_align as usize), 0);
        let mut header = [0u8; HEADER];
        header[..name.len()].copy_from_slice(name.as_bytes());
        for (at, value) in [(8, size), (12, address), (16, stored), (20, place), (36, READ_DATA)] {
            header[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        out[at..at + HEADER].copy_from_slice(&header);
        let end = address.checked_add(size).and_then(|end| end.checked_next_multiple_of(pe.section_align));
        address = end.ok_or(StubError::TooLarge)?;
        added = added.checked_add(stored).ok_or(StubError::TooLarge)?;
        count += 1;
    }
    out[pe.coff + 2..pe.coff + 4].copy_from_slice(&count.to_le_bytes());
    let optional = pe.coff + 20;
    let data = number(stub, optional + 8)?.wrapping_add(added);
    // Initialised data; the image's end; the sum that no firmware reads.
    for (at, value) in [(8, data), (56, address), (64, 0)] {
        out[optional + at..optional + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    Ok(out)
}

/// What the named section holds in memory: what the file lacks of it is nought.
pub fn section(file: &[u8], name: &str) -> Result<Option<Vec<u8>>, StubError> {
    let pe = Pe::read(file)?;
    for row in 0..usize::from(pe.sections) {
        let at = pe.table + row * HEADER;
        let header = file.get(at..at + HEADER).ok_or(StubError::NotPe)?;
        let named = header[..8].split(|byte| *byte == 0).next().unwrap_or_default();
        if named != name.as_bytes() {
            continue;
        }
        let (size, stored) = (number(file, at + 8)? as usize, number(file, at + 16)? as usize);
        let place = number(file, at + 20)? as usize;
        let end = place.checked_add(size.min(stored)).ok_or(StubError::TooLarge)?;
        let mut bytes = file.get(place..end).ok_or(StubError::NotPe)?.to_vec();
        bytes.resize(size, 0);
        return Ok(Some(bytes));
    }
    Ok(None)
}

struct Pe {
    coff: usize,
    sections: u16,
    table: usize,
    headers_end: usize,
    section_align: u32,
    file_align: u32,
    image_end: u32,
}

impl Pe {
    fn read(stub: &[u8]) -> Result<Self, StubError> {
        let pe = number(stub, 0x3c)? as usize;
        if stub.get(pe..pe + 4) != Some(b"PE\0\0") {
            return Err(StubError::NotPe);
        }
        let coff = pe + 4;
        let optional = coff + 20;
        if half(stub, optional)? != 0x20b {
            return Err(StubError::NotPe);
        }
        let (section_align, file_align) = (number(stub, optional + 32)?, number(stub, optional + 36)?);
        let image_end = number(stub, optional + 56)?;
        let image_end = match (section_align, file_align) {
            (1.., 1..) => image_end.checked_next_multiple_of(section_align).ok_or(StubError::TooLarge)?,
            _ => return Err(StubError::NotPe),
        };
        Ok(Self {
            coff,
            sections: half(stub, coff + 2)?,
            table: optional + usize::from(half(stub, coff + 16)?),
            headers_end: number(stub, optional + 60)? as usize,
            section_align,
            file_align,
            image_end,
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u32, StubError> {
    let found = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    found.map(u32::from_le_bytes).ok_or(StubError::NotPe)
}

fn half(bytes: &[u8], at: usize) -> Result<u16, StubError> {
    let found = bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    found.map(u16::from_le_bytes).ok_or(StubError::NotPe)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One section, room for three.
    pub(crate) fn stub() -> Vec<u8> {
        let mut bytes = vec![0u8; 0x400];
        bytes[0x3c] = 0x40;
        bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
        let coff = 0x44;
        bytes[coff + 2] = 1;
        bytes[coff + 16] = 240;
        let optional = coff + 20;
        bytes[optional..optional + 2].copy_from_slice(&0x20bu16.to_le_bytes());
        for (at, value) in [(32, 0x1000u32), (36, 0x200), (56, 0x3000)] {
            bytes[optional + at..optional + at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let headers = u32::try_from(optional + 240 + 3 * HEADER).unwrap();
        bytes[optional + 60..optional + 64].copy_from_slice(&headers.to_le_bytes());
        bytes
    }

    #[test]
    fn each_section_stands_behind_the_last_in_memory_and_in_the_file() {
        let made = join(&stub(), &[(".linux", &[7; 0x1234]), (".initrd", &[9; 3])]).unwrap();
        let pe = Pe::read(&made).unwrap();
        assert_eq!((pe.sections, pe.image_end), (3, 0x3000 + 0x2000 + 0x1000));
        let row = |n: usize, at: usize| number(&made, pe.table + n * HEADER + at).unwrap() as usize;
        assert_eq!((row(1, 12), row(2, 12)), (0x3000, 0x5000));
        assert_eq!(made[row(1, 20)..row(1, 20) + row(1, 8)], [7; 0x1234]);
        assert_eq!(made[row(2, 20)..row(2, 20) + row(2, 8)], [9; 3]);
        assert_eq!(made.len() % 0x200, 0);
    }

    #[test]
    fn a_section_is_found_again_by_its_name() {
        let made = join(&stub(), &[(".linux", &[7; 0x1234]), (".initrd", b"abc")]).unwrap();
        assert_eq!(section(&made, ".initrd").unwrap().unwrap(), b"abc");
        assert_eq!(section(&made, ".linux").unwrap().unwrap().len(), 0x1234);
        assert_eq!(section(&made, ".init").unwrap(), None);
    }

    #[test]
    fn a_stub_without_room_or_sense_is_refused() {
        let three: Vec<(&str, &[u8])> = vec![("a", b"x"); 3];
        assert_eq!(join(&stub(), &three), Err(StubError::NoRoom));
        assert_eq!(join(b"MZ", &[]), Err(StubError::NotPe));
        for cut in [0x3f, 0x44, 0x60, 0x90] {
            assert!(join(&stub()[..cut], &[("a", b"x")]).is_err(), "{cut}");
        }
    }
}
