//! What can go wrong between two rooms: a closed set, the same for channels and sockets. Pure values.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    #[error("the other end is gone")]
    Closed,
    #[error("no answer within {seconds} seconds")]
    Slow { seconds: u64 },
    #[error("a frame of {bytes} bytes is over the limit of {limit}")]
    TooLong { bytes: usize, limit: usize },
    #[error("the frame cannot be understood: {why}")]
    Garbled { why: String },
    #[error("uid {uid} may not knock here")]
    Stranger { uid: u32 },
    #[error("all {limit} places are taken")]
    Full { limit: usize },
    #[error("cannot be reached: {why}")]
    Unreachable { why: String },
}
