//! What a call through the real sidecar costs at the store.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

use super::lab::{Lab, PATIENCE};
use super::sidecar::{Launch, Sidecar};
use super::told::order;
use crate::support::redis::Server;

/// Everything that a Redis does, as its MONITOR tells it.
struct Watch {
    lines: BufReader<TcpStream>,
    marker: TcpStream,
    marks: u32,
}

impl Watch {
    async fn start(server: &Server) -> Self {
        let mut stream = server.connect().await;
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut watch =
            Self { lines: BufReader::new(stream), marker: server.connect().await, marks: 0 };
        assert_eq!(watch.line().await, "+OK");
        watch
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        timeout(PATIENCE, self.lines.read_until(b'\n', &mut line)).await.unwrap().unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// What the sidecar has asked for since the last time, but for the readiness check, which runs
    /// every 2 s whether anybody calls or not. What scripts ask for costs no round trip.
    async fn asked(&mut self) -> Vec<String> {
        self.marks += 1;
        let mark = format!("\"mark-{}\"", self.marks);
        let echo = format!("ECHO mark-{}\r\n", self.marks);
        self.marker.write_all(echo.as_bytes()).await.unwrap();
        let mut asked = Vec::new();
        loop {
            let line = self.line().await;
            if line.ends_with(&mark) {
                return asked;
            }
            // `+time [database address] "COMMAND" "argument" ...`
            let (from, words) = line.split_once("] ").unwrap();
            let readiness = words == "\"INFO\" \"memory\"" || words.contains("fingerprint-keys");
            if from.ends_with("lua") || readiness {
                continue;
            }
            asked.push(words.split(' ').next().unwrap().trim_matches('"').to_ascii_lowercase());
        }
    }
}

/// Rules, and ten limits that every charge and every refund takes from.
fn policy_with_ten_limits(lab: &Lab) -> String {
    let folder = lab.folder.path().join("policy");
    std::fs::create_dir(&folder).unwrap();
    let rules = "permit(principal, action, resource);\n\
                 @id(\"small\") forbid(principal, action == Action::\"Charge\", resource)\n\
                 when { context.amount < 10 };";
    std::fs::write(folder.join("rules.cedar"), rules).unwrap();
    let limits = (0..10).map(|number| {
        let (measure, most) = if number % 2 == 0 { ("amount", 50_000) } else { ("count", 50) };
        format!(
            "[[limit]]\nname = \"limit-{number}\"\nmeasure = \"{measure}\"\nmost = {most}\n\
             window = \"31d\"\nby = [\"caller\", \"currency\"]\nactions = [\"Charge\", \"Refund\"]\n"
        )
    });
    std::fs::write(folder.join("limits.toml"), limits.collect::<String>()).unwrap();
    folder.display().to_string()
}

async fn a_first_call_costs_two_and_a_replay_one(lab: &Lab, sidecar: &Sidecar) -> Watch {
    // The scripts are known, and the charge that will be given back is there.
    sidecar.charge(&order("order-0")).await.is_paid("DIRECT");
    sidecar.refund("refund-0", "order-0", Some(100)).await.is_paid("DIRECT");
    let mut watch = Watch::start(lab.redis()).await;
    let (first, replay) = (["evalsha", "evalsha"], ["evalsha"]);

    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    assert_eq!(watch.asked().await, first, "a first charge");
    sidecar.charge(&order("order-1")).await.is_paid("REPLAYED");
    assert_eq!(watch.asked().await, replay, "its replay");

    sidecar.refund("refund-1", "order-0", Some(100)).await.is_paid("DIRECT");
    assert_eq!(watch.asked().await, first, "a first refund");
    sidecar.refund("refund-1", "order-0", Some(100)).await.is_paid("REPLAYED");
    assert_eq!(watch.asked().await, replay, "its replay");
    assert_eq!((lab.posts("order-1"), lab.charges("order-1")), (1, 1));
    watch
}

/// Neither a renewal nor the reconciler comes in between.
fn undisturbed(lab: &Lab) -> Launch<'_> {
    lab.sidecar().flag("--lease-seconds", "30").flag("--attempt-timeout-seconds", "20")
}

#[tokio::test]
async fn a_first_call_costs_two_script_runs_and_a_replay_one() {
    let lab = Lab::start().await;
    a_first_call_costs_two_and_a_replay_one(&lab, &undisturbed(&lab).start().await).await;
}

/// A policy and ten limits cost no round trip: what is taken is taken by the claim itself.
#[tokio::test]
async fn rules_and_ten_limits_cost_no_round_trip() {
    let lab = Lab::start().await;
    let policy = policy_with_ten_limits(&lab);
    let sidecar = undisturbed(&lab).flag("--policy", &policy).start().await;
    let mut watch = a_first_call_costs_two_and_a_replay_one(&lab, &sidecar).await;
    // Ten counters, and what was given back of the charge.
    let counters: Vec<String> = lab.redis().ask(&["KEYS", "*:l:*"]).await;
    assert_eq!(counters.len(), 11);
    watch.asked().await;
    let small = sidecar.charge(&order("order-2").amount(9)).await;
    small.is_fault(Code::PermissionDenied, "POLICY_DENIED", "no");
    assert_eq!(watch.asked().await, ["evalsha"], "a denial asks whether there is a record");
    let large = sidecar.charge(&order("order-3").amount(50_000)).await;
    large.is_fault(Code::ResourceExhausted, "LIMIT_EXCEEDED", "no");
    assert_eq!(watch.asked().await, ["evalsha"], "a full limit");
}
