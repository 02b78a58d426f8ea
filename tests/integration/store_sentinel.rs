//! The contract behind Sentinel, and a failover that loses an acknowledged claim.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::RedisStore;
use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, CompleteAnswer, InitAnswer, ReleaseAnswer, Store, WhyKept,
};

use crate::store_contract::{Backend, tell_all};
use crate::support::payment::{charge, outcome};
use crate::support::redis::{Program, Server, settings};

pub(crate) struct Pair {
    pub(crate) master: Server,
    replica: Server,
    sentinel: Server,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let master = Server::start(Program::Redis, &[]).await;
        let port = master.port.to_string();
        let replica = Server::start(Program::Redis, &["--replicaof", "127.0.0.1", &port]).await;
        let sentinel = Server::sentinel(master.port).await;
        let pair = Self { master, replica, sentinel };
        pair.in_step().await;
        let knows_replica = async || {
            let replicas: Vec<redis::Value> =
                pair.sentinel.ask(&["SENTINEL", "replicas", "mymaster"]).await;
            !replicas.is_empty()
        };
        pair.sentinel.until("knows the replica", knows_replica).await;
        pair
    }

    /// Waits until the replica has all that the master acknowledged.
    pub(crate) async fn in_step(&self) {
        // WAIT tells of its own connection's writes only, and it has none.
        let sent = offset(&self.master, "master_repl_offset:").await;
        let in_step = async || {
            let text: String = self.replica.ask(&["INFO", "replication"]).await;
            let up = text.contains("master_link_status:up");
            up && offset(&self.replica, "slave_repl_offset:").await >= sent
        };
        self.replica.until("is in step", in_step).await;
    }

    /// From now on nothing reaches the replica; connections that stand go on.
    pub(crate) async fn cut_replication(&self) {
        let words = ["CONFIG", "SET", "requirepass", "nobody-knows"];
        self.master.ask::<()>(&words).await;
        let info = async || {
            let kill = ["CLIENT", "KILL", "TYPE", "replica"];
            let _gone: redis::RedisResult<()> = self.known_master().try_ask(&kill).await;
            let text: String = self.replica.ask(&["INFO", "replication"]).await;
            text.contains("master_link_status:down")
        };
        self.replica.until("lost its master", info).await;
    }

    fn known_master(&self) -> Known<'_> {
        Known(&self.master)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/mymaster", self.sentinel.port)
    }
}

/// The master, after its password changed.
struct Known<'a>(&'a Server);

impl Known<'_> {
    async fn try_ask(&self, words: &[&str]) -> redis::RedisResult<()> {
        let url = format!("redis://:nobody-knows@127.0.0.1:{}/", self.0.port);
        let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await
    }
}

/// How far a server is in its stream of writes.
async fn offset(server: &Server, name: &str) -> u64 {
    let text: String = server.ask(&["INFO", "replication"]).await;
    let number = text.lines().find_map(|line| line.strip_prefix(name));
    number.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

impl Backend for Pair {
    fn open<'a>(&'a self, account: &'a str, format: Format) -> BoxFuture<'a, Arc<dyn Store>> {
        let store = RedisStore::new(settings(&self.url(), account, format));
        async move { Arc::new(store) as Arc<dyn Store> }.boxed()
    }

    fn wipe(&self) -> BoxFuture<'_, ()> {
        async { self.master.ask(&["FLUSHALL"]).await }.boxed()
    }

    fn disturb<'a>(&'a self, _account: &'a str) -> BoxFuture<'a, ()> {
        async { self.master.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await }.boxed()
    }
}

#[tokio::test]
async fn a_sentinel_pair_keeps_the_contract() {
    tell_all(Arc::new(Pair::start().await)).await;
}

#[tokio::test]
async fn after_a_failover_that_lost_a_claim_look_ups_come_first() {
    let mut pair = Pair::start().await;
    let mut settings = settings(&pair.url(), "default", Format::default());
    settings.step_timeout = std::time::Duration::from_secs(20);
    let store = RedisStore::new(settings);
    assert_eq!(store.init().await, Ok(InitAnswer::Declared));
    let (kept, lost) = (charge("kept", "order-1"), charge("lost", "order-2"));
    store.claim(&kept.claim(1)).await.unwrap();
    pair.in_step().await;
    pair.cut_replication().await;
    let acknowledged = store.claim(&lost.claim(1)).await.unwrap().answer;
    assert!(
        matches!(acknowledged, ClaimAnswer::Run { look_up_first: false, .. }),
        "{acknowledged:?}"
    );
    pair.master.kill().await;

    let again = store.claim(&lost.claim(2)).await.unwrap().answer;
    assert!(matches!(again, ClaimAnswer::Run { epoch: 1, look_up_first: true, .. }), "{again:?}");
    // What was not lost counts as ambiguous too: a takeover of it may have been.
    let released = store.release(&kept.release(1, 1)).await.unwrap().answer;
    assert_eq!(released, ReleaseAnswer::NotReleased(WhyKept::Ambiguous));
    let nameless = kept.evidence(1, 1, outcome(Class::Failed, "", 1));
    let completed = store.complete(&nameless).await.unwrap().answer;
    assert!(matches!(completed, CompleteAnswer::NotProof { .. }), "{completed:?}");
    let refused = store.claim(&charge("new", "order-3").refused(3)).await.unwrap().answer;
    let look_ups_first = true;
    assert_eq!(refused, ClaimAnswer::Refused { look_ups_first });
}
