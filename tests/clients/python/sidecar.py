"""Starts the real program: a sidecar and a simulated Zentra on free ports."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import urllib.request

READY = re.compile(r"ready grpc=(\S+) simulator=(\S+) admin=(\S+)")
# Bounds for a machine that is busy with other work; usually each takes a fraction of a second.
START_SECONDS = 60
STOP_SECONDS = 40


class Sidecar:
    """A running `zentra-sidecar dev --no-flow`."""

    def __init__(self, listen: str = "127.0.0.1:0", settings: dict[str, str] | None = None):
        program = os.environ.get("ZENTRA_SIDECAR_BIN")
        if not program or not os.access(program, os.X_OK):
            raise RuntimeError(
                f"ZENTRA_SIDECAR_BIN names no program ({program}): 'cargo build' makes "
                "target/debug/zentra-sidecar, and scripts/test sets the variable."
            )
        free = "127.0.0.1:0"
        flags = ["--listen", listen, "--simulator-listen", free, "--admin-listen", free]
        self._stderr = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [program, "dev", "--no-flow", *flags],
            stdout=subprocess.PIPE, stderr=self._stderr, text=True,
            env={**os.environ, **(settings or {})},
        )
        self.address, self.simulator, self.admin = self._addresses()

    def _addresses(self) -> tuple[str, str, str]:
        overdue = threading.Timer(START_SECONDS, self._process.kill)
        overdue.start()
        try:
            for line in self._process.stdout:
                if ready := READY.match(line):
                    # Whatever it prints from now on is read, so that it never waits for a reader.
                    threading.Thread(target=self._process.stdout.read, daemon=True).start()
                    return ready.groups()
        finally:
            overdue.cancel()
        self._process.wait(STOP_SECONDS)
        raise RuntimeError(f"the sidecar ended before it was ready:\n{self.log()}")

    def log(self) -> str:
        """What it has written to stderr so far."""
        self._stderr.seek(0)
        return self._stderr.read()

    def ledger(self, reference: str = "") -> dict:
        """What has happened at the simulated Zentra: every effect, every POST that arrived."""
        query = f"?reference={reference}" if reference else ""
        with urllib.request.urlopen(f"{self.simulator}/_simulator/ledger{query}") as answer:
            return json.load(answer)

    def inject(self, fault: dict) -> None:
        """Lets the simulated Zentra, or the way there, misbehave once."""
        body = json.dumps(fault).encode()
        with urllib.request.urlopen(f"{self.simulator}/_simulator/faults", data=body) as answer:
            json.load(answer)

    def stop(self) -> int:
        """Ends it as Kubernetes would, and returns its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
