//! Everything that a sidecar leaves behind: what it wrote, sent, showed and stored.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

use redis::Value;
use zentra_sidecar::grpc::proto::GetChargeRequest;

use super::paths::{At, Path};
use super::routes;
use super::scanner::Sinks;
use crate::fault_matrix::lab::{KEY, Lab};
use crate::fault_matrix::metrics::shown;
use crate::fault_matrix::sidecar::Sidecar;
use crate::support::rotel::Rotel;

/// Whose cards are not saved.
pub(super) const DENIED: &str = "cus_denied";

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
    sidecars: HashMap<At, Sidecar>,
    lines: [PathBuf; 2],
}

impl Watched {
    /// With log lines at these levels.
    pub(super) async fn start(levels: &str) -> Self {
        let (lab, rotel) = (Lab::start().await, Rotel::start().await);
        let metrics = Rotel::printing("metrics").await;
        let policy = lab.folder.path().join("policy");
        std::fs::create_dir(&policy).unwrap();
        std::fs::write(policy.join("rules.cedar"), POLICY).unwrap();
        std::fs::write(policy.join("limits.toml"), LIMITS).unwrap();
        routes::buy(&lab).await;
        let lines = ["stdout", "stderr"].map(|name| lab.folder.path().join(name));
        let launch = || {
            lab.sidecar()
                .variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("http://{}", rotel.grpc))
                .variable(
                    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                    &format!("http://{}", metrics.grpc),
                )
                .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
                .variable("OTEL_METRIC_EXPORT_INTERVAL", "1000")
                .flag("--policy", &policy.display().to_string())
                // An answer that is due leaves in time on a machine with other things to do.
                .flag("--deadline-margin-ms", "500")
                .variable("OTEL_BSP_SCHEDULE_DELAY", "100")
                .variable("OTEL_BSP_MAX_QUEUE_SIZE", "200000")
                .variable("SIDECAR_LOG", levels)
                .lines_to(&lines[0], &lines[1])
        };
        let stop = ["stop", "--by=ada", "--reason=a story", "--only-caller=stopped"];
        let ended = lab.sidecar().operate(&stop).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let socket = format!("unix:{}", lab.folder.path().join("socket").display());
        let mut sidecars = HashMap::new();
        for at in At::ALL {
            let launch = match at {
                At::Accepting => launch(),
                At::Refusing => launch().flag("--card-data", "refuse"),
                At::Stopped => launch().flag("--caller", "stopped"),
                At::Limited => launch().flag("--caller", "limited"),
                At::Narrow => launch().flag("--calls-in-flight", "1"),
                At::Closed => {
                    launch().flag("--listen", &socket).flag("--unix-peer-uids", NOBODYS_UID)
                }
                At::Storeless => launch().flag("--store", "redis://127.0.0.1:1"),
            };
            sidecars.insert(at, launch.start().await);
        }
        Self { rotel, metrics, sidecars, lines, lab }
    }

    pub(super) fn sidecar_for(&self, path: &Path) -> &Sidecar {
        &self.sidecars[&path.at]
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

    /// Whether the queues of the log and of the audit log have taken every line.
    pub(super) async fn has_every_line(&self) -> bool {
        for sidecar in self.sidecars.values() {
            let shown = shown(sidecar).await;
            for target in ["log", "audit"] {
                let lost =
                    format!("zentra_sidecar_telemetry_lines_dropped_total{{target=\"{target}\"}}");
                if !shown.contains(&format!("{lost} 0\n")) {
                    return false;
                }
            }
        }
        true
    }

    /// All of it, as of now.
    pub(super) async fn sinks(&self) -> Sinks {
        let mut metrics = String::new();
        for sidecar in self.sidecars.values() {
            metrics += &shown(sidecar).await;
        }
        let [stdout, stderr] = &self.lines;
        Sinks::from([
            ("stdout", std::fs::read(stdout).unwrap()),
            ("stderr", std::fs::read(stderr).unwrap()),
            ("spans", self.rotel.text().into_bytes()),
            ("metrics", metrics.into_bytes()),
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

    /// Tells Zentra in a header what a sidecar might have told it.
    pub(super) async fn plant_in_headers(&self, secret: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/v1/payments/charges/planted", self.lab.zentra.url());
        client.get(url).bearer_auth(KEY).header("tracestate", secret).send().await.unwrap();
    }

    /// Writes into both files what a process might have written.
    pub(super) fn plant_in_lines(&self, secret: &str) {
        for file in &self.lines {
            let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
            writeln!(file, "{{\"note\":\"{secret}\"}}").unwrap();
        }
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
