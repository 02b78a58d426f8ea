//! Releases that write different record formats, at work on one store.

use tonic::Code;

use super::lab::Lab;
use super::sidecar::Launch;
use super::told::order;

/// A release that writes this format.
fn writing<'a>(lab: &'a Lab, format: &str) -> Launch<'a> {
    lab.sidecar().variable("SIDECAR_RECORD_FORMAT", format)
}

/// What one release began, the other ends, at every stage.
async fn finish_each_others_keys(begins: &str, ends: &str) {
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
    for (point, _) in stages {
        let told = first.charge(&order(point)).await;
        told.is_paid("REPLAYED");
        lab.agrees(point, 1, &[&told]);
    }
}

#[tokio::test]
async fn a_roll_back_finishes_what_the_newer_release_began() {
    finish_each_others_keys("2", "1").await;
}

#[tokio::test]
async fn an_upgrade_finishes_what_the_older_release_began() {
    finish_each_others_keys("1", "2").await;
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
