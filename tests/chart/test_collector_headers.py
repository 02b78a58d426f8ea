"""The headers for collectors: a file of a Secret in every pod of the program, and no variable."""

import http.server
import json
import os
import threading

import pytest
import yaml

import admission
import helm
import rendered_pod
from helm import IMAGES, Values
from local import START_SECONDS, free_port, until
from matrix import KEYS
from sample_pods import pod

FILE = "/etc/zentra-sidecar/secrets/otlp-headers"
SECRET = {"openTelemetryHeadersSecret": {"name": "collector", "key": "headers"}}
RECONCILER = {"reconciler": {"enabled": True}}
BESIDE = Values(changes={**IMAGES, **KEYS, "store": {"url": "redis://store"}, **RECONCILER})


def service(charts, values: dict) -> list[dict]:
    done = helm.run("template", "shop", str(charts), "--values", "-", given=yaml.safe_dump({"zentra-sidecar": values}))
    assert done.returncode == 0, done.stderr
    return helm.objects(done.stdout)


def injected(profile: str, rendered: list[dict]) -> dict:
    outcome = admission.admit(pod(labels={"zentra.io/inject": profile}), "shop", rendered)
    assert outcome.denied == []
    return outcome.pod["spec"]


def of_mode(mode: str, charts, values: dict) -> tuple[list[dict], dict[str, dict]]:
    """All that a mode makes of these values, and the pods in which the program then runs."""
    if mode == "include":
        rendered = service(charts, values)
    elif mode == "reconciler":
        rendered = helm.render(Values(changes={**BESIDE.changes, **values}))
    else:
        rendered = helm.render(Values(mode, {**RECONCILER, **values}))
    pods = dict(helm.pods(rendered))
    if mode == "inject":
        pods |= {profile: injected(profile, rendered) for profile in ("live", "sandbox")}
    return rendered, pods


def files(its: dict) -> dict[str, tuple[str, str]]:
    """The files of Secrets that the program's container has: where, from which Secret and key."""
    volumes = {it["name"]: it for it in its["volumes"]}
    found = {}
    for mount in helm.sidecar(its)["volumeMounts"]:
        assert mount["readOnly"] is True
        for source in volumes[mount["name"]].get("projected", {}).get("sources", []):
            for item in source.get("secret", {}).get("items", []):
                found[f"{mount['mountPath']}/{item['path']}"] = (source["secret"]["name"], item["key"])
    return found


def variables(its: dict) -> list[dict]:
    return [it for it in helm.sidecar(its)["env"] if "HEADERS" in it["name"]]


# In how many pods the program runs.
MODES = [("include", 1), ("reconciler", 1), ("gateway", 2), ("inject", 4)]


@pytest.mark.parametrize(("mode", "programs"), MODES)
def test_every_pod_of_every_mode_has_the_file(mode, programs, charts):
    rendered, pods = of_mode(mode, charts, SECRET)
    assert len(pods) == programs
    for name, its in pods.items():
        assert files(its).get(FILE) == ("collector", "headers"), name
        assert variables(its) == [{"name": "SIDECAR_OTLP_HEADERS_FILE", "value": FILE}], name
    # Nor in the expressions, of which pods are made that are not there yet.
    text = json.dumps([rendered, pods])
    assert "secretKeyRef" not in text and "subPath" not in text


@pytest.mark.parametrize(("mode", "programs"), MODES)
def test_without_a_secret_there_is_neither_the_file_nor_the_variable(mode, programs, charts):
    _, pods = of_mode(mode, charts, {})
    assert len(pods) == programs
    for name, its in pods.items():
        assert FILE not in files(its) and variables(its) == [], name


def test_a_profile_may_have_a_secret_of_its_own_or_none():
    own = {"live": {"openTelemetryHeadersSecret": {"name": "own"}}, "sandbox": {"openTelemetryHeadersSecret": {"name": ""}}}
    rendered = helm.render(Values("inject", {**SECRET, "inject": {"profiles": own}}))
    live, sandbox = (injected(profile, rendered) for profile in ("live", "sandbox"))
    assert files(live)[FILE] == ("own", "headers")
    assert FILE not in files(sandbox) and variables(sandbox) == []


@pytest.fixture
def collector():
    """A collector that remembers who sent to it: the path and the header of each request."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers["authorization"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_collector_is_told_what_the_secret_holds(charts, collector, tmp_path):
    values = {**SECRET, "zentra": {"url": "http://127.0.0.1:1"}, "sidecar": {"port": free_port(), "adminPort": free_port()},
              "openTelemetry": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}}
    [(_, its)] = helm.pods(service(charts, values))
    container = helm.sidecar(its)
    secrets = {"zentra": {"zentra-key": "sk_simulated_0000000000000000", "fingerprint-keys": rendered_pod.random_key()},
               "collector": {"headers": "authorization=Bearer%20of-the-secret\n"}}
    rendered_pod.mount(its, container, secrets, tmp_path)
    with (tmp_path / "log").open("w") as log:
        process = rendered_pod.start(os.environ["ZENTRA_SIDECAR_BIN"], container, tmp_path, log)
    try:
        until(lambda: process.poll() is not None or rendered_pod.ask(container, "livenessProbe") == 200, START_SECONDS, "the sidecar runs")
    finally:
        # At its end it sends its metrics once more.
        process.terminate()
        process.wait(START_SECONDS)
    text = (tmp_path / "log").read_text()
    assert ("/v1/metrics", "Bearer of-the-secret") in collector.seen, text
    assert {told for _, told in collector.seen} == {"Bearer of-the-secret"}
    assert "of-the-secret" not in text
