//! Floods on one connection.

use super::Town;
use crate::support::http2::{
    ACK, Attacker, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, GOAWAY,
    HEADERS, NO_ERROR, PING, PRIORITY, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    call_head, frame,
};
use crate::support::soon;

const PATH: &str = "/zentra.gateway.v1.PaymentService/ListCharges";
/// Far more than any limit: who gets so far was not stopped.
const ENDLESS: u32 = 1_000_000;

fn stream(number: u32) -> u32 {
    number * 2 + 1
}

/// CVE-2023-44487.
#[tokio::test]
async fn rapid_reset() {
    let town = Town::start(&[]).await;
    let head = call_head(PATH);
    let attacker = Attacker::connect(&town.serving.grpc).await;
    let (end, sent) = attacker
        .flood(ENDLESS, move |number| {
            let mut bytes = frame(HEADERS, END_HEADERS, stream(number), &head);
            bytes.extend(frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes()));
            bytes
        })
        .await;
    assert_eq!(end, End::Goodbye(ENHANCE_YOUR_CALM), "after {sent}");
    assert!(sent < ENDLESS);
    town.stands().await;
}

/// CVE-2025-8671: the server itself is made to reset, by a window that overflows.
#[tokio::test]
async fn made_you_reset() {
    let town = Town::start(&[]).await;
    let head = call_head(PATH);
    let attacker = Attacker::connect(&town.serving.grpc).await;
    let (end, sent) = attacker
        .flood(ENDLESS, move |number| {
            let mut bytes = frame(HEADERS, END_HEADERS, stream(number), &head);
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(number), &0x7fff_ffff_u32.to_be_bytes()));
            bytes
        })
        .await;
    assert_eq!(end, End::Goodbye(ENHANCE_YOUR_CALM), "after {sent}");
    assert!(sent < ENDLESS);
    town.stands().await;
}

/// The limits themselves: as many as they allow are put up with, and one more is not.
#[tokio::test]
async fn resets_are_counted_to_the_limits() {
    let town = Town::start(&[]).await;
    let head = call_head(PATH);
    let open = |number| frame(HEADERS, END_HEADERS, stream(number), &head);
    let rapid = |number| {
        let reset = frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes());
        [open(number), reset].concat()
    };
    let by_window = |number| {
        let update = frame(WINDOW_UPDATE, 0, stream(number), &0x7fff_ffff_u32.to_be_bytes());
        [open(number), update].concat()
    };
    // More bytes than the head has told of.
    let by_length = |number| {
        let head = [&head[..], b"\x00\x0econtent-length\x011"].concat();
        let data = frame(DATA, 0, stream(number), &[0; 5]);
        [frame(HEADERS, END_HEADERS, stream(number), &head), data].concat()
    };
    // In one piece, so that all have come before any is taken up.
    let mut attacker = Attacker::connect(&town.serving.grpc).await;
    attacker.send(&(0..20).flat_map(rapid).collect::<Vec<_>>()).await.unwrap();
    alive(&mut attacker).await;
    let mut attacker = Attacker::connect(&town.serving.grpc).await;
    attacker.send(&(0..21).flat_map(rapid).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(goodbye(&mut attacker).await, ENHANCE_YOUR_CALM);
    for reset in [&by_window as &dyn Fn(u32) -> Vec<u8>, &by_length] {
        let mut attacker = Attacker::connect(&town.serving.grpc).await;
        for number in 0..1024 {
            attacker.send(&reset(number)).await.unwrap();
            // One by one: else they would be too many streams.
            loop {
                let frame = soon(attacker.receive()).await;
                let frame = frame.unwrap_or_else(|| panic!("closed after {number}"));
                assert_ne!(frame.kind, GOAWAY, "after {number}: {frame:?}");
                if frame.kind == RST_STREAM {
                    break;
                }
            }
        }
        alive(&mut attacker).await;
        attacker.send(&reset(1024)).await.unwrap();
        assert_eq!(goodbye(&mut attacker).await, ENHANCE_YOUR_CALM);
    }
    town.stands().await;
}

