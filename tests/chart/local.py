"""What the tests need that run the real program: a Redis, free ports, and time limits."""

import socket
import subprocess
import time

# A bound for a busy machine; usually each start takes a fraction of a second.
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
