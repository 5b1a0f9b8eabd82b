//! vpn → firewall: the mirror of the seating. The question and the answer are vpn's own.

use vpn::door::{Answering, DoorClosed, MirrorAnswer, MirrorDoor, MirrorQuestion};

use crate::wire::Line;

impl MirrorDoor for Line<MirrorQuestion, MirrorAnswer> {
    fn ask(&self, question: MirrorQuestion) -> Answering<'_, MirrorAnswer> {
        Box::pin(async move {
            let closed = |why: String| DoorClosed { room: self.room().to_owned(), why };
            Line::ask(self, question).await.map_err(|fault| closed(fault.to_string()))
        })
    }
}
