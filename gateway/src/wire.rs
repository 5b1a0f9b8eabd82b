//! The two ends of a connection: `Wire`, a TCP stream that is reset when it is cut, so that not even
//! queued bytes leave; and `Gate`, which lets the HTTP parser see only heads that passed `heads`.
//! Both end with their connection's task.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::heads::{HeadFault, Heads};

/// What one read may bring: a TLS record at most.
const READ_SIZE: usize = 16 * 1024;
/// Makes the parser answer 400 and close, whatever it has in hand.
const NO_HEAD: &[u8] = b"\0\r\n\r\n";

pub struct Wire {
    tcp: TcpStream,
    cut: CancellationToken,
}

impl Wire {
    pub fn new(tcp: TcpStream, cut: CancellationToken) -> Self {
        Self { tcp, cut }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.cut.is_cancelled() {
            // Reset instead of finish: what lies in the send queue is thrown away.
            let _ = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

pub struct Gate<S> {
    inner: S,
    heads: Heads,
    /// Passed and not yet read.
    ready: Vec<u8>,
    read: usize,
    fault: Arc<OnceLock<HeadFault>>,
}

impl<S> Gate<S> {
    /// `fault` tells what broke the connection, if something did.
    pub fn new(inner: S, fault: Arc<OnceLock<HeadFault>>) -> Self {
        Self { inner, heads: Heads::default(), ready: Vec::new(), read: 0, fault }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = &mut *self;
        loop {
            if gate.read < gate.ready.len() {
                let take = buf.remaining().min(gate.ready.len() - gate.read);
                buf.put_slice(&gate.ready[gate.read..gate.read + take]);
                gate.read += take;
                if gate.read == gate.ready.len() {
                    // An idle connection holds no buffer.
                    gate.ready = Vec::new();
                    gate.read = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if gate.fault.get().is_some() {
                return Poll::Ready(Ok(()));
            }
            let mut scratch = [0; READ_SIZE];
            let mut scratch = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut gate.inner).poll_read(cx, &mut scratch))?;
            if scratch.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Err(fault) = gate.heads.pass(scratch.filled(), &mut gate.ready) {
                let _ = gate.fault.set(fault);
                if !gate.heads.broke_in_head() {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
                }
                gate.ready.extend_from_slice(NO_HEAD);
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
