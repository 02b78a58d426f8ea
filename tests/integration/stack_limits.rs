//! What the gRPC stack itself refuses. The connection, and the calls of others on it, go on.

use tonic::{Code, Request};

use crate::support::raw::send;
use crate::support::requests::{self, GOOD_CARD};
use crate::support::rig::Rig;
use crate::support::sidecar::Sidecar;
use crate::support::stub::{Reply, Stub};

#[tokio::test]
async fn malformed_messages_are_internal_and_say_nothing_of_their_content() {
    let stub = Stub::always(Reply::new(500, "")).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    let channel = sidecar.channel().await;
    let card = |bytes: &[u8]| {
        // Tokenize's field 3, a card, with its field 1, a number that is no UTF-8.
        let number = [&[0x0a, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        [&[0x1a, u8::try_from(number.len()).unwrap()], &*number].concat()
    };
    let not_utf8 = [GOOD_CARD.as_bytes(), &[0xff, 0xfe]].concat();
    // A group in a group in a group, in a field that nobody knows.
    let deep = vec![0x7b; 200];
    for (name, message) in [
        ("no protobuf", b"hello, world".to_vec()),
        ("a field cut off", vec![0x0a, 0x7f, b'a']),
        ("a varint without an end", vec![0xff; 16]),
        ("a field number of 0", vec![0x00, 0x01]),
        ("another wire type", vec![0x08, 0x01]),
        ("a text that is no UTF-8", card(&not_utf8)),
        ("nested without an end", deep),
    ] {
        for rpc in ["Tokenize", "Charge", "Refund", "Verify", "ListTokens"] {
            if name == "a text that is no UTF-8" && rpc != "Tokenize" {
                continue;
            }
            let status = send(channel.clone(), rpc, message.clone()).await.unwrap_err();
            assert_eq!(status.code(), Code::Internal, "{name} to {rpc}: {status:?}");
            assert!(!format!("{status:?}").contains(GOOD_CARD), "{name} to {rpc}: {status:?}");
        }
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
    let good = send(channel, "Charge", Vec::new()).await.unwrap_err();
    assert_eq!(good.code(), Code::InvalidArgument, "the connection goes on");
}

#[tokio::test]
async fn a_message_beyond_64_kib_is_out_of_range_and_the_connection_goes_on() {
    let rig = Rig::start().await;
    let mut client = rig.client();
    let mut request = rig.charge_on(GOOD_CARD, "order-1").await;
    let good = request.clone();
    request.actor = "a".repeat(64 * 1024);
    let status = client.charge(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(rig.simulator.ledger().charges.is_empty());
    client.charge(good).await.unwrap();
}

#[tokio::test]
async fn metadata_beyond_16_kib_is_refused_and_the_connection_goes_on() {
    let rig = Rig::start().await;
    let channel = rig.sidecar.channel().await;
    let mut client = crate::support::sidecar::Client::new(channel);
    let mut request = Request::new(rig.charge_on(GOOD_CARD, "order-1").await);
    let good = request.get_ref().clone();
    let large = "a".repeat(20 * 1024).parse().unwrap();
    request.metadata_mut().insert("x-large", large);
    let status = client.charge(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown, "HTTP 431, which has no word in gRPC: {status:?}");
    assert!(rig.simulator.ledger().charges.is_empty());
    client.charge(good).await.unwrap();
}

#[tokio::test]
async fn what_the_contract_has_and_this_release_does_not_serve_is_unimplemented() {
    let stub = Stub::always(Reply::new(500, "")).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    let status = send(sidecar.channel().await, "Void", Vec::new()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let mut events = zentra_sidecar::grpc::proto::event_service_client::EventServiceClient::new(
        sidecar.channel().await,
    );
    let request = zentra_sidecar::grpc::proto::SubscribeRequest::default();
    assert_eq!(events.subscribe(request).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_call_without_its_optional_fields_is_a_call() {
    let stub = Stub::always(Reply::new(500, "")).await;
    let sidecar = Sidecar::start(&stub.url, &[]).await;
    // Unknown fields are a newer caller's, and are passed over.
    let message = [&[0x0a, 0x07][..], b"order-1", &[0xfa, 0x3f, 0x01, b'x']].concat();
    let status = send(sidecar.channel().await, "GetCharge", message).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "the stub's 500, so that it was asked");
    let expected = requests::get_charge("order-1").reference;
    assert!(stub.seen()[0].path.ends_with(&expected));
}
