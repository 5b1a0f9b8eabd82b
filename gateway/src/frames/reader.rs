//! One frame after another out of bytes that come as they come: its head, then how much of its payload is still to come.
//! Keeps of the payload only the start, where a setting or an increment stands. Pure. RFC 9113, 4.1.

use super::{ACK, SETTINGS, WINDOW_UPDATE};

/// A frame's head, and what is still to come of it.
#[derive(Default)]
pub struct Reader {
    head: [u8; 9],
    pub filled: usize,
    pub left: u32,
    /// The start of the payload: enough for one setting or one increment.
    taste: [u8; 6],
    tasted: usize,
}

#[derive(Clone, Copy)]
pub struct Head {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Reader {
    /// Fills the head; returns it in the moment it is whole.
    pub fn head(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        if self.whole_head() {
            return None;
        }
        let take = bytes.len().min(9 - self.filled);
        self.head[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
        self.filled += take;
        *bytes = &bytes[take..];
        if !self.whole_head() {
            return None;
        }
        let head = self.now();
        self.left = head.length;
        Some(head)
    }

    pub fn whole_head(&self) -> bool {
        self.filled == 9
    }

    pub fn now(&self) -> Head {
        let head = &self.head;
        Head {
            length: u32::from_be_bytes([0, head[0], head[1], head[2]]),
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
        }
    }

    /// Takes of the payload what is there; tells every whole setting.
    pub fn payload(&mut self, bytes: &mut &[u8], mut setting: impl FnMut([u8; 6])) -> u32 {
        let take = bytes.len().min(self.left as usize);
        let head = self.now();
        if (head.kind == SETTINGS && head.flags & ACK == 0) || head.kind == WINDOW_UPDATE {
            for byte in &bytes[..take] {
                if self.tasted == 6 {
                    self.tasted = 0;
                }
                self.taste[self.tasted] = *byte;
                self.tasted += 1;
                if head.kind == SETTINGS && self.tasted == 6 {
                    setting(self.taste);
                }
            }
        }
        *bytes = &bytes[take..];
        self.left -= take as u32;
        take as u32
    }

    pub fn increment(&self) -> u32 {
        u32::from_be_bytes([self.taste[0] & 0x7f, self.taste[1], self.taste[2], self.taste[3]])
    }
}