async fn goodbye(attacker: &mut Attacker) -> u32 {
    loop {
        let frame = soon(attacker.receive()).await.expect("a goodbye");
        if frame.kind == GOAWAY {
            return frame.code();
        }
    }
}

/// CVE-2024-27316 and its kin: a header block without an end.
#[tokio::test]
async fn continuations_without_an_end() {
    let town = Town::start(&[]).await;
    for piece in [Vec::new(), [0x00, 0x01, b'x', 0x01, b'y'].repeat(1000)] {
        let mut attacker = Attacker::connect(&town.serving.grpc).await;
        attacker.send(&frame(HEADERS, 0, 1, &call_head(PATH))).await.unwrap();
        let (end, sent) = attacker.flood(ENDLESS, move |_| frame(CONTINUATION, 0, 1, &piece)).await;
        assert_eq!(end, End::Goodbye(ENHANCE_YOUR_CALM), "after {sent}");
        assert!(sent < ENDLESS);
    }
    town.stands().await;
}

/// CVE-2019-9518: frames that say nothing.
#[tokio::test]
async fn empty_data() {
    let town = Town::start(&[]).await;
    let mut attacker = Attacker::connect(&town.serving.grpc).await;
    attacker.send(&frame(HEADERS, END_HEADERS, 1, &call_head(PATH))).await.unwrap();
    let (end, sent) = attacker.flood(ENDLESS, |_| frame(DATA, 0, 1, &[])).await;
    assert_eq!(end, End::Goodbye(ENHANCE_YOUR_CALM), "after {sent}");
    assert!(sent < ENDLESS);
    town.stands().await;
}

/// CVE-2019-9512 and CVE-2019-9515: each of them asks for an answer.
#[tokio::test]
async fn pings_and_settings() {
    let town = Town::start(&[]).await;
    for kind in [PING, SETTINGS] {
        let payload = if kind == PING { vec![0; 8] } else { Vec::new() };
        let attacker = Attacker::connect(&town.serving.grpc).await;
        let (end, sent) = attacker.flood(ENDLESS, move |_| frame(kind, 0, 0, &payload)).await;
        assert_eq!(end, End::Goodbye(NO_ERROR), "{kind} after {sent}");
        assert!(sent < ENDLESS);
    }
    town.stands().await;
}

/// They ask for nothing, and bring nothing on: what a stream weighs, which nobody goes by any more,
/// and what is no frame of HTTP/2.
#[tokio::test]
async fn priorities_and_frames_of_unknown_types() {
    const PRIORITY_UPDATE: u8 = 0x10;
    let town = Town::start(&[]).await;
    for (kind, on, payload) in
        [(PRIORITY, 1, vec![0; 5]), (PRIORITY_UPDATE, 0, vec![0; 4]), (0xfe, 0, vec![])]
    {
        let attacker = Attacker::connect(&town.serving.grpc).await;
        let (end, sent) = attacker.flood(ENDLESS, move |_| frame(kind, 0, on, &payload)).await;
        assert_eq!(end, End::Goodbye(NO_ERROR), "{kind} after {sent}");
        assert!(sent < ENDLESS);
    }
    town.stands().await;
}

/// Beyond the limit streams are refused one by one; the connection goes on.
#[tokio::test]
async fn more_streams_than_the_connection_has() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let town = Town::start(&[]).await;
    let mut attacker = Attacker::connect(&town.serving.grpc).await;
    let settings = loop {
        let frame = attacker.receive().await.unwrap();
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            break frame.payload;
        }
    };
    let of = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
    let limit = settings.chunks(6).find(|pair| of(pair) == MAX_CONCURRENT_STREAMS).unwrap();
    assert_eq!(limit[2..], 1024_u32.to_be_bytes());
    // Until it is agreed to, it does not hold.
    attacker.send(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
    // Calls that do not end, as their messages do not come, all at once.
    let head = call_head(PATH);
    let open = |number| frame(HEADERS, END_HEADERS, stream(number), &head);
    let mut bytes: Vec<u8> = (0..1800).flat_map(open).collect();
    bytes.extend(frame(PING, 0, 0, b"alive???"));
    attacker.send(&bytes).await.unwrap();
    let mut refused = 0;
    loop {
        let frame = soon(attacker.receive()).await.expect("the connection goes on");
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        if frame.kind == RST_STREAM && frame.code() == REFUSED_STREAM {
            refused += 1;
        }
        if frame.kind == PING && frame.payload == b"alive???" {
            break;
        }
    }
    assert!(refused > 0);
    drop(attacker);
    town.stands().await;
}

