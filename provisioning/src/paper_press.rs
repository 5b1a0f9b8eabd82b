//! Where papers are drawn: not on the room's own threads, and one after the other, so that the fonts are
//! in memory once.
//! Edge: tokio.

use std::sync::Arc;

use crate::fault::Fault;
use crate::font::Fonts;
use crate::messages::Message;
use crate::paper_sheet::Unprinted;
use crate::shared::Shared;

pub async fn drawn<T: Send + 'static>(
    shared: &Arc<Shared>,
    draw: impl FnOnce(&Fonts) -> Result<T, Unprinted> + Send + 'static,
) -> Result<T, Fault> {
    let _turn = shared.font.turn.lock().await;
    let held = shared.clone();
    match tokio::task::spawn_blocking(move || draw(&held.font.read()?)).await {
        Ok(Ok(drawn)) => Ok(drawn),
        Ok(Err(Unprinted::Paper(message))) => Err(message.into()),
        Ok(Err(Unprinted::Message(message))) => Err(message.into()),
        Ok(Err(Unprinted::Post(message))) => Err(message.into()),
        Err(error) => Err(Message::Internal { what: error.to_string() }.into()),
    }
}
