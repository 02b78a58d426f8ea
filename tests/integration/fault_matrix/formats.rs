//! Releases that write different record formats, at work on one store. The one that writes format
//! 2 also adds the field `later` to each record that it writes, with the state in which it wrote
//! it first.

use tonic::Code;

use super::lab::Lab;
use super::sidecar::Launch;
use super::told::order;

/// A release that writes this format.
fn writing<'a>(lab: &'a Lab, format: &str) -> Launch<'a> {
    lab.sidecar().variable("SIDECAR_RECORD_FORMAT", format)
}

/// The field that only the newer release knows, as the store has it.
async fn later(lab: &Lab, reference: &str) -> Option<String> {
    for key in lab.redis().ask::<Vec<String>>(&["KEYS", "*:r:*"]).await {
        let fields = ["HMGET", &key, "reference", "later"];
        let [of, later]: [Option<String>; 2] = lab.redis().ask(&fields).await;
        if of.as_deref() == Some(reference) {
            return later;
        }
    }
    panic!("no record of {reference}")
}

/// Three processes at one payment: the first dies before it sends, the second before it stores
/// the answer, the third ends it. With each release, what the store then holds of the field.
async fn hand_over(hands: [(&str, Option<&str>); 3]) {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let order = order("order-1");
    for ((release, field), point) in hands.into_iter().zip(["before_send", "after_answer"]) {
        let launch = writing(&lab, release).failpoint(&format!("{point}:kill"));
        let mut dies = launch.start().await;
        dies.charge(&order).await.is_cut_off();
        dies.ended().await;
        assert_eq!(later(&lab, "order-1").await.as_deref(), field, "{release} {point}");
    }
    let (release, field) = hands[2];
    let told = writing(&lab, release).start().await.charge(&order).await;
    told.is_paid("RECOVERED");
    assert_eq!(later(&lab, "order-1").await.as_deref(), field);
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

#[tokio::test]
async fn what_only_the_newer_release_knows_survives_the_older_one_that_ends_it() {
    hand_over([("1", None), ("2", Some("UNKNOWN")), ("1", Some("UNKNOWN"))]).await;
}

#[tokio::test]
async fn what_only_the_newer_release_knows_comes_back_to_it_through_an_older_one() {
    hand_over([("2", Some("SENT")), ("1", Some("SENT")), ("2", Some("SENT"))]).await;
}

/// What one release began, the other ends, at every stage; `fields` is what the store then holds
/// of the field.
async fn finish_each_others_keys(begins: &str, ends: &str, fields: [Option<&str>; 3]) {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let stages =
        [("before_send", "DIRECT"), ("after_answer", "RECOVERED"), ("after_complete", "REPLAYED")];
    let second = writing(&lab, ends).start().await;
    for (point, path) in stages {
        let launch = writing(&lab, begins).failpoint(&format!("{point}:kill"));
        let mut first = launch.start().await;
        first.charge(&order(point)).await.is_cut_off();
        first.ended().await;
        let told = second.charge(&order(point)).await;
        told.is_paid(path);
        lab.agrees(point, 1, &[&told]);
        assert_eq!(lab.posts(point), 1);
    }
    // And the first release reads what the second ended.
    let first = writing(&lab, begins).start().await;
    for ((point, _), field) in stages.into_iter().zip(fields) {
        let told = first.charge(&order(point)).await;
        told.is_paid("REPLAYED");
        lab.agrees(point, 1, &[&told]);
        assert_eq!(later(&lab, point).await.as_deref(), field, "{point}");
    }
}

#[tokio::test]
async fn a_roll_back_finishes_what_the_newer_release_began() {
    finish_each_others_keys("2", "1", [Some("SENT"); 3]).await;
}

#[tokio::test]
async fn an_upgrade_finishes_what_the_older_release_began() {
    // The newer release that only replays a record writes nothing.
    let fields = [Some("UNKNOWN"), Some("UNKNOWN"), None];
    finish_each_others_keys("1", "2", fields).await;
}

#[tokio::test]
async fn a_record_of_a_format_that_is_not_understood_fails_closed() {
    let lab = Lab::start().await;
    let old = lab.sidecar().start().await;
    let new = writing(&lab, "3").start().await;
    let done = new.charge(&order("done")).await;
    done.is_paid("DIRECT");
    let mut dies = writing(&lab, "3").failpoint("after_answer:kill").start().await;
    dies.charge(&order("begun")).await.is_cut_off();
    dies.ended().await;
    Lab::a_lease_passes().await;
    for reference in ["done", "begun"] {
        let told = old.charge(&order(reference)).await;
        told.is_fault(Code::Unavailable, "RECORD_TOO_NEW", "unknown");
        assert_eq!(told.fault().sent, "false");
        assert_eq!((lab.posts(reference), lab.look_ups(reference)), (1, 0));
    }
    let found = new.charge(&order("begun")).await;
    found.is_paid("RECOVERED");
    lab.agrees("begun", 1, &[&found]);
}
