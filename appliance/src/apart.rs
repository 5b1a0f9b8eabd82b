//! The lines of one process to the others: every arrow of its row as a socket, on both sides.
//! `lines::lay` does the same inside one process; rooms see no difference. Edge: Unix sockets, tokio.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::doors::Doors;
use crate::lines::{ACCOUNT_LIMIT, ACT_LIMIT, FEED_LIMIT, STREAM_LIMIT};
use crate::messages::Message;
use crate::process::{Name, arrow_from};
use crate::wire::frame::{Offered, ROOM_FRAME_MAX};
use crate::wire::http::{self, HttpEnd, HttpLine};
use crate::wire::line::{self, Line, LineEnd};

/// A neighbour that is being restarted gets this long to open again before the question fails.
const PATIENCE: Duration = Duration::from_secs(3);

/// The asking side of one process.
pub struct Knocks<'a> {
    pub from: Name,
    pub config: &'a Config,
}

impl Knocks<'_> {
    /// A line to `process.door`; the table must say that this process may knock there.
    pub fn at<Q, A>(&self, full: &'static str) -> Result<Line<Q, A>, Message>
    where
        Q: Serialize + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        let (room, door) = full.split_once('.').unwrap_or((full, ""));
        let limit = match door {
            "grants" | "revocations" => FEED_LIMIT,
            "accounts" => ACCOUNT_LIMIT,
            _ => ACT_LIMIT,
        };
        Ok(line::socket(room, self.path(full)?, ROOM_FRAME_MAX, limit, PATIENCE))
    }

    pub fn http(&self, full: &'static str) -> Result<HttpLine, Message> {
        let (room, _) = full.split_once('.').unwrap_or((full, ""));
        Ok(http::socket(room, self.path(full)?, PATIENCE.min(STREAM_LIMIT)))
    }

    fn path(&self, full: &'static str) -> Result<std::path::PathBuf, Message> {
        let arrow = arrow_from(self.from, full).ok_or_else(|| Message::OpenFailed {
            room: self.from.as_str().to_owned(),
            why: format!("it may not knock at {full}"),
        })?;
        Ok(self.config.paths.run.join(arrow.socket))
    }
}

impl Doors {
    /// The answering end of a door.
    pub fn end<Q, A>(&mut self, door: &'static str) -> Result<LineEnd<Q, A>, Message>
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
    {
        let (listener, guard) = self.take(door)?;
        Ok(line::offered(listener, guard))
    }

    pub fn http_end(&mut self) -> Result<HttpEnd, Message> {
        let (listener, guard) = self.take("http")?;
        Ok(HttpEnd::Socket(Offered { listener, guard }))
    }
}
