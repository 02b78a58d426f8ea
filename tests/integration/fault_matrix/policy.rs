//! A payment that exists beats every denial of the policy; and what the policy denies is never sent.

use std::path::{Path, PathBuf};

use tonic::Code;
use zentra_sidecar::grpc::proto;

use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::{Told, order};

const DENIED: &str = "POLICY_DENIED";
const OPEN: &str = "permit(principal, action, resource);";
const FREEZE: &str = r#"permit(principal, action, resource);
    @id("freeze") @message("payments are frozen")
    forbid(principal, action in [Action::"Charge", Action::"Refund"], resource);"#;

fn policy(lab: &Lab, rules: &str) -> PathBuf {
    let folder = lab.folder.path().join("policy");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("rules.cedar"), rules).unwrap();
    folder
}

async fn under(lab: &Lab, folder: &Path) -> Sidecar {
    lab.sidecar().flag("--policy", &folder.display().to_string()).start().await
}

/// A charge whose first sidecar ended at a point, and a second one under a freeze.
async fn charge_killed_at(lab: &Lab, point: &str) -> Sidecar {
    let folder = policy(lab, OPEN);
    let mut first = lab
        .sidecar()
        .flag("--policy", &folder.display().to_string())
        .failpoint(&format!("{point}:kill"))
        .start()
        .await;
    first.charge(&order("order-1")).await.is_cut_off();
    first.ended().await;
    under(lab, &policy(lab, FREEZE)).await
}

/// Row 33: it happened.
#[tokio::test]
async fn an_unknown_charge_is_found_though_the_policy_denies_a_new_one() {
    let lab = Lab::start().await;
    let frozen = charge_killed_at(&lab, "after_answer").await;
    let told = frozen.charge(&order("order-1")).await;
    told.is_paid("RECOVERED");
    // And again, from the store alone.
    frozen.charge(&order("order-1")).await.is_paid("REPLAYED");
    assert_eq!((lab.charges("order-1"), lab.posts("order-1")), (1, 1));
    frozen.charge(&order("order-2")).await.is_fault(Code::PermissionDenied, DENIED, "no");
    assert_eq!(lab.posts("order-2"), 0);
}

/// Row 33: it did not, but nobody can know that yet; and nothing is sent under the denial.
#[tokio::test]
async fn an_unknown_charge_that_is_not_found_is_not_sent_under_a_denial() {
    let lab = Lab::start().await;
    let frozen = charge_killed_at(&lab, "before_send").await;
    frozen.charge(&order("order-1")).await.is_unknown();
    assert_eq!(lab.posts("order-1"), 0);
    // The freeze is over: the same key makes the payment.
    under(&lab, &policy(&lab, OPEN)).await.charge(&order("order-1")).await.is_paid("DIRECT");
    assert_eq!(lab.charges("order-1"), 1);
}

/// Row 37.
#[tokio::test]
async fn after_a_store_loss_a_denial_says_unknown_and_never_no() {
    let lab = Lab::start().await;
    let sidecar = under(&lab, &policy(&lab, OPEN)).await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    let frozen = under(&lab, &policy(&lab, FREEZE)).await;
    frozen.charge(&order("order-2")).await.is_fault(Code::PermissionDenied, DENIED, "no");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    for reference in ["order-1", "order-2"] {
        let told = frozen.charge(&order(reference)).await;
        told.is_fault(Code::PermissionDenied, DENIED, "unknown");
    }
    assert_eq!((lab.posts("order-1"), lab.posts("order-2")), (1, 0));
}

