//! A WebSocket after its handshake: two streams of bytes that nobody looks at, with the guards of the
//! connection they came on. Ends when either side does, when both are silent for too long, or when
//! it is cut; its entry goes after its socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::live::{Connection, Stream};
use crate::need::Io;

/// What one direction holds.
const BUFFER: usize = 16 * 1024;
/// Rooms and browsers ping at least once a minute; who says nothing for so long is gone.
const SILENT: Duration = Duration::from_secs(300);
/// After one side has ended, the other gets this long.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What keeps a tunnel in the table of live connections.
pub struct Guards {
    pub connection: Arc<Connection>,
    pub stream: Option<Stream>,
}

pub fn open(upgrading: OnUpgrade, far: Box<dyn Io>, early: Bytes, guards: Guards) {
    tokio::spawn(async move {
        let cut = guards.connection.cut().clone();
        let end = guards.stream.as_ref().map(|stream| stream.end().clone()).unwrap_or_default();
        let tunnel = async {
            let Ok(near) = upgrading.await else { return };
            carry(TokioIo::new(near), far, early).await;
        };
        tokio::select! {
            biased;
            () = cut.cancelled() => {}
            () = end.cancelled() => {}
            () = tunnel => {}
        }
        // The sockets went with the future; now the entry may.
        drop((guards.stream, guards.connection));
    });
}

async fn carry(near: impl AsyncRead + AsyncWrite + Unpin, far: Box<dyn Io>, early: Bytes) {
    let began = Instant::now();
    let heard = AtomicU64::new(0);
    let (near_read, mut near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    if near_write.write_all(&early).await.is_err() {
        return;
    }
    let there = pump(near_read, far_write, began, &heard);
    let back = pump(far_read, near_write, began, &heard);
    tokio::pin!(there, back);
    tokio::select! {
        () = &mut there => drop(tokio::time::timeout(LAST_WORD, back).await),
        () = &mut back => drop(tokio::time::timeout(LAST_WORD, there).await),
        () = silence(began, &heard) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    began: Instant,
    heard: &AtomicU64,
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(read) = from.read(&mut buffer).await {
        heard.store(began.elapsed().as_millis() as u64, Ordering::Relaxed);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

async fn silence(began: Instant, heard: &AtomicU64) {
    loop {
        let last = Duration::from_millis(heard.load(Ordering::Relaxed));
        if began.elapsed() >= last + SILENT {
            return;
        }
        tokio::time::sleep_until(began + last + SILENT).await;
    }
}
