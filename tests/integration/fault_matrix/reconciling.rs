//! The background look-ups as a process of their own: they find what others left, and can be
//! watched.

use std::os::unix::process::ExitStatusExt as _;

use super::lab::Lab;
use super::told::order;
use crate::support::process::get;

#[tokio::test]
async fn what_a_dead_sidecar_left_is_found_counted_and_shown() {
    let lab = Lab::start().await;
    // The leader's lease is three times this, and outlives it.
    let sidecar = || lab.sidecar().flag("--reconcile-seconds", "1");
    let mut first = sidecar().failpoint("after_answer:kill").start().await;
    first.charge(&order("order-1")).await.is_cut_off();
    assert_eq!(first.ended().await.signal(), Some(9));
    let reconciler = sidecar().reconcile().await;
    assert_eq!(get(&reconciler.admin, "/livez").await.0, 200);
    assert_eq!(get(&reconciler.admin, "/readyz").await.0, 200);
    reconciler.said("\"resolved_now\":1").await;
    let (_, text) = get(&reconciler.admin, "/metrics").await;
    for line in [
        "zentra_sidecar_recoveries_total{operation=\"charge\"} 1\n",
        "zentra_sidecar_payments_unknown 0\n",
        "zentra_sidecar_account_info{account=\"default\",environment=\"simulated\"} 1\n",
        "zentra_sidecar_ready 1\n",
        "zentra_sidecar_zentra_key_info",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    assert!(!text.contains("zentra_sidecar_call_places_free"), "it takes no calls:\n{text}");
    assert!(reconciler.end().await.success());
    assert_eq!((lab.charges("order-1"), lab.posts("order-1")), (1, 1));
}
