//! Finds the server that has the account's data, and connects to it.
//!
//! Nothing here reconnects by itself: whoever holds a connection that broke asks again.

use std::path::PathBuf;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use redis::{RedisConnectionInfo, RedisResult, TlsCertificates, Value};
use zeroize::Zeroizing;

use super::failure::unreachable;
use super::url::{HostPort, RedisUrl, Topology};
use crate::idempotency::observed::ServerAddress;
use crate::idempotency::store::StoreError;

/// The largest secret file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Steps that wait on a connection to be written; more wait for those, each to be woken by itself.
/// As many as come at once where calls are as many as may be.
const STEPS_WAITING: usize = 1024;

/// Where the store is and what opens it. The files are read again for every connection, so that
/// a rotated password or CA needs no restart.
#[derive(Clone, Debug)]
pub(super) struct Locator {
    pub(super) url: RedisUrl,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    /// A key of the account: all of its keys share one slot.
    pub(super) slot_key: String,
    /// Which server that is, for those who watch.
    pub(super) server: ServerAddress,
}

#[derive(Default)]
struct Secrets {
    password: Option<Zeroizing<String>>,
    ca: Option<Vec<u8>>,
}

impl Locator {
    /// Connects to the master that has the account's data.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let secrets = self.secrets().await?;
        let host = self.locate(&secrets).await?;
        self.server.is(&host.host, host.port);
        let mut connection = self.open(&host, &secrets).await?;
        let role: Value = redis::cmd("ROLE")
            .query_async(&mut connection)
            .await
            .map_err(|error| unreachable(&error))?;
        if first_text(&role).as_deref() != Some("master") {
            return Err(StoreError::Refused(format!("{host} is not a master").into()));
        }
        Ok(connection)
    }

    /// A connection for subscriptions.
    pub(super) async fn subscriber(&self) -> Result<PubSub, StoreError> {
        let secrets = self.secrets().await?;
        let host = self.locate(&secrets).await?;
        let client = self.client(&host, &secrets, true)?;
        client.get_async_pubsub().await.map_err(|error| unreachable(&error))
    }

    async fn locate(&self, secrets: &Secrets) -> Result<HostPort, StoreError> {
        match &self.url.topology {
            Topology::Single => self
                .url
                .hosts
                .first()
                .cloned()
                .ok_or_else(|| StoreError::Unreachable("no host".to_owned())),
            Topology::Sentinel { master } => self.ask_sentinels(master, secrets).await,
            Topology::Cluster => self.ask_cluster(secrets).await,
        }
    }

    async fn ask_sentinels(&self, master: &str, secrets: &Secrets) -> Result<HostPort, StoreError> {
        let mut last = StoreError::Unreachable("no sentinel".to_owned());
        for sentinel in &self.url.hosts {
            let asked = self.ask_sentinel(sentinel, master, secrets).await;
            match asked {
                Ok(Some(host)) => return Ok(host),
                Ok(None) => {
                    last = StoreError::Unreachable(format!("{sentinel} knows no {master}"));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_sentinel(
        &self,
        sentinel: &HostPort,
        master: &str,
        secrets: &Secrets,
    ) -> Result<Option<HostPort>, StoreError> {
        let client = self.client(sentinel, secrets, self.url.sentinel_auth)?;
        let mut connection = multiplexed(&client).await.map_err(|it| unreachable(&it))?;
        let answer: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(master)
            .query_async(&mut connection)
            .await
            .map_err(|error| unreachable(&error))?;
        Ok(answer.map(|(host, port)| HostPort { host, port }))
    }

    async fn ask_cluster(&self, secrets: &Secrets) -> Result<HostPort, StoreError> {
        let mut last = StoreError::Unreachable("no cluster node".to_owned());
        for node in &self.url.hosts {
            match self.ask_node(node, secrets).await {
                Ok(Some(host)) => return Ok(host),
                Ok(None) => {
                    last = StoreError::Refused(format!("{node}: no node serves the slot").into());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_node(
        &self,
        node: &HostPort,
        secrets: &Secrets,
    ) -> Result<Option<HostPort>, StoreError> {
        let mut connection = self.open(node, secrets).await?;
        let slot: i64 = redis::cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(&self.slot_key)
            .query_async(&mut connection)
            .await
            .map_err(|error| unreachable(&error))?;
        let slots: Value = redis::cmd("CLUSTER")
            .arg("SLOTS")
            .query_async(&mut connection)
            .await
            .map_err(|error| unreachable(&error))?;
        Ok(owner_of(&slots, slot, node))
    }

    async fn open(
        &self,
        host: &HostPort,
        secrets: &Secrets,
    ) -> Result<MultiplexedConnection, StoreError> {
        let client = self.client(host, secrets, true)?;
        multiplexed(&client).await.map_err(|error| unreachable(&error))
    }

    fn client(
        &self,
        host: &HostPort,
        secrets: &Secrets,
        with_auth: bool,
    ) -> Result<Client, StoreError> {
        self.build(host, secrets, with_auth).map_err(|error| unreachable(&error))
    }

    fn build(&self, host: &HostPort, secrets: &Secrets, with_auth: bool) -> RedisResult<Client> {
        let (name, port) = (host.host.clone(), host.port);
        let address = if self.url.tls {
            ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(name, port)
        };
        let mut settings = RedisConnectionInfo::default();
        if with_auth {
            settings = settings.set_db(self.url.database);
            if let Some(username) = &self.url.username {
                settings = settings.set_username(username);
            }
            if let Some(password) = &secrets.password {
                settings = settings.set_password(password.as_str());
            }
        }
        let info: ConnectionInfo = address.into_connection_info()?;
        let info = info.set_redis_settings(settings);
        if !self.url.tls {
            return Client::open(info);
        }
        let root_cert = secrets.ca.clone();
        let certificates = TlsCertificates { client_tls: None, root_cert };
        Client::build_with_tls(info, certificates)
    }

    async fn secrets(&self) -> Result<Secrets, StoreError> {
        let mut secrets = Secrets::default();
        if let Some(file) = &self.password_file {
            let bytes = Zeroizing::new(read(file).await?);
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| StoreError::Unreachable("the password is not UTF-8".to_owned()))?;
            let line = text.trim_end_matches(['\r', '\n']);
            secrets.password = Some(Zeroizing::new(line.to_owned()));
        }
        if let Some(file) = &self.ca_file {
            secrets.ca = Some(read(file).await?);
        }
        Ok(secrets)
    }
}

async fn multiplexed(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_pipeline_buffer_size(STEPS_WAITING)
        // The step's own limit bounds the whole of it.
        .set_connection_timeout(None)
        .set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

async fn read(file: &PathBuf) -> Result<Vec<u8>, StoreError> {
    let unreadable = |error: std::io::Error| {
        StoreError::Unreachable(format!("{} cannot be read: {error}", file.display()))
    };
    let length = tokio::fs::metadata(file).await.map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        let name = file.display();
        return Err(StoreError::Unreachable(format!("{name} is larger than 1 MiB")));
    }
    tokio::fs::read(file).await.map_err(unreadable)
}

fn text(value: &Value) -> Option<String> {
    redis::from_redis_value_ref::<String>(value).ok()
}

fn first_text(value: &Value) -> Option<String> {
    let Value::Array(entries) = value else {
        return None;
    };
    entries.first().and_then(text)
}

/// The master of a slot in the answer to CLUSTER SLOTS: `[from, to, [host, port, …], …]` each.
fn owner_of(slots: &Value, slot: i64, asked: &HostPort) -> Option<HostPort> {
    let Value::Array(ranges) = slots else {
        return None;
    };
    ranges.iter().find_map(|range| {
        let Value::Array(range) = range else {
            return None;
        };
        let [Value::Int(from), Value::Int(to), Value::Array(master), ..] = range.as_slice() else {
            return None;
        };
        let [name, Value::Int(port), ..] = master.as_slice() else {
            return None;
        };
        // A node that does not know its own name is where it was asked.
        let host = text(name).filter(|it| !it.is_empty() && it != "?");
        (*from..=*to).contains(&slot).then(|| HostPort {
            host: host.unwrap_or_else(|| asked.host.clone()),
            port: u16::try_from(*port).unwrap_or(asked.port),
        })
    })
}
