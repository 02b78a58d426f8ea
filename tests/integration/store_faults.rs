//! Servers that cannot or must not be used, and what a step then says.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::RedisStore;
use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, Lookup, NotReady, PendingKind, PendingPage, PendingStats, Renew,
    RenewAnswer, Store, StoreError,
};

use crate::support::payment::{charge, fence, outcome};
use crate::support::redis::{Program, Server, free_port, open, settings};

/// Short, as these steps are to fail.
const STEP: Duration = Duration::from_millis(300);

fn hasty(url: &str) -> RedisStore {
    let mut settings = settings(url, "default", Format::default());
    settings.step_timeout = STEP;
    RedisStore::new(settings)
}

#[tokio::test]
async fn a_server_that_is_not_there_was_not_asked() {
    let store = hasty(&format!("redis://127.0.0.1:{}", free_port()));
    let error = store.claim(&charge("key", "order-1").claim(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    assert!(!error.may_be_applied());
}

#[tokio::test]
async fn a_server_that_hangs_may_have_applied_the_step() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = hasty(&server.url());
    let claim = charge("key", "order-1").claim(1);
    store.read(&Lookup::Digest(claim.subject.digest)).await.unwrap();
    server.signal("STOP").await;
    let error = store.claim(&claim).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut(300)), "{error:?}");
    assert!(error.may_be_applied());
    server.signal("CONT").await;
    // It had been, and its owner is told so.
    let again = store.claim(&claim).await.unwrap().answer;
    assert!(matches!(again, ClaimAnswer::Run { epoch: 1, .. }), "{again:?}");
}

#[tokio::test]
async fn a_server_out_of_memory_takes_no_claim_and_no_half_of_one() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = hasty(&server.url());
    let (paid, new) = (charge("paid", "order-1"), charge("new", "order-2"));
    store.claim(&paid.claim(1)).await.unwrap();
    let before = store.pending_stats().await.unwrap().answer;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = store.claim(&new.claim(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(it) if it.code() == Some("OOM")), "{error:?}");
    assert!(!error.may_be_applied());
    let evidence = paid.evidence(1, 1, outcome(Class::Succeeded, "chg_1", 1));
    let error = store.complete(&evidence).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    assert_eq!(store.pending_stats().await.unwrap().answer, before);
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let lookup = Lookup::Digest(new.subject.digest);
    assert_eq!(store.read(&lookup).await.unwrap().answer, None);
    store.complete(&evidence).await.unwrap();
}

