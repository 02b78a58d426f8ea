//! Everything that a sidecar leaves behind: what it wrote, sent, showed and stored.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use redis::Value;
use zentra_sidecar::grpc::proto::GetChargeRequest;

use super::paths::At;
use super::reasons::save_kept;
use super::routes;
use super::scanner::Sinks;
use crate::fault_matrix::lab::Lab;
use crate::fault_matrix::sidecar::{Launch, Sidecar};
use crate::support::process::get;
use crate::support::rotel::Rotel;

/// Whose cards are not saved.
pub(super) const DENIED: &str = "cus_denied";

/// The password of the store.
pub(super) const STORE_PASSWORD: &str = "canary-of-the-store-b6yT2w";
/// What collectors want to be told.
pub(super) const COLLECTOR_TOKEN: &str = "canary-of-the-collector-Xq90Lm";

/// What there is at the admin port beside the metrics, and what is looked for there in vain.
const PAGES: [&str; 4] = ["/livez", "/readyz", "/healthz", "/policy"];

/// No process has it.
const NOBODYS_UID: &str = "4294967294";

const LIMITS: &str = r#"
    [[limit]]
    name = "cards"
    measure = "count"
    most = 1
    window = "31d"
    by = ["customer"]
    actions = ["Tokenize"]
    callers = ["limited"]
"#;

const POLICY: &str = r#"
    permit(principal, action, resource);
    @id("denied") forbid(principal, action == Action::"Tokenize", resource)
        when { context.customer == "cus_denied" };
"#;

/// Sidecars of several kinds on one store, and all that can be seen of them.
pub(super) struct Watched {
    pub(super) lab: Lab,
    pub(super) rotel: Rotel,
    pub(super) metrics: Rotel,
    pub(super) sidecars: HashMap<At, Sidecar>,
    /// Standard output, standard error, and the audit log of operators' commands.
    pub(super) lines: [PathBuf; 3],
    /// What operators' commands said.
    pub(super) operated: Mutex<String>,
    /// What those sidecars showed last that have ended.
    pub(super) ended: Mutex<Pages>,
    /// The levels of log lines.
    levels: &'static str,
}

/// What a sidecar shows at its admin port.
#[derive(Clone, Default)]
pub(super) struct Pages {
    metrics: String,
    others: String,
}

impl Watched {
    /// With log lines at these levels.
    pub(super) async fn start(levels: &'static str) -> Self {
        let (mut lab, rotel) = (Lab::start().await, Rotel::start().await);
        let metrics = Rotel::printing("metrics").await;
        write_files(&lab);
        lab.redis().ask::<()>(&["CONFIG", "SET", "requirepass", STORE_PASSWORD]).await;
        STORE_PASSWORD.clone_into(&mut lab.redis_mut().password);
        routes::buy(&lab).await;
        let lines = ["stdout", "stderr", "audit"].map(|name| lab.folder.path().join(name));
        let (operated, ended) = (Mutex::default(), Mutex::default());
        let sidecars = HashMap::new();
        let mut watched = Self { lab, rotel, metrics, sidecars, lines, operated, ended, levels };
        let stop = ["stop", "--by=ada", "--reason=a story", "--only-caller=stopped"];
        watched.operate(0, &stop).await;
        for at in At::ALL {
            let sidecar = watched.launch_at(at).start().await;
            watched.sidecars.insert(at, sidecar);
        }
        watched.keep_records().await;
        watched
    }

