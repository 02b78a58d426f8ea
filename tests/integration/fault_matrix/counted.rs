//! What a real sidecar has counted after events that are known one by one.

use super::answers::status;
use super::lab::{Lab, token};
use super::metrics::shown;
use super::sidecar::Sidecar;
use super::store_faults::lock;
use super::told::order;
use crate::support::requests::DECLINED_CARD;
use zentra_sidecar::simulator::Action;

/// The counts of a metric that are not zero, by their labels.
fn counts(text: &str, metric: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
    let counted = lines.filter(|it| it.starts_with(['{', ' ']) && !it.ends_with(" 0"));
    counted.map(|it| it.trim_start().to_owned()).collect()
}

/// A payment, a duplicate that waits for it, and a retry.
async fn paid_once(lab: &Lab, sidecar: &Sidecar) {
    let order = order("order-1");
    let (paid, duplicate) = tokio::join!(sidecar.charge(&order), async {
        sidecar.reached("after_answer").await;
        tokio::join!(sidecar.charge(&order), async {
            let listens = async || {
                let words = ["PUBSUB", "NUMSUB", "{zs:default:simulated}:ends"];
                lab.redis().ask::<(String, u32)>(&words).await.1 > 0
            };
            while !listens().await {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            sidecar.release().await;
        })
        .0
    });
    paid.is_paid("DIRECT");
    duplicate.is_paid("REPLAYED");
    sidecar.charge(&order).await.is_paid("REPLAYED");
}

/// One whose outcome the store does not take.
async fn not_stored(lab: &mut Lab, sidecar: &Sidecar) {
    let order = order("order-5");
    let (told, ()) = tokio::join!(sidecar.charge(&order), async {
        sidecar.reached("before_send").await;
        lock(lab).await;
        sidecar.release().await;
    });
    told.is_paid("DIRECT");
}

#[tokio::test]
async fn each_event_counts_where_it_belongs_and_once() {
    let mut lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let launch = lab.sidecar().flag("--lease-seconds", "30").flag("--store-timeout-ms", "2000");
    let launch = launch.flag("--attempt-timeout-seconds", "1");
    // The first answer, and the sixth POST.
    let launch = launch.failpoint("after_answer:wait,before_send:wait:6");
    let mut sidecar = launch.start().await;
    paid_once(&lab, &sidecar).await;
    // One that is sent twice, one that is found, and one that is declined.
    lab.next_post("order-2", status(503, None, false));
    sidecar.charge(&order("order-2")).await.is_paid("DIRECT");
    lab.next_post("order-3", Action::AnswerLost { close_after: None });
    sidecar.charge(&order("order-3")).await.is_paid("RECOVERED");
    let good = std::mem::replace(&mut sidecar.token, token(&lab.zentra, DECLINED_CARD).await);
    assert_eq!(sidecar.charge(&order("order-4")).await.outcome().status, "FAILED");
    sidecar.token = good;
    not_stored(&mut lab, &sidecar).await;

    let text = shown(&sidecar).await;
    let charges = "operation=\"charge\"";
    for (metric, wanted) in [
        ("duplicates_waited_total", vec![format!("{{{charges}}} 1")]),
        ("replays_total", vec![format!("{{{charges}}} 2")]),
        ("recoveries_total", vec![format!("{{{charges}}} 1")]),
        ("outcomes_not_stored_total", vec![format!("{{{charges}}} 1")]),
        ("retries_total", vec!["1".to_owned()]),
        (
            "payments_total",
            vec![
                format!("{{{charges},status=\"FAILED\"}} 1"),
                format!("{{{charges},status=\"SUCCEEDED\"}} 6"),
            ],
        ),
        (
            "payments_ended_total",
            vec![
                format!("{{{charges},status=\"FAILED\"}} 1"),
                format!("{{{charges},status=\"SUCCEEDED\"}} 3"),
            ],
        ),
        ("money_moved_minor_total", vec![format!("{{currency=\"NGN\",{charges}}} 3000")]),
        ("call_errors_total", vec![]),
        ("calls_refused_total", vec![]),
    ] {
        assert_eq!(counts(&text, &format!("zentra_sidecar_{metric}")), wanted, "{metric}");
    }
    // Each try, what it came to, and how often.
    let tries = counts(&text, "http_client_request_duration_seconds_count");
    let posts = tries.iter().filter(|it| it.contains("http_request_method=\"POST\""));
    let label = |line: &str, name: &str| -> String {
        let value = line.split(&format!("{name}=\"")).nth(1);
        value.map_or_else(String::new, |it| it.split('"').next().unwrap().to_owned())
    };
    let mut posts: Vec<_> = posts
        .map(|line| {
            let status = label(line, "http_response_status_code");
            let count = line.rsplit(' ').next().unwrap();
            format!("{status} {} {count}", label(line, "error_type"))
        })
        .collect();
    posts.sort();
    assert_eq!(posts, [" timeout 1", "201  4", "503 503 1"], "{tries:#?}");
}
