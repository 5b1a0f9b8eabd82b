//! gateway → sns, provisioning: byte streams to the two rooms that speak HTTP.

use gateway::need::{Answering, Behind, Io, NeedUnmet, Upstream};

use crate::wire::http::HttpLine;

/// The rooms behind the gateway.
pub struct Rooms {
    pub sns: HttpLine,
    pub provisioning: HttpLine,
}

impl Upstream for Rooms {
    fn open(&self, behind: Behind) -> Answering<'_, Box<dyn Io>> {
        let line = match behind {
            Behind::Sns => &self.sns,
            Behind::Provisioning => &self.provisioning,
        };
        Box::pin(async move {
            let stream = line
                .open()
                .await
                .map_err(|fault| NeedUnmet { room: line.room().to_owned(), why: fault.to_string() })?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}
