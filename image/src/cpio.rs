//! An archive as the kernel unpacks it (cpio, newc): folders and files, in the order given, with no time and no
//! owner but root. The same entries give the same bytes. Pure.

/// What an entry is.
pub enum Kind<'a> {
    Folder,
    Program(&'a [u8]),
    File(&'a [u8]),
}

/// Paths have no leading slash; a folder comes before what lies in it.
pub fn archive(entries: &[(String, Kind<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, (path, kind)) in entries.iter().enumerate() {
        let (mode, bytes): (u32, &[u8]) = match kind {
            Kind::Folder => (0o040_755, &[]),
            Kind::Program(bytes) => (0o100_755, bytes),
            Kind::File(bytes) => (0o100_644, bytes),
        };
        entry(&mut out, number + 1, mode, path, bytes);
    }
    entry(&mut out, 0, 0, "TRAILER!!!", &[]);
    // Unpackers read whole blocks.
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn entry(out: &mut Vec<u8>, number: usize, mode: u32, path: &str, bytes: &[u8]) {
    let links = 1;
    // inode, mode, uid, gid, links, time, size, four numbers of devices, length of the name, no sum
    let fields = [number, mode as usize, 0, 0, links, 0, bytes.len(), 0, 0, 0, 0, path.len() + 1, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_stock_cpio_or_tar_reads_it_back() {
        let entries = [
            ("bin".to_owned(), Kind::Folder),
            ("bin/a".to_owned(), Kind::Program(b"#!x\n")),
            ("c".to_owned(), Kind::File(b"12345")),
        ];
        let bytes = archive(&entries);
        assert_eq!(bytes, archive(&entries));
        assert_eq!(bytes.len() % 512, 0);
        assert!(bytes.starts_with(b"070701") && bytes.windows(10).any(|found| found == b"TRAILER!!!"));
        // Where one is installed: cpio belongs to nobody's minimum.
        let Ok(mut cpio) =
            Command::new("cpio").args(["-t", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            return;
        };
        cpio.stdin.take().unwrap().write_all(&bytes).unwrap();
        let said = cpio.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "bin\nbin/a\nc\n");
    }
}