#[tokio::test]
async fn an_evicting_server_is_not_ready() {
    let server = Server::start(Program::Redis, &["--maxmemory-policy", "allkeys-lru"]).await;
    let store = hasty(&server.url());
    let faults = store.readiness(&[]).await.unwrap();
    assert_eq!(faults, [NotReady::Evicts("allkeys-lru".to_owned())]);
    server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    assert_eq!(store.readiness(&[]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_replica_is_refused_when_connecting() {
    let port = free_port().to_string();
    let server = Server::start(Program::Redis, &["--replicaof", "127.0.0.1", &port]).await;
    let claimed = hasty(&server.url()).claim(&charge("key", "order-1").claim(1)).await;
    let error = claimed.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused(it) if it.text().contains("not a master")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_master_that_became_a_replica_under_a_connection_says_nothing() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = hasty(&server.url());
    store.claim(&charge("key", "order-1").claim(1)).await.unwrap();
    let port = free_port().to_string();
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    // A refusal would write nothing, so only the script itself can tell.
    let refused = store.claim(&charge("new", "order-2").refused(2)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_master_that_was_a_replica_for_a_while_looks_up_first() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = hasty(&server.url());
    store.init().await.unwrap();
    let clean = store.claim(&charge("one", "order-1").claim(1)).await.unwrap().answer;
    assert!(matches!(clean, ClaimAnswer::Run { look_up_first: false, .. }), "{clean:?}");
    // The connection stays up all the time, and the run id is the same.
    let port = free_port().to_string();
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    let after = store.claim(&charge("two", "order-2").claim(1)).await.unwrap().answer;
    assert!(matches!(after, ClaimAnswer::Run { look_up_first: true, .. }), "{after:?}");
}

/// Answers everything as a master does that is still reading its data.
pub(crate) async fn loading_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 65_536];
                while let Ok(length @ 1..) = socket.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let commands = text.matches("CLIENT").count();
                    let answer = if text.contains("ROLE") {
                        "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n".to_owned()
                    } else if commands > 0 {
                        "+OK\r\n".repeat(commands)
                    } else {
                        "-LOADING Redis is loading the dataset in memory\r\n".to_owned()
                    };
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_loading_server_is_refused() {
    let store = hasty(&format!("redis://127.0.0.1:{}", loading_server().await));
    let error = store.claim(&charge("key", "order-1").claim(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused(it) if it.code() == Some("LOADING")), "{error:?}");
    assert!(!error.may_be_applied());
}

#[tokio::test]
async fn a_forgotten_record_leaves_the_indices_when_it_is_met() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    let payment = charge("key", "order-1").retention_ms(0);
    store.claim(&payment.claim(1)).await.unwrap();
    let mut rejected = payment.doubt(1, 1);
    rejected.expires = true;
    store.doubt(&rejected).await.unwrap();
    let page = PendingPage { kind: PendingKind::Due, offset: 0, limit: 10 };
    assert_eq!(store.pending(page).await.unwrap().answer, []);
    // The store was not declared new: as far as anybody knows, it has lost what it held.
    let stats = store.pending_stats().await.unwrap().answer;
    let lost_at_ms = stats.lost_at_ms;
    assert_eq!(stats, PendingStats { lost_at_ms, ..PendingStats::default() });
    assert!(lost_at_ms.is_some());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_no_other() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    let due = async |kind, limit| {
        let page = PendingPage { kind, offset: 0, limit };
        let records = store.pending(page).await.unwrap().answer;
        records.into_iter().map(|it| it.subject.reference.unwrap().to_string()).collect::<Vec<_>>()
    };
    for (reference, due_at) in [("newer", "1"), ("no-hash", "2"), ("good", "3")] {
        let payment = charge(reference, reference).lease_ms(0);
        store.claim(&payment.claim(1)).await.unwrap();
        let digest = payment.subject.digest.to_string();
        server.ask::<()>(&["ZADD", "{zs:default:simulated}:due", due_at, &digest]).await;
    }
    let name = |key| format!("{{zs:default:simulated}}:r:{}", charge(key, key).subject.digest);
    server.ask::<()>(&["HSET", &name("newer"), "v", "3", "state", "PARKED"]).await;
    server.ask::<()>(&["SET", &name("no-hash"), "text"]).await;
    assert_eq!(due(PendingKind::All, 10).await, ["good"]);
    // One after the other they make way, and none of them is lost.
    assert_eq!(due(PendingKind::Due, 2).await, Vec::<String>::new());
    assert_eq!(due(PendingKind::Due, 2).await, ["good"]);
    assert_eq!(store.pending_stats().await.unwrap().answer.unresolved, 3);
}

#[tokio::test]
async fn an_owner_from_before_a_failover_does_not_renew() {
    let server = Server::start(Program::Redis, &[]).await;
    let store = open(&server.url(), "default");
    store.init().await.unwrap();
    let payment = charge("key", "order-1");
    store.claim(&payment.claim(1)).await.unwrap();
    let renew = Renew {
        digest: payment.subject.digest,
        fence: fence(1, 1),
        lease_ms: payment.periods.lease_ms,
    };
    assert_eq!(store.renew(&renew).await.unwrap().answer, RenewAnswer::Renewed);
    let port = free_port().to_string();
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(store.renew(&renew).await.unwrap().answer, RenewAnswer::Lost);
    // Another claim has met the store's new life since; what that one lost is lost all the same.
    store.claim(&charge("new", "order-2").claim(2)).await.unwrap();
    assert_eq!(store.renew(&renew).await.unwrap().answer, RenewAnswer::Lost);
}
