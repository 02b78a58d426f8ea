//! What a limit counts is its definition's: sidecars with the same one share a count, and another one
//! begins anew.

use tonic::Code;

use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::order;

/// A sidecar with a folder of its own that holds this limit.
async fn under(lab: &Lab, name: &str, limit: &str) -> Sidecar {
    let folder = lab.folder.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.cedar"), "permit(principal, action, resource);").unwrap();
    let limits =
        format!("[[limit]]\nname = \"all\"\nmeasure = \"count\"\nwindow = \"31d\"\n{limit}");
    std::fs::write(folder.join("limits.toml"), limits).unwrap();
    lab.sidecar().flag("--policy", &folder.display().to_string()).start().await
}

#[tokio::test]
async fn equal_definitions_share_a_count_and_a_changed_one_begins_anew() {
    let lab = Lab::start().await;
    let usual = "most = 1\nactions = [\"Charge\"]\nby = [\"caller\", \"customer\"]\n\
                 currencies = [\"NGN\", \"USD\"]";
    let one = under(&lab, "one", usual).await;
    one.charge(&order("order-1")).await.is_paid("DIRECT");
    // In another order, with another message, for another action too, and with another bound.
    let same = "most = 2\nactions = [\"Renew\", \"Charge\"]\nby = [\"customer\", \"caller\"]\n\
                currencies = [\"USD\", \"NGN\"]\nmessage = \"two are enough\"";
    let two = under(&lab, "two", same).await;
    two.charge(&order("order-2")).await.is_paid("DIRECT");
    let full = |told: super::told::Told| {
        told.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
    };
    full(two.charge(&order("order-3")).await);
    full(one.charge(&order("order-4")).await);
    let others = [
        ("by", usual.replace(", \"customer\"]", "]")),
        ("both-by", usual.replace("\"customer\"]", "\"token\"]")),
        ("currencies", usual.replace(", \"USD\"]", "]")),
        ("all-currencies", usual.replace("currencies = [\"NGN\", \"USD\"]", "")),
    ];
    for (name, limit) in others {
        let changed = under(&lab, name, &limit).await;
        changed.charge(&order(name)).await.is_paid("DIRECT");
        full(changed.charge(&order(&format!("{name}-2"))).await);
    }
}
