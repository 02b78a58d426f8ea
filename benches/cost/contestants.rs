//! The processes of the bench: each contestant in one of its own, so that what it costs can be
//! read from the system.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// The system's unit of processor time: a hundredth of a second, as Linux tells it to programs.
const TICK: Duration = Duration::from_millis(10);

/// A process that is ended with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What stands around the contestants.
pub(crate) struct Stage {
    redis: Process,
    store_url: String,
    _upstream: Process,
    upstream_address: String,
    folder: tempfile::TempDir,
    program: String,
}

/// One that is measured.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    /// From the start of the process to the line that says that it serves.
    pub(crate) started_in: Duration,
    process: Process,
}

/// What processes have used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time of the contestant.
    pub(crate) own: Duration,
    /// Processor time of the store.
    pub(crate) store: Duration,
    /// Resident memory of the contestant, in KiB.
    pub(crate) memory_kib: u64,
}

impl Usage {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            own: self.own - before.own,
            store: self.store - before.store,
            memory_kib: self.memory_kib,
        }
    }
}

impl Stage {
    pub(crate) async fn start(program: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let redis = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (upstream, upstream_address, _) = own(&["upstream"]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys"), hex::encode(rand::random::<[u8; 32]>()))
            .unwrap();
        let store_url = format!("redis://127.0.0.1:{port}");
        let (redis, program) = (Process(redis), program.to_owned());
        Self { redis, store_url, _upstream: upstream, upstream_address, folder, program }
    }

    /// A collector that throws everything away; ends with the answer's drop.
    pub(crate) async fn collector(&self) -> (impl Drop, String) {
        let [grpc, http] = [(); 2].map(|()| {
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
        });
        let process = Command::new("rotel-agent")
            .args(["start", "--exporter", "blackhole"])
            .args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rotel-agent is not on PATH: scripts/test installs it under .tools/bin");
        let process = Process(process);
        while tokio::net::TcpStream::connect(&grpc).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (process, format!("http://{grpc}"))
    }

    pub(crate) async fn floor(&self) -> Contestant {
        let (process, address, started_in) = own(&["floor", &self.upstream_address]);
        Contestant { name: "floor", address, started_in, process }
    }

    /// The real binary with a real store that is declared new.
    pub(crate) async fn sidecar(&self) -> Contestant {
        self.sidecar_with("sidecar", &[]).await
    }

    /// The same with these variables.
    pub(crate) async fn sidecar_with(
        &self,
        name: &'static str,
        variables: &[(&str, &str)],
    ) -> Contestant {
        // Said no where another contestant has paid already, which is as good here.
        let mut init = self.command(&["store", "init"]);
        let _ = init.stderr(Stdio::null()).status().unwrap();
        let began = Instant::now();
        let mut serve = self.command(&["serve"]);
        serve.envs(variables.iter().copied());
        serve.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
        let mut process = Process(serve.stderr(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let address = loop {
            let Some(line) = lines.next() else { panic!("{name} does not serve: {told}") };
            told = line.unwrap();
            let line: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
            if line["message"] == "serving" {
                break line["grpc"].as_str().unwrap().to_owned();
            }
        };
        let started_in = began.elapsed();
        // Read all the time: a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Contestant { name, address, started_in, process }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env_clear().env("ZENTRA_SECRET_KEY", "sk_simulated_1");
        command.arg(format!("--zentra-url=http://{}", self.upstream_address));
        command.arg(format!("--store={}", self.store_url));
        let keys = self.folder.path().join("keys");
        command.arg(format!("--fingerprint-key-file={}", keys.display()));
        command.stdout(Stdio::null());
        command
    }

    pub(crate) fn usage(&self, contestant: &Contestant) -> Usage {
        let id = contestant.process.0.id();
        Usage {
            own: processor_time(id),
            store: processor_time(self.redis.0.id()),
            memory_kib: memory_kib(id),
        }
    }
}

impl Contestant {
    pub(crate) fn memory_kib(&self) -> u64 {
        memory_kib(self.process.0.id())
    }
}

/// This program in another mode, the first line of whose output is its address.
fn own(words: &[&str]) -> (Process, String, Duration) {
    let began = Instant::now();
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).args(words).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), line.trim().to_owned(), began.elapsed())
}

/// User and system time of a process, all its threads together.
fn processor_time(id: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name of the program, in parentheses, may hold spaces.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u32 = [11, 12].iter().map(|at| fields[*at].parse::<u32>().unwrap()).sum();
    TICK * ticks
}

fn memory_kib(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
