//! Sends the webhooks that are due, and lets time pass where no request comes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::core::Outgoing;
use super::shared::Shared;

/// Deliveries under way at once.
const MOST_AT_ONCE: usize = 16;
/// The time in which a receiver has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest sleep: a clock set forward from outside is noticed then.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// The client for deliveries: no redirects, no proxy.
pub(crate) fn client() -> io::Result<reqwest::Client> {
    // Another part of the process may have installed one already: either will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(ANSWER_WITHIN)
        .build()
        .map_err(io::Error::other)
}

/// Runs until the simulator stops.
pub(crate) async fn run(shared: Arc<Shared>, client: reqwest::Client) {
    let permits = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let work = async {
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else {
                return;
            };
            let (sent, next, now) =
                shared.quietly(|zentra, now| (zentra.next_webhook(now), zentra.next_due(), now));
            if let Some(outgoing) = sent {
                let (shared, client) = (shared.clone(), client.clone());
                shared.tasks.clone().spawn(async move {
                    deliver(&shared, &client, &outgoing).await;
                    drop(permit);
                });
                continue;
            }
            drop(permit);
            let wait = next.map_or(LONGEST_SLEEP, |due| {
                let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                wait.clamp(Duration::from_millis(1), LONGEST_SLEEP)
            });
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shared.due.notified() => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = shared.stop.cancelled() => {}
    }
}

async fn deliver(shared: &Shared, client: &reqwest::Client, outgoing: &Outgoing) {
    let request = client
        .post(&outgoing.url)
        .header("content-type", "application/json")
        .header("x-zentra-signature", &outgoing.signature)
        .body(outgoing.body.clone());
    let accepted = tokio::select! {
        answer = request.send() => answer.is_ok_and(|answer| answer.status().is_success()),
        () = shared.stop.cancelled() => return,
    };
    shared.with(|zentra, now| zentra.webhook_sent(now, outgoing, accepted));
}
