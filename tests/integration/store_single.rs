//! The contract at one server: Redis, and Valkey.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use zentra_sidecar::idempotency::Store;
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::RedisStore;

use crate::store_contract::{Backend, tell_all};
use crate::support::redis::{Program, Server, settings};

pub(crate) struct Single(pub(crate) Server);

impl Backend for Single {
    fn open<'a>(&'a self, account: &'a str, format: Format) -> BoxFuture<'a, Arc<dyn Store>> {
        let store = RedisStore::new(settings(&self.0.url(), account, format));
        async move { Arc::new(store) as Arc<dyn Store> }.boxed()
    }

    fn wipe(&self) -> BoxFuture<'_, ()> {
        async { self.0.ask(&["FLUSHALL"]).await }.boxed()
    }

    /// The server forgets its scripts and cuts every connection.
    fn disturb<'a>(&'a self, _account: &'a str) -> BoxFuture<'a, ()> {
        async {
            self.0.ask::<()>(&["SCRIPT", "FLUSH"]).await;
            self.0.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        }
        .boxed()
    }
}

#[tokio::test]
async fn one_redis_keeps_the_contract() {
    let server = Server::start(Program::Redis, &[]).await;
    tell_all(Arc::new(Single(server))).await;
}

#[tokio::test]
async fn valkey_keeps_the_contract() {
    let server = Server::start(Program::Valkey, &[]).await;
    tell_all(Arc::new(Single(server))).await;
}
