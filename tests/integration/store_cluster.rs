//! The contract at a cluster of three nodes, while the account's slot moves.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard};
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::RedisStore;
use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, CompleteAnswer, CounterId, Evidence, ReleaseAnswer, Store, StoreError,
    Verdict, WhyKept,
};

use crate::store_contract::{Backend, tell_all};
use crate::support::payment::{Payment, charge, daily, outcome};
use crate::support::redis::{Program, Server, settings};

struct Cluster {
    nodes: Arc<Vec<Server>>,
    /// Held while a slot moves.
    moving: Arc<Mutex<()>>,
}

impl Cluster {
    async fn start() -> Self {
        let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "15000"];
        let mut nodes = Vec::new();
        for (from, to) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")] {
            let node = Server::start(Program::Redis, &settings).await;
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", from, to]).await;
            nodes.push(node);
        }
        for node in &nodes[1..] {
            let port = nodes[0].port.to_string();
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port]).await;
        }
        for node in &nodes {
            let is_up = async || {
                let text: String = node.ask(&["CLUSTER", "INFO"]).await;
                text.contains("cluster_state:ok") && text.contains("cluster_known_nodes:3")
            };
            node.until("joined the cluster", is_up).await;
        }
        Self { nodes: Arc::new(nodes), moving: Arc::default() }
    }

    /// The account's slot begins to move from one node to another; no key is gone yet.
    async fn begin_to_move(&self, account: &str) -> (String, (usize, usize)) {
        let key = format!("{{zs:{account}:simulated}}:canary");
        let slot: u32 = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", &key]).await;
        let slot = slot.to_string();
        let from = self.owner(&slot).await;
        let to = (from + 1) % 3;
        let id = |index: usize| self.nodes[index].ask::<String>(&["CLUSTER", "MYID"]);
        let (from_id, to_id) = (id(from).await, id(to).await);
        let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id];
        self.nodes[to].ask::<()>(&importing).await;
        let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id];
        self.nodes[from].ask::<()>(&migrating).await;
        (slot, (from, to))
    }

    /// The node that serves the slot by its own word.
    async fn owner(&self, slot: &str) -> usize {
        for (index, node) in self.nodes.iter().enumerate() {
            let answer = node.try_ask::<u64>(&["CLUSTER", "COUNTKEYSINSLOT", slot]).await;
            let text: String = node.ask(&["CLUSTER", "NODES"]).await;
            let own = text.lines().find(|line| line.contains("myself")).unwrap();
            let serves = own.split(' ').skip(8).any(|range| holds(range, slot));
            if answer.is_ok() && serves {
                return index;
            }
        }
        panic!("no node serves slot {slot}");
    }
}

fn holds(range: &str, slot: &str) -> bool {
    let slot: u32 = slot.parse().unwrap();
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    match (from.parse::<u32>(), to.parse::<u32>()) {
        (Ok(from), Ok(to)) => (from..=to).contains(&slot),
        _ => false,
    }
}

/// Moves one key of the slot; false where there is none left.
async fn move_key(from: &Server, to: &Server, slot: &str) -> bool {
    let keys: Vec<String> = from.ask(&["CLUSTER", "GETKEYSINSLOT", slot, "1"]).await;
    let Some(key) = keys.first() else {
        return false;
    };
    move_this(from, to, key).await;
    true
}

async fn move_this(from: &Server, to: &Server, key: &str) {
    let port = to.port.to_string();
    from.ask::<String>(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await;
}

async fn finish(
    nodes: Arc<Vec<Server>>,
    slot: String,
    (from, to): (usize, usize),
    _moving: OwnedMutexGuard<()>,
) {
    while move_key(&nodes[from], &nodes[to], &slot).await {}
    let id: String = nodes[to].ask(&["CLUSTER", "MYID"]).await;
    for index in [to, from, 3 - from - to] {
        nodes[index].ask::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]).await;
    }
}

impl Backend for Cluster {
    fn open<'a>(&'a self, account: &'a str, format: Format) -> BoxFuture<'a, Arc<dyn Store>> {
        let hosts: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let url = format!("redis+cluster://{}", hosts.join(","));
        let store = RedisStore::new(settings(&url, account, format));
        async move { Arc::new(store) as Arc<dyn Store> }.boxed()
    }

