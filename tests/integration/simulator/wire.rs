use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::*;

/// Sends a charge over a bare connection and reads what comes back.
async fn bare(bench: &Bench, reference: &str) -> std::io::Result<Vec<u8>> {
    let request = bench.charge(reference, GOOD_CARD).await.build().unwrap();
    let body = request.body().and_then(|body| body.as_bytes()).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        request.url().path(),
        body.len(),
    );
    let mut stream = TcpStream::connect(bench.simulator.local_addr()).await?;
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_reset_before_the_effect_is_a_reset_and_leaves_nothing() {
    let bench = Bench::new().await;
    bench.simulator.inject(Fault::on(Route::CreateCharge, Action::ResetBefore));
    let error = bare(&bench, "r").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bench.charges(), 0);
}

#[tokio::test]
async fn a_reset_after_the_effect_is_a_reset_and_leaves_a_charge() {
    let bench = Bench::new().await;
    bench.simulator.inject(Fault::on(Route::CreateCharge, Action::ResetAfter));
    let error = bare(&bench, "r").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bench.charges(), 1);
}

#[tokio::test]
async fn a_lost_answer_can_close_the_connection_silently() {
    let bench = Bench::new().await;
    let close_after = Some(Duration::ZERO);
    bench.simulator.inject(Fault::on(Route::CreateCharge, Action::AnswerLost { close_after }));
    assert_eq!(bare(&bench, "r").await.unwrap(), b"");
    assert_eq!(bench.charges(), 1);
}

#[tokio::test]
async fn a_lost_answer_can_last_until_the_client_gives_up() {
    let bench = Bench::new().await;
    let lost = Action::AnswerLost { close_after: None };
    bench.simulator.inject(Fault::on(Route::CreateCharge, lost));
    let charge = bench.charge("r", GOOD_CARD).await.timeout(Duration::from_millis(200));
    assert!(charge.send().await.unwrap_err().is_timeout());
    assert_eq!(bench.charges(), 1);
}

#[tokio::test]
async fn a_late_effect_lands_when_the_clock_is_moved() {
    let bench = Bench::new().await;
    let after = Duration::from_mins(5);
    let late = Action::LateEffect { after, status: Some(503), lock: false };
    bench.simulator.inject(Fault::on(Route::CreateCharge, late));
    let charge = bench.charge("r", GOOD_CARD).await;
    assert_eq!(bench.answer(charge).await.0, 503);
    bench.simulator.advance(Duration::from_mins(4));
    assert_eq!(bench.charges(), 0);
    bench.simulator.advance(Duration::from_mins(1));
    assert_eq!(bench.charges(), 1);
}

#[tokio::test]
async fn a_truncated_body_is_seen_as_broken_and_its_start_arrives() {
    let bench = Bench::new().await;
    bench.simulator.inject(Fault::on(Route::CreateCharge, Action::Truncated { keep: Some(10) }));
    let mut response = bench.charge("r", GOOD_CARD).await.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.chunk().await.unwrap().unwrap().len(), 10);
    assert!(response.chunk().await.is_err());
    assert_eq!(bench.charges(), 1);
}

#[tokio::test]
async fn a_huge_body_has_its_size() {
    let bench = Bench::new().await;
    let bytes = 50 * 1024 * 1024;
    bench.simulator.inject(Fault::on(Route::CreateCharge, Action::Huge { bytes }));
    let mut response = bench.charge("r", GOOD_CARD).await.send().await.unwrap();
    assert_eq!(response.content_length(), Some(bytes));
    let mut read = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        read += chunk.len() as u64;
    }
    assert_eq!(read, bytes);
}

#[tokio::test]
async fn a_huge_body_is_valid_json() {
    let bench = Bench::new().await;
    bench.simulator.inject(Fault::on(Route::ListCharges, Action::Huge { bytes: 100_000 }));
    let url = format!("{}/api/v1/payments/charges", bench.simulator.url());
    let (_, body) = bench.answer(bench.client.get(url).bearer_auth(KEY)).await;
    assert_eq!(body["success"], true);
}

#[tokio::test]
async fn a_redirect_names_its_location() {
    let bench = Bench::new().await;
    let location = "https://example.com/".to_owned();
    let redirect = Action::Redirect { status: 307, location, effect: false };
    bench.simulator.inject(Fault::on(Route::CreateCharge, redirect));
    let response = bench.charge("r", GOOD_CARD).await.send().await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], "https://example.com/");
    assert_eq!(bench.charges(), 0);
}

#[tokio::test]
async fn a_slow_answer_comes_early_when_the_clock_is_moved() {
    let bench = Bench::new().await;
    let charge = bench.charge("r", SLOW_CARD).await;
    let started = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(bench.answer(charge), async {
        bench.until_charges(1).await;
        bench.simulator.advance(Duration::from_secs(3));
    });
    assert_eq!(answer.0, 201);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_undo_its_charge() {
    let bench = Bench::new().await;
    let delay = Action::DelayBefore(Duration::from_hours(1));
    bench.simulator.inject(Fault::on(Route::CreateCharge, delay));
    let charge = bench.charge("r", GOOD_CARD).await;
    tokio::select! {
        answer = charge.send() => panic!("answered: {answer:?}"),
        // The token's POST, and the charge's.
        () = bench.until(|ledger| ledger.posts.len() == 2) => {}
    }
    assert_eq!(bench.charges(), 0);
    bench.simulator.advance(Duration::from_hours(1));
    bench.until_charges(1).await;
}

#[tokio::test]
async fn a_body_beyond_256_kib_is_refused() {
    let bench = Bench::new().await;
    let large = json!({"reason": "x".repeat(257 * 1024)});
    let (status, body) = bench.answer(bench.post("refunds", &large)).await;
    assert_eq!((status, &body["error"]["code"]), (413, &json!("validation_error")));
}

#[tokio::test]
async fn the_customers_page_completes_the_payment() {
    let bench = Bench::new().await;
    let (_, body) = bench.answer(bench.charge("r", "4000002500003155").await).await;
    let url = body["data"]["redirect_url"].as_str().unwrap();
    assert_eq!(bench.client.get(url).send().await.unwrap().status(), 200);
    assert_eq!(bench.simulator.ledger().charges[0].status, "successful");
}

#[tokio::test]
async fn after_a_shutdown_the_port_is_free() {
    let bench = Bench::new().await;
    let address = bench.simulator.local_addr();
    bench.token(GOOD_CARD).await;
    bench.simulator.shutdown().await;
    let listen = Options { listen: address, ..Options::default() };
    assert_eq!(Bench::with(listen).await.simulator.local_addr(), address);
}
