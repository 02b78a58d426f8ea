"""Generates the Python stubs from the project's contract, and makes them importable."""

import atexit
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]


def generate() -> str:
    """Makes the stubs in a folder that goes away with the process, and returns the folder."""
    folder = tempfile.TemporaryDirectory(prefix="zentra-stubs-")
    atexit.register(folder.cleanup)
    contract = sorted(str(path) for path in (ROOT / "proto").rglob("*.proto"))
    out = [f"--python_out={folder.name}", f"--grpc_python_out={folder.name}"]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", *out, *contract],
        check=True,
    )
    sys.path.insert(0, folder.name)
    # For programs that the tests start.
    os.environ["PYTHONPATH"] = folder.name
    return folder.name
