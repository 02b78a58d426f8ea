//! The real binary as a process that tests can kill, stop, release and call.

use std::fs::File;
use std::io::Write as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use zentra_sidecar::clock::{Clock as _, SystemClock};
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;
use zentra_sidecar::simulator::Simulator;

use super::lab::{CUSTOMER, GOOD_CARD, KEY, Lab, PATIENCE};
use super::told::{Order, Told};
use crate::support::process::{Ended, connect, run};

/// How a sidecar is started.
pub(crate) struct Launch<'a> {
    lab: &'a Lab,
    flags: Vec<String>,
    variables: Vec<(&'static str, String)>,
    /// Files that standard output and a copy of standard error go to.
    lines: Option<[std::path::PathBuf; 2]>,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Self {
        let keys = lab.folder.path().join("keys");
        let flags = vec![
            "--listen=127.0.0.1:0".to_owned(),
            "--admin-listen=127.0.0.1:0".to_owned(),
            format!("--zentra-url={}", lab.zentra.url()),
            format!("--store={}", lab.store_url),
            format!("--fingerprint-key-file={}", keys.display()),
            "--lease-seconds=1".to_owned(),
            "--connect-timeout-ms=300".to_owned(),
            "--attempt-timeout-seconds=5".to_owned(),
            // Patient with a machine under load.
            "--store-timeout-ms=5000".to_owned(),
            "--caller=shop/checkout".to_owned(),
            "--card-data=accept".to_owned(),
            // Its look-ups would be taken for those of the calls.
            "--reconcile-seconds=3600".to_owned(),
        ];
        Self { lab, flags, variables: vec![("ZENTRA_SECRET_KEY", KEY.to_owned())], lines: None }
    }

    /// Stops, dies or waits at a point: `after_claim:kill`.
    pub(crate) fn failpoint(self, text: &str) -> Self {
        self.variable("SIDECAR_FAILPOINT", text)
    }

    /// A flag; one given before is replaced.
    pub(crate) fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.retain(|flag| flag.split('=').next() != Some(name));
        self.flags.push(format!("{name}={value}"));
        self
    }

    /// A variable; one given before is replaced.
    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Adds what it writes to these files.
    pub(crate) fn lines_to(mut self, stdout: &std::path::Path, stderr: &std::path::Path) -> Self {
        self.lines = Some([stdout.to_owned(), stderr.to_owned()]);
        self
    }

    /// With Zentra's key in a file, which may change.
    pub(crate) fn key_file(mut self, path: &std::path::Path) -> Self {
        self.variables.retain(|(name, _)| *name != "ZENTRA_SECRET_KEY");
        self.flag("--zentra-key-file", &path.display().to_string())
    }

    /// Starts the background look-ups as a process of their own.
    pub(crate) async fn reconcile(self) -> Reconciling {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zentra-sidecar"));
        command.arg("reconcile").args(&self.flags).env_clear().envs(self.variables);
        let (process, said) = spawn(command, self.lines);
        let line = said.until("\"message\":\"reconciling\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        Reconciling { admin: line["admin"].as_str().unwrap().to_owned(), process, said }
    }

    /// Runs an operator's command with the same settings to its end.
    pub(crate) async fn operate(self, command: &[&str]) -> Ended {
        let mut process = Command::new(env!("CARGO_BIN_EXE_zentra-sidecar"));
        process.args(command).args(&self.flags).env_clear().envs(self.variables);
        run(process).await
    }

    /// Starts it, and waits until it serves.
    pub(crate) async fn start(self) -> Sidecar {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zentra-sidecar"));
        command.arg("serve").args(&self.flags).env_clear().envs(self.variables);
        let (process, said) = spawn(command, self.lines);
        let line = said.until("\"message\":\"serving\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| format!("http://{}", line[name].as_str().unwrap());
        let channel = connect(line["grpc"].as_str().unwrap()).await.unwrap();
        Sidecar {
            client: PaymentServiceClient::new(channel),
            grpc: address("grpc"),
            admin: address("admin"),
            zentra: self.lab.zentra.clone(),
            token: self.lab.token.clone(),
            process,
            said,
        }
    }
}

/// Starts it, with what it writes added to these files.
fn spawn(mut command: Command, lines: Option<[std::path::PathBuf; 2]>) -> (Child, Said) {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let copied = lines.map(|files| {
        files.map(|file| File::options().append(true).create(true).open(file).unwrap())
    });
    let stderr = copied.map(|[stdout, stderr]| {
        command.stdout(stdout);
        stderr
    });
    let mut process = command.spawn().unwrap();
    let said = Said::listen(process.stderr.take().unwrap(), stderr);
    (process, said)
}

/// A process that only looks up.
pub(crate) struct Reconciling {
    /// Where health over HTTP is served.
    pub(crate) admin: String,
    process: Child,
    said: Said,
}

impl Reconciling {
    /// Waits until it has said this, and gives the line.
    pub(crate) async fn said(&self, text: &str) -> String {
        self.said.until(text).await
    }

    /// Ends it by SIGTERM.
    pub(crate) async fn end(mut self) -> ExitStatus {
        let id = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap()
    }
}

/// A process that serves.
pub(crate) struct Sidecar {
    pub(crate) client: PaymentServiceClient<Channel>,
    pub(crate) token: String,
    pub(crate) admin: String,
    grpc: String,
    zentra: Arc<Simulator>,
    process: Child,
    said: Said,
}

impl Sidecar {
    /// Makes a charge, and checks at once that no `no` is a lie.
    pub(crate) async fn charge(&self, order: &Order) -> Told {
        self.charge_over(self.client.clone(), order).await
    }

    /// The same on a connection of its own, made now.
    pub(crate) async fn charge_anew(&self, order: &Order) -> Told {
        self.charge_over(PaymentServiceClient::new(self.channel().await), order).await
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.grpc.clone()).unwrap().connect().await.unwrap()
    }

    /// The same, made when it is first used.
    pub(crate) fn channel_in_time(&self) -> Channel {
        Endpoint::from_shared(self.grpc.clone()).unwrap().connect_lazy()
    }

    async fn charge_over(&self, client: PaymentServiceClient<Channel>, order: &Order) -> Told {
        let told = self.ask_charge(client, order).await;
        if let Told::Error(fault) = &told
            && fault.money_moved == "no"
        {
            let made = self.zentra.ledger().charges_of(&order.reference).len();
            let anothers = fault.reason == "REFERENCE_ALREADY_USED";
            assert!(made == 0 || anothers, "a lie: {told:?}");
        }
        told
    }

    /// Makes a charge, for those who compare with the ledger themselves: it is copied each time.
    pub(crate) async fn charge_of_many(&self, order: &Order) -> Told {
        self.ask_charge(self.client.clone(), order).await
    }

    async fn ask_charge(&self, mut client: PaymentServiceClient<Channel>, order: &Order) -> Told {
        let mut request = Request::new(proto::ChargeRequest {
            idempotency_key: order.key.clone(),
            reference: order.reference.clone(),
            amount: Some(money(order.amount_minor)),
            customer_id: order.customer.clone(),
            payment_token_id: order.token.clone().unwrap_or_else(|| self.token.clone()),
            actor: order.actor.clone(),
        });
        request.set_timeout(order.deadline);
        let answer = client.charge(request).await.map(tonic::Response::into_inner);
        Told::of_charge(answer.map(|answer| (answer.charge, answer.execution)))
    }

    /// Gives back an amount of a charge, or all of it.
    pub(crate) async fn refund(&self, reference: &str, of: &str, amount: Option<i64>) -> Told {
        let mut request = Request::new(proto::RefundRequest {
            idempotency_key: format!("key-{reference}"),
            reference: reference.to_owned(),
            charge_reference: of.to_owned(),
            amount: amount.map(money),
            reason: String::new(),
            actor: String::new(),
        });
        request.set_timeout(PATIENCE);
        let answer = self.client.clone().refund(request).await;
        Told::of_refund(answer.map(tonic::Response::into_inner))
    }

    /// Saves a card; the answer's `id` is the token's.
    pub(crate) async fn tokenize(&self, key: &str) -> Result<String, Told> {
        let card = proto::Card {
            number: GOOD_CARD.to_owned(),
            expiry_month: 12,
            // Far enough ahead, and not beyond what a card may have.
            expiry_year: i32::from(SystemClock.now().to_zoned(TimeZone::UTC).year()) + 3,
            cvv: "123".to_owned(),
            holder_name: String::new(),
        };
        let mut request = Request::new(proto::TokenizeRequest {
            idempotency_key: key.to_owned(),
            customer_id: CUSTOMER.to_owned(),
            payment_method: Some(proto::tokenize_request::PaymentMethod::Card(card)),
            actor: String::new(),
        });
        request.set_timeout(PATIENCE);
        let answer = self.client.clone().tokenize(request).await;
        let answer = answer.map_err(|status| Told::of_status(&status))?;
        Ok(answer.into_inner().token.unwrap().id)
    }

    /// Waits until it has reached an armed point.
    pub(crate) async fn reached(&self, point: &str) {
        self.said.until(&format!("failpoint {point} reached")).await;
    }

    /// Waits until it has written a line with this text, and gives the line.
    pub(crate) async fn said(&self, text: &str) -> String {
        self.said.until(text).await
    }

    /// Sends it a signal: `KILL`, `STOP`, `CONT`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await;
        assert!(status.unwrap().success(), "kill -s {name}");
    }

    /// Lets a call that waits at a point go on.
    pub(crate) async fn release(&self) {
        self.signal("USR1").await;
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.process.wait()).await.unwrap().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }
}

pub(crate) fn money(amount_minor: i64) -> proto::Money {
    proto::Money { amount_minor, currency: "NGN".to_owned() }
}

/// The lines that a process writes.
#[derive(Clone)]
struct Said {
    lines: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
}

impl Said {
    fn listen(stderr: ChildStderr, mut copy: Option<File>) -> Self {
        let (sender, count) = watch::channel(0);
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let said = Self { lines: lines.clone(), count };
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                if let Some(copy) = &mut copy {
                    writeln!(copy, "{line}").unwrap();
                }
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                sender.send_modify(|count| *count += 1);
            }
        });
        said
    }

    async fn until(&self, text: &str) -> String {
        let mut count = self.count.clone();
        let waiting = async {
            loop {
                count.borrow_and_update();
                if let Some(line) = self.all().into_iter().find(|line| line.contains(text)) {
                    return Some(line);
                }
                count.changed().await.ok()?;
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(Some(line)) => line,
            _ => panic!("never said {text}:\n{}", self.all().join("\n")),
        }
    }

    fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
