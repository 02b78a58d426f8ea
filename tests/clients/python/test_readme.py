"""What the README shows runs as it stands: the command lines, and the two programs."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "scripts" / "readme-examples.sh"
# The addresses of `zentra-sidecar dev`, for which the tests put their own.
GRPC_ADDRESS = "127.0.0.1:50051"
PROGRAMS = {"python": "tests/clients/python/example.py", "js": "tests/clients/node/example.mjs"}


def run(command: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **more)


def test_every_command_line_prints_what_it_says(sidecar, tmp_path):
    text = EXAMPLES.read_text()
    assert "/tmp/token.json" in text and GRPC_ADDRESS in text
    text = text.replace(GRPC_ADDRESS, sidecar.address).replace("/tmp/token.json", f"{tmp_path}/token.json")
    # Each expectation becomes a mark in the output, behind what its command has printed.
    expected = re.findall(r"^# prints: (.*)$", text, re.M)
    text = re.sub(r"^# prints: .*$", "echo '@@expected@@'", text, flags=re.M)
    text = text.replace('cd "$(dirname "$0")/.."\n', "exec 2>&1\n")
    result = run(["bash", "-c", text])
    assert result.returncode == 0, result.stdout + result.stderr

    printed = result.stdout.split("@@expected@@\n")
    assert len(printed) == len(expected) + 1 > 10
    output = ""
    for part, wanted in zip(printed, expected):
        # Several expectations stand behind one command: only the first finds new output.
        output = part if part else output
        assert wanted in output


def test_the_python_program_runs_as_it_stands(sidecar):
    config = ROOT / "proto" / "service_config.json"
    order = f"readme-python-{os.getpid()}"
    result = run([sys.executable, ROOT / PROGRAMS["python"], sidecar.address, order, config])
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "charged: CHARGE_STATUS_SUCCEEDED, ready: True",
        "renewed: CHARGE_STATUS_SUCCEEDED",
        "refunded: NGN 125000 minor units",
    ]


def code_blocks(language: str) -> list[str]:
    """The blocks of one language in the pages that people read first."""
    pages = [page for page in (ROOT / "README.md", ROOT / "docs" / "CLIENTS.md") if page.exists()]
    blocks = []
    for page in pages:
        blocks += re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
    return blocks


@pytest.mark.parametrize("language", PROGRAMS)
def test_programs_are_shown_as_they_are_tested(language):
    source = (ROOT / PROGRAMS[language]).read_text()
    for block in code_blocks(language):
        assert block in source, f"this is shown, but does not stand in {PROGRAMS[language]}:\n{block}"


def test_commands_are_shown_as_they_are_tested():
    source = EXAMPLES.read_text()
    for block in code_blocks("sh"):
        for command in re.split(r"\n\n+", block.strip()):
            if re.search(r"\b(grpcurl|buf curl)\b", command):
                assert command in source, f"this is shown, but does not stand in {EXAMPLES.name}:\n{command}"
