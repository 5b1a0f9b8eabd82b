//! provisioning → vpn: seats. The question and the answer are vpn's own.

use vpn::door::{Answering, DoorClosed, SeatsAnswer, SeatsDoor, SeatsQuestion};

use crate::wire::Line;

impl SeatsDoor for Line<SeatsQuestion, SeatsAnswer> {
    fn ask(&self, question: SeatsQuestion) -> Answering<'_, SeatsAnswer> {
        Box::pin(async move {
            let closed = |why: String| DoorClosed { room: self.room().to_owned(), why };
            Line::ask(self, question).await.map_err(|fault| closed(fault.to_string()))
        })
    }
}