/// A part of a message, in far more calls than there is room for. Those of the connections that
/// have most are given up: an honest caller whose message takes its time is none of them. What the
/// first such messages add to the memory is what a process at work has; those that follow add no
/// more.
#[tokio::test]
async fn messages_that_never_end_take_bounded_memory() {
    let mut town = Town::start(&[]).await;
    let mut slow = Attacker::connect(&town.serving.grpc).await;
    slow.send(&frame(HEADERS, END_HEADERS, 1, &call_head(PATH))).await.unwrap();
    alive(&mut slow).await;
    let flood = leave_messages_unfinished(&town).await;
    slow.send(&frame(DATA, END_STREAM, 1, &[0; 5])).await.unwrap();
    loop {
        let frame = soon(slow.receive()).await.expect("the connection goes on");
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        if frame.kind == DATA {
            break;
        }
        let is_refused = frame.kind == HEADERS && frame.flags & END_STREAM != 0;
        assert!(!is_refused, "the slow one is given up");
    }
    drop((slow, flood));
    for _ in 0..12 {
        leave_messages_unfinished(&town).await;
    }
    town.remember_memory();
    // Held open, as what was given up must be gone while the connection is not.
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(leave_messages_unfinished(&town).await);
    }
    town.stands().await;
}

/// Whatever was sent has been read.
async fn alive(attacker: &mut Attacker) {
    attacker.send(&frame(PING, 0, 0, b"alive???")).await.unwrap();
    loop {
        let frame = soon(attacker.receive()).await.expect("the connection goes on");
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        if frame.kind == PING && frame.payload == b"alive???" {
            return;
        }
    }
}

/// The same to health and reflection, whose messages are names, over many connections: whole
/// messages would be 60 MB.
#[tokio::test]
async fn unfinished_requests_of_health_and_reflection_take_bounded_memory() {
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let town = Town::start(&[]).await;
        let head = call_head(path);
        let mut held = Vec::new();
        for _ in 0..64 {
            let mut attacker = Attacker::connect(&town.serving.grpc).await;
            while attacker.receive().await.unwrap().kind != WINDOW_UPDATE {}
            for number in 0..16 {
                let mut bytes = frame(HEADERS, END_HEADERS, stream(number), &head);
                bytes.extend(frame(DATA, 0, stream(number), &[0, 0, 0, 0xff, 0xff]));
                for _ in 0..4 {
                    bytes.extend(frame(DATA, 0, stream(number), &[0; 15_000]));
                }
                attacker.send(&bytes).await.unwrap();
            }
            alive(&mut attacker).await;
            held.push(attacker);
        }
        town.stands().await;
    }
}

async fn leave_messages_unfinished(town: &Town) -> Attacker {
    let head = call_head(PATH);
    let part = [&[0, 0, 0, 0xff, 0xff], vec![0; 512].as_slice()].concat();
    let mut attacker = Attacker::connect(&town.serving.grpc).await;
    // Before that there is room for less than is sent here.
    while attacker.receive().await.unwrap().kind != WINDOW_UPDATE {}
    for number in 0..1000 {
        let mut bytes = frame(HEADERS, END_HEADERS, stream(number), &head);
        bytes.extend(frame(DATA, 0, stream(number), &part));
        attacker.send(&bytes).await.unwrap();
    }
    // At least those beyond the places for 256 have been answered.
    let mut given_up = 0;
    while given_up < 1000 - 256 {
        let frame = soon(attacker.receive()).await.expect("the connection goes on");
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        given_up += u32::from(frame.kind == HEADERS);
    }
    attacker
}
