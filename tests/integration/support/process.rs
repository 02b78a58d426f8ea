//! The real binary as a child process.

use std::process::{ExitStatus, Stdio};

use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::transport::{Channel, Endpoint};
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;

use super::sidecar::{Client, KEY};
use super::soon;

/// The command, in an environment without settings but for the store: this process's memory.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zentra-sidecar"));
    command
        .args(arguments)
        .env_clear()
        .env("SIDECAR_STORE", "memory:")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Connects to an address as the sidecar writes it.
pub(crate) async fn connect(address: &str) -> Result<Channel, tonic::transport::Error> {
    let target = match address.starts_with("unix:") {
        true => address.to_owned(),
        false => format!("http://{address}"),
    };
    Endpoint::from_shared(target)?.connect().await
}

/// Asks the admin port; gives the status and the body.
pub(crate) async fn get(admin: &str, path: &str) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(admin).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(path).header("host", admin);
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Ended {
    let output = soon(command.output()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ended { code: output.status.code(), stdout, stderr }
}

/// `serve` on a free port, killed when dropped.
pub(crate) struct Serving {
    child: Child,
    _stdout: ChildStdout,
    lines: UnboundedReceiver<String>,
    /// Where gRPC is served, as the log says.
    pub(crate) grpc: String,
    /// Where health over HTTP is served.
    pub(crate) admin: String,
    /// The log up to the line that says so.
    pub(crate) log: String,
}

impl Serving {
    pub(crate) async fn start(zentra_url: &str, arguments: &[&str]) -> Self {
        Self::of(Self::command(zentra_url, arguments)).await
    }

    /// What it is started by.
    pub(crate) fn command(zentra_url: &str, arguments: &[&str]) -> Command {
        let mut command = command(&["serve", "--admin-listen=127.0.0.1:0"]);
        command.args(["--zentra-url", zentra_url]).args(arguments).env("ZENTRA_SECRET_KEY", KEY);
        for default in ["--listen=127.0.0.1:0", "--card-data=accept"] {
            let name = default.split('=').next().unwrap();
            if !arguments.iter().any(|it| it.starts_with(name)) {
                command.arg(default);
            }
        }
        command
    }

    /// Started by a shell that runs this script, with the program and its flags as `$0` and `$@`.
    pub(crate) async fn start_by(script: &str, zentra_url: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_zentra-sidecar"), "serve"]);
        command.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--store=memory:"]);
        command.args(["--zentra-url", zentra_url]).env_clear().env("ZENTRA_SECRET_KEY", KEY);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        Self::of(command).await
    }

    pub(crate) async fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, mut lines) = unbounded_channel();
        // Read all the time: a full pipe would stop the child.
        tokio::spawn(async move {
            while let Ok(Some(line)) = stderr.next_line().await {
                // A story that has seen enough no longer listens.
                let _ = sender.send(line);
            }
        });
        let mut log = String::new();
        loop {
            let line = soon(lines.recv()).await;
            let line = line.unwrap_or_else(|| panic!("ended before it served: {log}"));
            log += &line;
            log.push('\n');
            let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if line["message"] == "serving" {
                let field = |name: &str| line[name].as_str().unwrap().to_owned();
                let (grpc, admin) = (field("grpc"), field("admin"));
                return Self { child, _stdout: stdout, lines, grpc, admin, log };
            }
        }
    }

    pub(crate) async fn channel(&self) -> Channel {
        connect(self.grpc.split(',').next().unwrap()).await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        PaymentServiceClient::new(self.channel().await)
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(status.success());
    }

    /// Waits until the log says this; gives the line.
    pub(crate) async fn logged(&mut self, message: &str) -> String {
        loop {
            let line = soon(self.lines.recv()).await;
            let line = line.unwrap_or_else(|| panic!("ended before it logged {message}"));
            if line.contains(&format!("\"message\":\"{message}\"")) {
                return line;
            }
        }
    }

    /// The memory that the process holds, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most memory that the process has held until now, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for the end; gives how it ended, and the rest of the log.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        while let Some(line) = soon(self.lines.recv()).await {
            rest += &line;
            rest.push('\n');
        }
        (soon(self.child.wait()).await.unwrap(), rest)
    }
}
