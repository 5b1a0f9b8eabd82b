//! The room behind all peers: 128 bytes, a MiB, or an upload thrown away. Its time is not counted.

use std::convert::Infallible;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

pub const MIB: usize = 1024 * 1024;

pub async fn respond(path: PathBuf) {
    let listener = UnixListener::bind(&path).unwrap();
    // Peers may run as users of their own.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&path, mode).unwrap();
    let small = Bytes::from(vec![b'x'; 128]);
    let large = Bytes::from(vec![b'y'; MIB]);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (small, large) = (small.clone(), large.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (small, large) = (small.clone(), large.clone());
            async move {
                let body = match request.uri().path() {
                    "/1m" => large,
                    _ => small,
                };
                let mut upload = request.into_body();
                while let Some(Ok(_)) = upload.frame().await {}
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}
