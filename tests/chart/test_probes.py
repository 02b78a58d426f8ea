"""The rendered probes, asked of the real program, with the store there and gone."""

import os
import pathlib
import socket
import subprocess
import time

import pytest

import helm
import rendered_pod
from helm import IMAGES, Values

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
# Bounds for a busy machine; usually each takes a fraction of a second.
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def until(condition, seconds: float, what: str):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return found


class Redis:
    def __init__(self, folder):
        self.port = free_port()
        self._folder = folder
        self._process = None

    def start(self):
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(["redis-server", *flags, "--dir", str(self._folder)],
                                         stdout=subprocess.DEVNULL)
        until(self._answers, START_SECONDS, "Redis listens")

    def _answers(self):
        with socket.socket() as it:
            return it.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self._process:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None


@pytest.fixture
def redis(tmp_path):
    it = Redis(tmp_path)
    yield it
    it.stop()


@pytest.fixture
def started(redis, tmp_path):
    """Starts the trial's sidecar as rendered, and returns its container."""
    values = helm.Values("trial", {**IMAGES, "sidecar": {"port": free_port(), "adminPort": free_port()},
                                   "store": {"url": f"redis://127.0.0.1:{redis.port}"}})
    pod = dict(helm.pods(helm.render(values)))["trial-zentra-sidecar-trial"]
    container = helm.sidecar(pod)
    secrets = {"zentra": {"zentra-key": "sk_simulated_0000000000000000", "fingerprint-keys": rendered_pod.random_key()}}
    rendered_pod.mount(pod, container, secrets, tmp_path)
    processes = []

    def start() -> dict:
        log = (tmp_path / "log").open("w")
        processes.append(rendered_pod.start(os.environ["ZENTRA_SIDECAR_BIN"], container, tmp_path, log))
        return container

    yield start
    for process in processes:
        assert process.poll() is None, pathlib.Path(tmp_path / "log").read_text()
        process.terminate()
        process.wait(START_SECONDS)


def stays_in_its_service(container: dict) -> bool:
    """What the kubelet would make of the pod: no probe of the sidecar fails as often as it may."""
    for kind in PROBES:
        if kind not in container:
            continue
        answers = [rendered_pod.ask(container, kind) for _ in range(container[kind]["failureThreshold"])]
        if not any(200 <= answer < 400 for answer in answers):
            return False
    return True


def gateway_readiness(sidecar: dict) -> dict:
    """The gateway's readiness probe, on the ports of the sidecar."""
    pod = dict(helm.pods(helm.render(Values("gateway"))))["trial-zentra-sidecar-gateway"]
    return {**sidecar, "readinessProbe": helm.sidecar(pod)["readinessProbe"]}


def test_with_redis_stopped_the_probes_keep_the_service_in_its_service(redis, started):
    redis.start()
    container = started()
    gateway = gateway_readiness(container)
    until(lambda: rendered_pod.ask(container, "startupProbe") == 200, START_SECONDS, "the sidecar has started")
    until(lambda: rendered_pod.ask(gateway, "readinessProbe") == 200, START_SECONDS, "the sidecar is ready")
    assert stays_in_its_service(container)

    redis.stop()
    # The sidecar itself knows that it cannot take payments, and a gateway leaves its Service …
    until(lambda: rendered_pod.ask(gateway, "readinessProbe") == 503, START_SECONDS, "the sidecar has noticed")
    assert not stays_in_its_service(gateway)
    # … but the pod that a sidecar is in is neither taken out nor restarted.
    assert "readinessProbe" not in container
    assert stays_in_its_service(container)

    redis.start()
    until(lambda: rendered_pod.ask(gateway, "readinessProbe") == 200, START_SECONDS, "the sidecar is ready again")


def test_with_no_redis_at_all_the_pod_starts(redis, started):
    container = started()
    probe = container["startupProbe"]
    patience = probe["failureThreshold"] * probe["periodSeconds"]
    until(lambda: rendered_pod.ask(container, "startupProbe") == 200, patience, "the startup probe succeeds")
    assert stays_in_its_service(container)
    assert rendered_pod.ask(gateway_readiness(container), "readinessProbe") == 503