    fn wipe(&self) -> BoxFuture<'_, ()> {
        async {
            for node in self.nodes.iter() {
                node.ask::<()>(&["FLUSHALL"]).await;
            }
        }
        .boxed()
    }

    /// The account's slot begins to move: one key is gone already, the others go while the story
    /// takes its next steps.
    fn disturb<'a>(&'a self, account: &'a str) -> BoxFuture<'a, ()> {
        async move {
            let moving = Arc::clone(&self.moving).lock_owned().await;
            let (slot, (from, to)) = self.begin_to_move(account).await;
            move_key(&self.nodes[from], &self.nodes[to], &slot).await;
            tokio::spawn(finish(Arc::clone(&self.nodes), slot, (from, to), moving));
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_slots_move_keeps_the_contract() {
    tell_all(Arc::new(Cluster::start().await)).await;
}

/// What a step fails at while one key that it did not declare is with the other node, as those that it
/// declared are not; when all have moved, it is taken again.
async fn fails_while_this_is_gone<T>(
    cluster: &Cluster,
    name: &str,
    step: impl AsyncFn() -> Result<T, StoreError>,
) {
    let (slot, (from, to)) = cluster.begin_to_move("default").await;
    let key = format!("{{zs:default:simulated}}:{name}");
    move_this(&cluster.nodes[from], &cluster.nodes[to], &key).await;
    assert!(step().await.is_err(), "{name} was not missed");
    let moving = Arc::clone(&cluster.moving).lock_owned().await;
    finish(Arc::clone(&cluster.nodes), slot, (from, to), moving).await;
}

/// A step that cannot read a counter or the reference's entry has written nothing: what a record has
/// taken is given back with it, or stays with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_cannot_read_all_has_written_nothing() {
    let cluster = Cluster::start().await;
    let store = cluster.open("default", Format::default()).await;
    let taking = |number: u32, amount| {
        charge(&format!("key-{number}"), &format!("order-{number}")).takes(vec![daily(amount, 100)])
    };
    let runs = async |payment: &Payment, by| {
        let answer = store.claim(&payment.claim(by)).await.unwrap().answer;
        assert!(matches!(answer, ClaimAnswer::Run { .. }), "{answer:?}");
    };
    store.init().await.unwrap();
    let (refused, declined, contradicted) =
        (taking(1, 60), taking(2, 40), charge("other", "other").takes(Vec::new()));
    for (payment, by) in [(&refused, 1), (&declined, 2), (&contradicted, 3)] {
        runs(payment, by).await;
    }
    // With a conflict there is something under each key that the steps declare.
    let contrary = Verdict::Contradiction(outcome(Class::Succeeded, "chg_3", 1));
    let evidence = contradicted.evidence(3, 1, outcome(Class::Succeeded, "chg_3", 1));
    store.complete(&Evidence { verdict: contrary, ..evidence }).await.unwrap();
    store.doubt(&declined.doubt(2, 1)).await.unwrap();

    let counter = format!("l:{}", CounterId::new(["daily"]));
    let release = async || store.release(&refused.release(1, 1)).await;
    fails_while_this_is_gone(&cluster, &counter, release).await;
    // With another node the store has another life, in which nothing is forgotten: the payment keeps what
    // it has taken.
    let kept = ReleaseAnswer::NotReleased(WhyKept::Ambiguous);
    assert_eq!(release().await.unwrap().answer, kept);
    let observed = declined.observed(2, 1, outcome(Class::Failed, "chg_2", 1));
    let complete = async || store.complete(&observed).await;
    fails_while_this_is_gone(&cluster, "ref:charge:order-2", complete).await;
    let answer = complete().await.unwrap().answer;
    assert!(matches!(answer, CompleteAnswer::Stored { .. }), "{answer:?}");
    runs(&taking(4, 40), 4).await;
    let answer = store.claim(&taking(5, 1).claim(5)).await.unwrap().answer;
    assert!(matches!(answer, ClaimAnswer::Full { .. }), "{answer:?}");
}
