"""The log of a sidecar that somebody watches at a terminal."""

import os
import pty
import subprocess
import threading

from sidecar import START_SECONDS, STOP_SECONDS


def test_its_log_is_for_people_there():
    terminal, end = pty.openpty()
    command = [os.environ["ZENTRA_SIDECAR_BIN"], "serve", "--store=memory:", "--zentra-url=http://127.0.0.1:9",
               "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]
    variables = {"ZENTRA_SECRET_KEY": "sk_simulated_1"}
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=end)
    os.close(end)
    # The terminal ends with the process, whose lines would be waited for without end.
    overdue = threading.Timer(START_SECONDS, process.kill)
    overdue.start()
    try:
        with open(terminal, errors="replace") as lines:
            serving = next(line for line in lines if "serving" in line)
        # Nobody looks any more, and nothing comes of it.
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    finally:
        overdue.cancel()
        process.kill()
    assert "INFO" in serving and "grpc" in serving and "{" not in serving, serving
