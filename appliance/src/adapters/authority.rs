//! provisioning → pki: issuing. gateway → pki: revocations, published bytes. All three are pki's own enums.

use pki::door::{
    Answering, DoorClosed, IssuingAnswer, IssuingDoor, IssuingQuestion, PublishedAnswer, PublishedDoor,
    PublishedQuestion, RevocationsAnswer, RevocationsDoor, RevocationsQuestion,
};

use crate::wire::Line;

impl IssuingDoor for Line<IssuingQuestion, IssuingAnswer> {
    fn ask(&self, question: IssuingQuestion) -> Answering<'_, IssuingAnswer> {
        carry(self, question)
    }
}

impl RevocationsDoor for Line<RevocationsQuestion, RevocationsAnswer> {
    fn ask(&self, question: RevocationsQuestion) -> Answering<'_, RevocationsAnswer> {
        carry(self, question)
    }
}

impl PublishedDoor for Line<PublishedQuestion, PublishedAnswer> {
    fn ask(&self, question: PublishedQuestion) -> Answering<'_, PublishedAnswer> {
        carry(self, question)
    }
}

fn carry<Q: Send + 'static, A: Send + 'static>(line: &Line<Q, A>, question: Q) -> Answering<'_, A> {
    Box::pin(async move {
        line.ask(question)
            .await
            .map_err(|fault| DoorClosed { room: line.room().to_owned(), why: fault.to_string() })
    })
}
