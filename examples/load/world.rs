//! The processes under load, ended with this one.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;

const KEY: &str = "sk_simulated_0000000000000000";
pub(crate) const CUSTOMER: &str = "cus_1";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = PaymentServiceClient<Channel>;

/// A Redis, a simulated Zentra and a sidecar.
pub(crate) struct World {
    /// A saved card that always pays.
    pub(crate) token: String,
    sidecar: Child,
    grpc: String,
    zentra: String,
    http: reqwest::Client,
    _others: [Child; 2],
    _folder: tempfile::TempDir,
}

impl World {
    /// With these flags of `serve`.
    pub(crate) async fn start(program: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (redis, store) = redis().await;
        let keys = folder.path().join("keys");
        std::fs::write(&keys, "00112233445566778899aabbccddeeff".repeat(2)).unwrap();
        let listen = ["simulate", "--listen=127.0.0.1:0"];
        let mut simulator = spawn(Command::new(program).args(listen).stdout(Stdio::piped()));
        let line = line(simulator.stdout.take().unwrap(), "ready simulator=").await;
        let zentra = line.split('=').nth(1).unwrap().to_owned();
        let settings = [
            format!("--zentra-url={zentra}"),
            format!("--store={store}"),
            format!("--fingerprint-key-file={}", keys.display()),
            "--listen=127.0.0.1:0".to_owned(),
            "--admin-listen=127.0.0.1:0".to_owned(),
        ];
        let mut command = Command::new(program);
        command.args(["store", "init"]).args(&settings).env("ZENTRA_SECRET_KEY", KEY);
        assert!(command.output().await.unwrap().status.success(), "store init");
        let mut command = Command::new(program);
        command.arg("serve").args(&settings).args(flags).env("ZENTRA_SECRET_KEY", KEY);
        // Its audit log goes there, and is not for the screen.
        let mut sidecar = spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let serving = line_of(sidecar.stderr.take().unwrap(), "\"message\":\"serving\"").await;
        let serving: Value = serde_json::from_str(&serving).unwrap();
        let grpc = format!("http://{}", serving["grpc"].as_str().unwrap());
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (_others, _folder) = ([redis, simulator], folder);
        let mut world =
            Self { token: String::new(), sidecar, grpc, zentra, http, _others, _folder };
        world.token = world.card().await;
        world
    }

    async fn card(&self) -> String {
        let card = json!({"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2090});
        let body = json!({"idempotency_key": "key", "customer_id": CUSTOMER, "card": card});
        let answer = self.post("/api/v1/payments/tokens/card", &body).await;
        answer["data"]["id"].as_str().unwrap().to_owned()
    }

    /// A POST to the simulator, its control API included.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.zentra)).bearer_auth(KEY);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Takes all of the simulator's faults away.
    pub(crate) async fn clear_faults(&self) {
        let url = format!("{}/_simulator/faults", self.zentra);
        self.http.delete(url).send().await.unwrap().error_for_status().unwrap();
    }

    /// Everything that reached the simulator.
    pub(crate) async fn ledger(&self) -> Value {
        let answer = self.http.get(format!("{}/_simulator/ledger", self.zentra)).send().await;
        serde_json::from_slice(&answer.unwrap().bytes().await.unwrap()).unwrap()
    }

    /// So many clients, each with a connection of its own.
    pub(crate) async fn clients(&self, count: usize) -> Vec<Client> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let endpoint = Endpoint::from_shared(self.grpc.clone()).unwrap();
            clients.push(Client::new(endpoint.connect().await.unwrap()));
        }
        clients
    }

    /// The processor time that the sidecar has used, in clock ticks of 10 ms.
    pub(crate) fn processor_ms(&self) -> u64 {
        let id = self.sidecar.id().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // The name may hold blanks; it ends with the last bracket. User and system time are the
        // 14th and 15th field.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        10 * [fields[11], fields[12]].iter().map(|it| it.parse::<u64>().unwrap()).sum::<u64>()
    }

    /// The sidecar's memory now, and at most until now, in KiB.
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        let id = self.sidecar.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

async fn redis() -> (Child, String) {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new("redis-server");
    let address = ["--port", &port.to_string(), "--bind", "127.0.0.1"];
    command.args(address).args(["--save", "", "--appendonly", "no"]).stdout(Stdio::null());
    let redis = spawn(&mut command);
    let answers = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, answers).await.expect("redis-server does not answer");
    (redis, format!("redis://127.0.0.1:{port}"))
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("a process cannot be started")
}

async fn line(output: impl AsyncRead + Unpin + Send + 'static, text: &str) -> String {
    line_of(output, text).await.split_whitespace().last().unwrap().to_owned()
}

/// Waits for a line with this text; what follows is read and dropped, as a full pipe would stop
/// the process.
async fn line_of(output: impl AsyncRead + Unpin + Send + 'static, text: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the process has ended");
            if line.contains(text) {
                return line;
            }
        }
    };
    let found = timeout(PATIENCE, found).await.expect("the process does not start");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    found
}
