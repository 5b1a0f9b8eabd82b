//! One TLS handshake, within its time; a refused peer gets to read its alert. Ends with its connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::admission::Refusal;
use crate::messages::Message;
use crate::talk::Spoken;
use crate::wire::Wire;

/// A handshake over the worst mobile line takes three seconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Time for a refused peer to read the alert before the socket goes.
const LAST_WORD: Duration = Duration::from_millis(500);
/// What TLS holds of an answer that is not taken: four records, so that they leave together.
const BUFFER: usize = 64 * 1024;

/// Why a handshake did not finish.
pub enum Broken {
    Late,
    Error(io::Error),
}

impl Broken {
    pub fn reason(&self) -> Refusal {
        match self {
            Broken::Late => Message::HandshakeBroken,
            Broken::Error(error) => {
                let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match tls {
                    Some(rustls::Error::NoCertificatesPresented) => Message::CertificateMissing,
                    Some(rustls::Error::InvalidCertificate(_)) => Message::CertificateInvalid,
                    _ => Message::HandshakeBroken,
                }
            }
        }
    }
}

/// Both sides have proved what they must; the protocol is agreed on.
pub async fn handshake(
    config: Arc<rustls::ServerConfig>,
    wire: Wire,
) -> Result<(Box<TlsStream<Wire>>, Spoken), Broken> {
    let accepting = TlsAcceptor::from(config).accept(wire).into_fallible();
    match tokio::time::timeout(HANDSHAKE_MAX, accepting).await {
        Ok(Ok(mut tls)) => {
            tls.get_mut().1.set_buffer_limit(Some(BUFFER));
            let spoken = Spoken::of(tls.get_ref().1.alpn_protocol());
            // Boxed: it is handed on through a few hands, and each would keep a place of its size.
            Ok((Box::new(tls), spoken))
        }
        Ok(Err((error, mut wire))) => {
            // Closing on unread bytes would reset the connection and swallow the alert.
            let _ = wire.shutdown().await;
            let _ = tokio::time::timeout(LAST_WORD, drain(&mut wire)).await;
            Err(Broken::Error(error))
        }
        Err(_) => Err(Broken::Late),
    }
}

async fn drain(wire: &mut Wire) {
    let mut scrap = [0; 1024];
    while matches!(wire.read(&mut scrap).await, Ok(read) if read > 0) {}
}
