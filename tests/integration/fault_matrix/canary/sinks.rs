//! Everything that a sidecar leaves behind: what it wrote, sent, showed and stored.

use std::io::Write as _;
use std::path::PathBuf;

use redis::Value;
use zentra_sidecar::grpc::proto::GetChargeRequest;

use super::paths::Path;
use super::scanner::Sinks;
use crate::fault_matrix::lab::Lab;
use crate::fault_matrix::metrics::shown;
use crate::fault_matrix::sidecar::Sidecar;
use crate::support::rotel::Rotel;

/// Whose cards are not saved.
pub(super) const DENIED: &str = "cus_denied";

const POLICY: &str = r#"
    permit(principal, action, resource);
    @id("denied") forbid(principal, action == Action::"Tokenize", resource)
        when { context.customer == "cus_denied" };
"#;

/// Two sidecars on one store, one of which takes no card data, and all that can be seen of them.
pub(super) struct Watched {
    pub(super) lab: Lab,
    pub(super) rotel: Rotel,
    pub(super) metrics: Rotel,
    accepting: Sidecar,
    refusing: Sidecar,
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
        let accepting = launch().start().await;
        let refusing = launch().flag("--card-data", "refuse").start().await;
        Self { rotel, metrics, accepting, refusing, lines, lab }
    }

    pub(super) fn sidecar_for(&self, path: &Path) -> &Sidecar {
        if path.refuses_card_data { &self.refusing } else { &self.accepting }
    }

    /// Makes a last call at each, whose span comes behind all others, and waits for the metrics
    /// that count it.
    pub(super) async fn until_all_has_left(&self) {
        for (sidecar, reference) in [(&self.accepting, "last-one"), (&self.refusing, "last-two")] {
            let request = GetChargeRequest { reference: reference.to_owned() };
            sidecar.client.clone().get_charge(request).await.unwrap_err();
            self.rotel
                .printed(&format!("zentra_sidecar.payment.reference: Str({reference})"))
                .await;
        }
        // Of each one that is under way, and one that begins after it.
        self.metrics.printed_again("zentra_sidecar.payments", 4).await;
    }

    /// Whether the log's queue has taken every line.
    pub(super) async fn has_every_line(&self) -> bool {
        let none = "zentra_sidecar_telemetry_lines_dropped_total{target=\"log\"} 0\n";
        shown(&self.accepting).await.contains(none) && shown(&self.refusing).await.contains(none)
    }

    /// All of it, as of now.
    pub(super) async fn sinks(&self) -> Sinks {
        let mut metrics = shown(&self.accepting).await;
        metrics += &shown(&self.refusing).await;
        let [stdout, stderr] = &self.lines;
        Sinks::from([
            ("stdout", std::fs::read(stdout).unwrap()),
            ("stderr", std::fs::read(stderr).unwrap()),
            ("spans", self.rotel.text().into_bytes()),
            ("metrics", metrics.into_bytes()),
            ("otlp metrics", self.metrics.text().into_bytes()),
            ("store", self.store().await),
        ])
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