/// The rule reaches the caller, the log and the audit log; reads are decided too, before anything
/// is sent; and a changed folder is in force without a restart, a broken one is not.
#[tokio::test]
async fn a_denial_names_its_rule_and_a_changed_folder_is_taken_while_serving() {
    let lab = Lab::start().await;
    let folder = policy(&lab, FREEZE);
    let (audit, log) = (lab.folder.path().join("audit"), lab.folder.path().join("log"));
    let flag = folder.display().to_string();
    let sidecar = lab.sidecar().flag("--policy", &flag).lines_to(&audit, &log).start().await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_fault(Code::PermissionDenied, DENIED, "no");
    let line = sidecar.said("\"rule_id\":\"freeze\"").await;
    assert!(line.contains("\"rule_message\":\"payments are frozen\""), "{line}");
    let reads = r#"permit(principal, action in Action::"Write", resource);"#;
    std::fs::write(folder.join("rules.cedar"), "permit(").unwrap();
    sidecar.said("the last good policy stays").await;
    sidecar.charge(&order("order-1")).await.is_fault(Code::PermissionDenied, DENIED, "no");
    std::fs::write(folder.join("rules.cedar"), reads).unwrap();
    sidecar.said("a new policy is in force").await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    let look_ups = lab.look_ups("order-1");
    let request = proto::VerifyRequest { reference: "order-1".to_owned(), wait: None };
    let status = sidecar.client.clone().verify(request).await.unwrap_err();
    let info = tonic_types::StatusExt::get_details_error_info(&status).unwrap();
    assert_eq!((status.code(), &*info.reason), (Code::PermissionDenied, DENIED));
    assert_eq!(info.metadata["rule_message"], "no rule permits shop/checkout to Verify");
    assert!(!info.metadata.contains_key("money_moved") && !info.metadata.contains_key("rule_id"));
    assert_eq!((info.metadata["policy_hash"].len(), lab.look_ups("order-1")), (64, look_ups));
}

/// Observed and on trial: told and counted, never enforced.
#[tokio::test]
async fn a_policy_that_observes_and_one_on_trial_refuse_nothing() {
    let lab = Lab::start().await;
    let folder = policy(&lab, FREEZE).display().to_string();
    let observing =
        lab.sidecar().flag("--policy", &folder).flag("--policy-mode", "observe").start().await;
    observing.charge(&order("order-1")).await.is_paid("DIRECT");
    observing.said("the policy would deny a call, and only observes").await;
    let open = lab.folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("rules.cedar"), OPEN).unwrap();
    let open = open.display().to_string();
    let trying =
        lab.sidecar().flag("--policy", &open).flag("--policy-candidate", &folder).start().await;
    trying.charge(&order("order-2")).await.is_paid("DIRECT");
    let line = trying.said("the policy on trial decides otherwise").await;
    assert!(line.contains("\"candidate_rule_id\":\"freeze\""), "{line}");
    let admin = trying.admin.trim_start_matches("http://");
    let (_, metrics) = crate::support::process::get(admin, "/metrics").await;
    let trial = r#"zentra_sidecar_policy_trials_total{action="Charge",candidate_effect="forbidden",effect="permitted"} 1"#;
    assert!(metrics.contains(trial), "{metrics}");
}

/// A full limit is told with its message; a repeat takes nothing, and gets its payment's truth; and
/// who observes takes nothing.
#[tokio::test]
async fn a_full_limit_refuses_new_payments_and_no_repeats() {
    let lab = Lab::start().await;
    let folder = policy(&lab, OPEN);
    let limits = "[[limit]]\nname = \"two-a-day\"\nmeasure = \"count\"\nmost = 2\nwindow = \"31d\"\n\
                  by = [\"caller\"]\nactions = [\"Charge\"]\nmessage = \"two are enough\"\n";
    std::fs::write(folder.join("limits.toml"), limits).unwrap();
    let sidecars = [under(&lab, &folder).await, under(&lab, &folder).await];
    for (number, sidecar) in sidecars.iter().enumerate() {
        let order = order(&format!("order-{number}"));
        sidecar.charge(&order).await.is_paid("DIRECT");
        sidecar.charge(&order).await.is_paid("REPLAYED");
    }
    let told = sidecars[0].charge(&order("order-2")).await;
    told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
    let line = sidecars[0].said("\"rule_id\":\"two-a-day\"").await;
    assert!(line.contains("\"rule_message\":\"two are enough\""), "{line}");
    assert_eq!(lab.posts("order-2"), 0);
    sidecars[1].charge(&order("order-0")).await.is_paid("REPLAYED");
}