    /// A process of which all is seen.
    pub(super) fn launch(&self) -> Launch<'_> {
        let file = |name: &str| self.lab.folder.path().join(name).display().to_string();
        self.lab
            .sidecar()
            .variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("http://{}", self.rotel.grpc))
            .variable(
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                &format!("http://{}", self.metrics.grpc),
            )
            .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .variable("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            .flag("--otlp-headers-file", &file("headers"))
            .flag("--store-password-file", &file("password"))
            .flag("--policy", &file("policy"))
            // An answer that is due leaves in time on a machine with other things to do.
            .flag("--deadline-margin-ms", "500")
            .variable("OTEL_BSP_SCHEDULE_DELAY", "100")
            .variable("OTEL_BSP_MAX_QUEUE_SIZE", "200000")
            .variable("SIDECAR_LOG", self.levels)
            .lines_to(&self.lines[0], &self.lines[1])
    }

    fn launch_at(&self, at: At) -> Launch<'_> {
        let launch = self.launch();
        match at {
            At::Accepting => launch,
            At::Refusing => launch.flag("--card-data", "refuse"),
            At::Stopped => launch.flag("--caller", "stopped"),
            At::Limited => launch.flag("--caller", "limited"),
            At::Narrow => launch.flag("--calls-in-flight", "1"),
            At::Closed => {
                let socket = format!("unix:{}", self.lab.folder.path().join("socket").display());
                launch.flag("--listen", &socket).flag("--unix-peer-uids", NOBODYS_UID)
            }
            At::Storeless => {
                let launch = launch.flag("--store", "redis://127.0.0.1:1");
                // For nothing comes of a longer wait.
                launch.flag("--store-timeout-ms", "500")
            }
            At::Stranded => launch.flag("--zentra-url", "http://127.0.0.1:1"),
            // Longer than its calls take, so that the one it waits for is there until they are made.
            At::Ending => launch
                .failpoint("before_send:wait")
                .flag("--attempt-timeout-seconds", "60")
                .flag("--drain-seconds", "120"),
        }
    }

    /// A sidecar that is about to end, and does once it is released.
    pub(super) async fn ending(&self) -> Sidecar {
        let sidecar = self.launch_at(At::Ending).start().await;
        tokio::spawn(save_kept(sidecar.client.clone(), "held"));
        sidecar.reached("before_send").await;
        sidecar.signal("TERM").await;
        sidecar.said("\"message\":\"draining\"").await;
        sidecar
    }

    /// Keeps what a process shows that is about to end.
    pub(super) async fn keep_pages(&self, admin: &str) {
        let pages = pages(admin).await;
        self.ended.lock().unwrap().add(&pages);
    }

    /// Keeps what a sidecar shows that is about to end, and waits for its end.
    pub(super) async fn end(&self, mut sidecar: Sidecar, signal: &str) {
        self.keep_pages(&sidecar.admin).await;
        sidecar.signal(signal).await;
        assert!(sidecar.ended().await.success());
    }

    /// Makes a last call at each, whose span comes behind all others, and waits for the metrics
    /// that count it.
    pub(super) async fn until_all_has_left(&self) {
        for (at, sidecar) in &self.sidecars {
            let reference = format!("last-{at:?}");
            let request = GetChargeRequest { reference: reference.clone() };
            sidecar.client.clone().get_charge(request).await.unwrap_err();
            // What a stranger asks for is not looked at; its span says who asked.
            let said = match at {
                At::Closed => "CALLER_NOT_ALLOWED".to_owned(),
                _ => format!("zentra_sidecar.payment.reference: Str({reference})"),
            };
            self.rotel.printed(&said).await;
        }
        // Of each one that is under way, and one that begins after it.
        self.metrics.printed_again("zentra_sidecar.payments", 2 * self.sidecars.len()).await;
    }

    /// All of it, as of now.
    pub(super) async fn sinks(&self) -> Sinks {
        let mut shown = self.ended.lock().unwrap().clone();
        for sidecar in self.sidecars.values() {
            shown.add(&pages(&sidecar.admin).await);
        }
        let [stdout, stderr, audit] =
            self.lines.each_ref().map(|file| std::fs::read(file).unwrap());
        let operated = self.operated.lock().unwrap().clone().into_bytes();
        Sinks::from([
            ("stdout", stdout),
            ("stderr", stderr),
            ("operators' audit", audit),
            ("operators", operated),
            ("pages", shown.others.into_bytes()),
            ("spans", self.rotel.text().into_bytes()),
            ("metrics", shown.metrics.into_bytes()),
            ("otlp metrics", self.metrics.text().into_bytes()),
            ("store", self.store().await),
            ("headers", self.headers()),
        ])
    }

    /// What Zentra was told beside the bodies, which are where card data goes.
    fn headers(&self) -> Vec<u8> {
        let ledger = self.lab.zentra.ledger();
        let seen = ledger.posts.iter().chain(&ledger.reads);
        let headers = seen.map(|seen| format!("{:?} {:?}\n", seen.traceparent, seen.headers));
        headers.flat_map(String::into_bytes).collect()
    }

    /// Every key of the store with all that is under it.
    async fn store(&self) -> Vec<u8> {
        let redis = self.lab.redis();
        let mut bytes = Vec::new();
        for key in redis.ask::<Vec<String>>(&["KEYS", "*"]).await {
            let kind: String = redis.ask(&["TYPE", &key]).await;
            let words: &[&str] = match kind.as_str() {
                "string" => &["GET", &key],
                "hash" => &["HGETALL", &key],
                "zset" => &["ZRANGE", &key, "0", "-1", "WITHSCORES"],
                "set" => &["SMEMBERS", &key],
                "list" => &["LRANGE", &key, "0", "-1"],
                other => panic!("the store holds a {other}, which this does not read"),
            };
            bytes.extend_from_slice(key.as_bytes());
            collect(&redis.ask::<Value>(words).await, &mut bytes);
            bytes.push(b' ');
        }
        bytes
    }
}

impl Pages {
    fn add(&mut self, pages: &Self) {
        self.metrics += &pages.metrics;
        self.others += &pages.others;
    }
}

/// What is shown at this address.
async fn pages(admin: &str) -> Pages {
    let admin = admin.trim_start_matches("http://");
    let mut pages = Pages { metrics: get(admin, "/metrics").await.1, ..Pages::default() };
    for path in PAGES {
        let (status, text) = get(admin, path).await;
        pages.others += &format!("{path} {status}\n{text}");
    }
    assert!(has_every_line(&pages), "lines were lost that were to be looked at");
    pages
}

/// Whether the queues of the log and of the audit log have taken every line.
fn has_every_line(pages: &Pages) -> bool {
    ["log", "audit"].into_iter().all(|target| {
        let lost = format!("zentra_sidecar_telemetry_lines_dropped_total{{target=\"{target}\"}}");
        pages.metrics.contains(&format!("{lost} 0\n"))
    })
}

fn write_files(lab: &Lab) {
    let folder = lab.folder.path();
    std::fs::create_dir(folder.join("policy")).unwrap();
    let headers = format!("authorization=Bearer%20{COLLECTOR_TOKEN}\nx-tenant=shop\n");
    for (name, text) in [
        ("policy/rules.cedar", POLICY),
        ("policy/limits.toml", LIMITS),
        ("password", STORE_PASSWORD),
        ("headers", &headers),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn collect(value: &Value, bytes: &mut Vec<u8>) {
    bytes.push(b' ');
    match value {
        Value::BulkString(text) => bytes.extend_from_slice(text),
        Value::Array(values) | Value::Set(values) => {
            values.iter().for_each(|value| collect(value, bytes));
        }
        Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            collect(key, bytes);
            collect(value, bytes);
        }),
        other => bytes.extend_from_slice(format!("{other:?}").as_bytes()),
    }
}
