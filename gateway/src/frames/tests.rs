//! Floods and stalls of HTTP/2, frame by frame, cut into pieces of every size (issue 6, bounds).

use super::*;
use proptest::prelude::*;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn begun() -> Frames {
    let mut frames = Frames::new(0);
    frames.arrive(PREFACE, 0).unwrap();
    frames.arrive(&frame(SETTINGS, 0, 0, &[]), 0).unwrap();
    frames
}

fn request(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, b"\x82\x84\x87")
}

#[test]
fn every_flood_is_cut_and_none_takes_more_than_a_thousand_frames() {
    let update = 1u32.to_be_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("SETTINGS", frame(SETTINGS, ACK, 0, &[])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("control", frame(PING, ACK, 0, &[0; 8])),
        ("RST_STREAM", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &update)),
        ("PRIORITY or unknown", frame(2, 0, 1, &[0; 5])),
        ("PRIORITY or unknown", frame(0xfa, 0, 1, &[])),
    ];
    for (kind, flood) in cases {
        let mut frames = begun();
        frames.arrive(&request(1, 0), 0).unwrap();
        let fault = (0..1_001).find_map(|_| frames.arrive(&flood, 5).err());
        assert_eq!(fault, Some(FrameFault::Flood(kind)));
    }
}

#[test]
fn rapid_reset_and_made_you_reset_are_cut() {
    let mut frames = begun();
    let mut cut = None;
    for n in 0..200u32 {
        frames.arrive(&request(n * 2 + 1, END_STREAM), 1).unwrap();
        if let Err(fault) = frames.arrive(&frame(RST_STREAM, 0, n * 2 + 1, &[0; 4]), 1) {
            cut = Some(fault);
            break;
        }
    }
    assert_eq!(cut, Some(FrameFault::Flood("RST_STREAM")));
    let mut frames = begun();
    let cut = (0..200u32).find_map(|n| {
        frames.arrive(&request(n * 2 + 1, END_STREAM), 1).unwrap();
        frames.leave(&frame(RST_STREAM, 0, n * 2 + 1, &[0; 4]), 1).err()
    });
    assert_eq!(cut, Some(FrameFault::Flood("refused")), "we were made to reset");
}

#[test]
fn a_header_block_has_an_end_in_size_and_time() {
    let mut frames = begun();
    frames.arrive(&frame(HEADERS, 0, 1, &[0; 100]), 0).unwrap();
    let fault = (0..10_000).find_map(|_| frames.arrive(&frame(CONTINUATION, 0, 1, &[0; 100]), 1).err());
    assert_eq!(fault, Some(FrameFault::Block));
    let mut frames = begun();
    frames.arrive(&frame(HEADERS, 0, 1, &[0; 100]), 0).unwrap();
    let fault = (0..100).find_map(|_| frames.arrive(&frame(CONTINUATION, 0, 1, &[]), 1).err());
    assert_eq!(fault, Some(FrameFault::Block));
    let mut frames = begun();
    frames.arrive(&frame(HEADERS, 0, 1, &[0; 100]), 1_000).unwrap();
    assert_eq!(frames.overdue(2_000), Ok(1_000 + HEAD_MS));
    frames.arrive(&frame(CONTINUATION, 0, 1, &[0]), 9_000).unwrap();
    assert_eq!(frames.overdue(1_000 + HEAD_MS), Err(FrameFault::HalfFrame));
    let mut frames = begun();
    assert_eq!(frames.arrive(&[1, 0, 0], 0), Ok(()));
    assert_eq!(frames.arrive(&[0; 6], 0), Err(FrameFault::TooLarge));
}

#[test]
fn silence_has_an_end() {
    let mut frames = Frames::new(0);
    assert_eq!(frames.overdue(HEAD_MS - 1), Ok(HEAD_MS));
    frames.arrive(&PREFACE[..10], 9_000).unwrap();
    assert_eq!(frames.overdue(HEAD_MS), Err(FrameFault::Silent), "half a preface");
    assert_eq!(Frames::new(0).arrive(b"GET / HT", 0), Err(FrameFault::Preface));
    let mut frames = begun();
    for second in 0..9 {
        frames.arrive(&frame(PING, 0, 0, &[0; 8]), second * 1_000).unwrap();
    }
    assert_eq!(frames.overdue(HEAD_MS), Err(FrameFault::Silent), "pings ask for nothing");
    let mut frames = begun();
    frames.arrive(&request(1, END_STREAM), 1).unwrap();
    assert_eq!(frames.overdue(10_000_000), Ok(u64::MAX), "an answer may take its time");
    frames.leave(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &[]), 5).unwrap();
    assert_eq!((frames.open(), frames.overdue(5)), (0, Ok(5 + IDLE_MS)));
}

#[test]
fn a_body_that_drips_is_cut_and_one_that_waits_for_us_is_not() {
    let mut frames = begun();
    frames.arrive(&request(1, 0), 0).unwrap();
    for second in 1..10 {
        frames.arrive(&frame(DATA, 0, 1, b"x"), second * 1_000).unwrap();
    }
    assert_eq!(frames.overdue(10_000), Err(FrameFault::HalfBody));
    let mut frames = begun();
    frames.arrive(&request(1, 0), 0).unwrap();
    for _ in 0..4 {
        frames.arrive(&frame(DATA, 0, 1, &[0; 16 * 1024]), 1).unwrap();
    }
    assert_eq!(frames.overdue(1_000_000), Ok(u64::MAX), "our window is closed: our turn");
}

#[test]
fn an_answer_that_nobody_takes_is_cut_and_one_byte_more_does_not_help() {
    let mut frames = begun();
    let settings = [0, 4, 0, 0, 0, 0];
    frames.arrive(&frame(SETTINGS, 0, 0, &settings), 0).unwrap();
    frames.arrive(&request(1, END_STREAM), 100).unwrap();
    for second in 1..10 {
        frames.arrive(&frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()), second * 1_000).unwrap();
        frames.leave(&frame(DATA, 0, 1, b"x"), second * 1_000).unwrap();
    }
    assert_eq!(frames.overdue(10_100), Err(FrameFault::NotTaken));
    let mut frames = begun();
    frames.arrive(&request(1, END_STREAM), 0).unwrap();
    for _ in 0..4 {
        frames.leave(&frame(DATA, 0, 1, &[0; 16_383]), 5).unwrap();
    }
    assert_eq!(frames.overdue(20_000), Err(FrameFault::NotTaken));
    frames.arrive(&frame(WINDOW_UPDATE, 0, 1, &60_000u32.to_be_bytes()), 6).unwrap();
    frames.arrive(&frame(WINDOW_UPDATE, 0, 0, &60_000u32.to_be_bytes()), 6).unwrap();
    assert_eq!(frames.overdue(20_000), Ok(u64::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn how_bytes_are_cut_changes_nothing(
        kinds in proptest::collection::vec((0u8..11, 0u8..8, 0u32..6, 0usize..40), 0..30),
        step in 1usize..60,
    ) {
        let mut stream = PREFACE.to_vec();
        for (kind, flags, id, length) in kinds {
            stream.extend(frame(kind, flags, id, &vec![0; length]));
        }
        let run = |step: usize| {
            let mut frames = Frames::new(0);
            let fault = stream.chunks(step).find_map(|piece| frames.arrive(piece, 1).err());
            (fault, frames.open(), frames.send_window)
        };
        prop_assert_eq!(run(step), run(stream.len()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let mut frames = begun();
        let _ = frames.arrive(&bytes, 1);
        let _ = frames.leave(&bytes, 1);
        let _ = frames.overdue(2);
    }
}