/// Limits of a policy that observes and of one on trial refuse nothing, are told, and fill the limits
/// of those that enforce.
#[tokio::test]
async fn a_limit_that_is_not_enforced_is_counted_and_told() {
    let lab = Lab::start().await;
    let limit = |name: &str, most: u32| {
        format!(
            "[[limit]]\nname = \"{name}\"\nmeasure = \"count\"\nmost = {most}\nwindow = \
             \"31d\"\nby = [\"caller\"]\nactions = [\"Charge\"]\n"
        )
    };
    let folders =
        [("active", limit("in-force", 2)), ("candidate", limit("in-force", 1) + &limit("new", 1))]
            .map(|(name, limits)| {
                let folder = lab.folder.path().join(name);
                std::fs::create_dir(&folder).unwrap();
                std::fs::write(folder.join("rules.cedar"), OPEN).unwrap();
                std::fs::write(folder.join("limits.toml"), limits).unwrap();
                folder.display().to_string()
            });
    let [active, candidate] = &folders;
    let enforcing = lab.sidecar().flag("--policy", active).flag("--policy-candidate", candidate);
    let enforcing = enforcing.start().await;
    let over = async |sidecar: &Sidecar| {
        let admin = sidecar.admin.trim_start_matches("http://");
        let (_, metrics) = crate::support::process::get(admin, "/metrics").await;
        let is_over = |line: &&str| line.starts_with("zentra_sidecar_policy_limits_over_total");
        metrics.lines().filter(is_over).map(str::to_owned).collect::<Vec<_>>()
    };
    let told = |role, limit: &str, count| {
        let labels = format!(r#"limit="{limit}",operation="charge",role="{role}""#);
        format!("zentra_sidecar_policy_limits_over_total{{{labels}}} {count}")
    };
    enforcing.charge(&order("order-1")).await.is_paid("DIRECT");
    assert_eq!(over(&enforcing).await, [""; 0]);
    enforcing.charge(&order("order-2")).await.is_paid("DIRECT");
    let line = enforcing.said("a limit that is not enforced has no room for a payment").await;
    assert!(line.contains(r#""role":"candidate","limit":"in-force""#), "{line}");
    enforcing.said(r#""role":"candidate","limit":"new""#).await;
    let full = enforcing.charge(&order("order-3")).await;
    full.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
    // Told once, of the payment that both let pass.
    let both = [told("candidate", "in-force", 1), told("candidate", "new", 1)];
    assert_eq!(over(&enforcing).await, both);

    let observing = lab.sidecar().flag("--policy", active).flag("--policy-mode", "observe");
    let observing = observing.start().await;
    observing.charge(&order("order-3")).await.is_paid("DIRECT");
    observing.charge(&order("order-3")).await.is_paid("REPLAYED");
    assert_eq!(over(&observing).await, [told("active", "in-force", 1)]);
}

/// Rows 33 and 37 for limits: what was begun gets its truth, and after a loss nobody hears `no`.
#[tokio::test]
async fn an_unknown_charge_gets_its_truth_under_a_full_limit() {
    let lab = Lab::start().await;
    let folder = policy(&lab, OPEN);
    let limits = "[[limit]]\nname = \"two\"\nmeasure = \"count\"\nmost = 2\nwindow = \"31d\"\n\
                  by = [\"caller\"]\nactions = [\"Charge\"]\n";
    std::fs::write(folder.join("limits.toml"), limits).unwrap();
    let flag = folder.display().to_string();
    let launch = || lab.sidecar().flag("--policy", &flag).flag("--limits-after-loss", "deny");
    for (reference, point) in [("order-1", "after_answer"), ("order-2", "after_claim")] {
        let mut first = launch().failpoint(&format!("{point}:kill")).start().await;
        first.charge(&order(reference)).await.is_cut_off();
        first.ended().await;
    }
    let sidecar = launch().start().await;
    let full = |told: Told, moved| told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", moved);
    full(sidecar.charge(&order("order-3")).await, "no");
    Lab::a_lease_passes().await;
    sidecar.charge(&order("order-1")).await.is_paid("RECOVERED");
    sidecar.charge(&order("order-1")).await.is_paid("REPLAYED");
    // Its place in the limit is its own.
    sidecar.charge(&order("order-2")).await.is_paid("DIRECT");
    full(sidecar.charge(&order("order-3")).await, "no");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    for reference in ["order-1", "order-3"] {
        full(sidecar.charge(&order(reference)).await, "unknown");
    }
    let posts = ["order-1", "order-2", "order-3"].map(|reference| lab.posts(reference));
    assert_eq!(posts, [1, 1, 0]);
}

#[tokio::test]
async fn without_a_policy_a_sidecar_says_that_everything_is_allowed() {
    let lab = Lab::start().await;
    let line = lab.sidecar().start().await.said("there is no payment policy").await;
    assert!(line.contains("every caller may do everything") && line.contains("WARN"), "{line}");
}
