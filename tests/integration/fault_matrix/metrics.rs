//! What `/metrics` shows of the states that decide whether calls go through.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::answers::status;
use super::lab::Lab;
use super::sidecar::Sidecar;
use super::told::order;
use zentra_sidecar::simulator::{Fault, Route, SettingsChange};

pub(super) async fn shown(sidecar: &Sidecar) -> String {
    let address = sidecar.admin.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: sidecar\r\nconnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("text/plain; version=0.0.4"));
    text
}

#[tokio::test]
async fn circuit_key_places_and_rate_limit_are_shown() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().flag("--calls-in-flight", "7").start().await;
    let text = shown(&sidecar).await;
    for line in [
        "zentra_sidecar_ready 1\n",
        "zentra_sidecar_circuit_state{state=\"closed\"} 1\n",
        "zentra_sidecar_circuit_opened_total 0\n",
        "zentra_sidecar_retry_budget_left 10\n",
        "zentra_sidecar_zentra_places_free 256\n",
        "zentra_sidecar_call_places_free 7\n",
        "zentra_sidecar_calls_refused_total{at=\"door\"} 0\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let key = text.lines().find(|line| line.starts_with("zentra_sidecar_zentra_key_info")).unwrap();
    assert!(key.len() == "zentra_sidecar_zentra_key_info{key_id=\"12345678\"} 1".len(), "{key}");
    assert!(!text.contains("rate_limit"), "Zentra has said nothing yet: {text}");

    let requests_per_minute = Some(600);
    lab.zentra.configure(SettingsChange { requests_per_minute, ..Default::default() });
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    let text = shown(&sidecar).await;
    let limit = |name: &str| -> i64 {
        let name = format!("\nzentra_sidecar_zentra_rate_limit{name} ");
        let value = text.split(&name).nth(1).unwrap().lines().next().unwrap();
        value.parse().unwrap()
    };
    assert_eq!(limit(""), 600);
    // The token was made in the same minute, or in the one before.
    assert!([598, 599].contains(&limit("_remaining")), "{text}");
    let left = limit("_reset_timestamp_seconds") - lab.zentra.now().as_second();
    assert!((0..=60).contains(&left), "{left} s until the limit is new");

    lab.zentra.inject(Fault::on(Route::CreateCharge, status(503, None, false)).times(u32::MAX));
    for number in 0.. {
        let told = sidecar.charge(&order(&format!("storm-{number}")).within_ms(1500)).await;
        if told.fault().reason == "CIRCUIT_OPEN" {
            break;
        }
    }
    let text = shown(&sidecar).await;
    // Its first wait may be over when it is asked, with no call since to be the probe.
    assert!(text.contains("zentra_sidecar_circuit_state{state=\"open\"} 1\n"), "{text}");
    for state in ["closed", "half_open"] {
        let line = format!("zentra_sidecar_circuit_state{{state=\"{state}\"}} 0\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("zentra_sidecar_circuit_opened_total 1\n"), "{text}");
}

#[tokio::test]
async fn a_step_of_the_store_is_called_what_it_is_and_tells_where() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    let text = shown(&sidecar).await;
    let port = lab.store_url.rsplit(':').next().unwrap().trim_end_matches('/');
    let server = format!("server_address=\"127.0.0.1\",server_port=\"{port}\"");
    let count = "db_client_operation_duration_seconds_count";
    let (database, redis) = ("db_namespace=\"0\"", "db_system_name=\"redis\"");
    for labels in [
        format!(
            "{database},db_operation_name=\"EVALSHA\",db_stored_procedure_name=\"claim\",{redis},{server}"
        ),
        format!("{database},db_operation_name=\"readiness\",{redis},{server}"),
    ] {
        let line = format!("{count}{{{labels}}} ");
        assert!(text.contains(&line), "{line}\n{text}");
    }
    // What wakes somebody is there before it happens.
    for line in [
        "zentra_sidecar_call_errors_total{operation=\"refund\",reason=\"OUTCOME_UNRESOLVED\"} 0\n",
        "zentra_sidecar_outcomes_not_stored_total{operation=\"charge\"} 0\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}
