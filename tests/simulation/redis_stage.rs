//! A real Redis as a stage: the real scripts, and everything that befalls a store but time itself.

use redis::aio::MultiplexedConnection;
use zentra_sidecar::idempotency::Store;
use zentra_sidecar::idempotency::redis::RedisStore;

use super::history::Stage;
use super::process::account;
use super::redis_server::{Program, Server, open};

/// A server, its store, and a connection for what happens to it. Database 1 is the replica.
pub(crate) struct RedisStage {
    store: RedisStore,
    connection: MultiplexedConnection,
    /// Killed with the stage.
    _server: Server,
}

/// What a replica would hold if it were in step now.
const COPY: &str = "
for _, key in ipairs(redis.call('KEYS', '*')) do
  redis.call('COPY', key, key, 'DB', 1, 'REPLACE')
end";

impl RedisStage {
    pub(crate) async fn start() -> Self {
        let server = Server::start(Program::Redis, &["--enable-debug-command", "yes"]).await;
        let store = open(&server.url(), account().as_str()).by_told_clock();
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Self { store, connection, _server: server }
    }

    /// As if it had just been started.
    pub(crate) async fn empty(&mut self) {
        self.tell(&["FLUSHALL"]).await;
    }

    async fn tell(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut self.connection).await.unwrap();
    }
}

impl Stage for RedisStage {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn set_clock(&mut self, now_ms: u64) {
        self.store.tell_time(now_ms).await.unwrap();
    }

    async fn wipe(&mut self) {
        self.tell(&["FLUSHALL"]).await;
    }

    async fn snapshot(&mut self) {
        let all = "redis.call('SELECT', 1) redis.call('FLUSHDB') redis.call('SELECT', 0)";
        self.tell(&["EVAL", &format!("{all}{COPY}"), "0"]).await;
    }

    /// The replica takes over, with a replication id of its own.
    async fn fail_over(&mut self) {
        self.tell(&["SWAPDB", "0", "1"]).await;
        self.tell(&["DEBUG", "CHANGE-REPL-ID"]).await;
    }
}
