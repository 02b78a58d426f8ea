"""The bill of materials names everything that is in an image, not only crates."""

import hashlib
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bill() -> dict:
    machine = subprocess.run(["uname", "-m"], text=True, capture_output=True, check=True).stdout.strip()
    target = f"{'aarch64' if machine in ('aarch64', 'arm64') else 'x86_64'}-unknown-linux-gnu"
    done = subprocess.run([sys.executable, "scripts/sbom", "--target", target, "--no-default-features"],
                          cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def only(bill: dict, name: str) -> dict:
    [found] = [it for it in bill["components"] if it["name"] == name]
    return found


def test_the_c_library_is_the_one_that_is_linked(bill):
    library = only(bill, "glibc")
    file = subprocess.run(["cc", "-print-file-name=libc.a"], text=True, capture_output=True, check=True).stdout.strip()
    content = pathlib.Path(file).read_bytes()
    assert library["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
    assert library["version"].encode() + b") stable release version" in content


def test_the_root_certificates_are_those_that_are_pinned(bill):
    roots = only(bill, "certifi")
    pinned = (ROOT / "scripts/tools/roots.txt").read_text()
    assert f"certifi=={roots['version']} " in pinned
    assert f"sha256:{roots['hashes'][0]['content']}" in pinned
    assert roots["purl"] == f"pkg:pypi/certifi@{roots['version']}"


def test_the_program_needs_both_and_each_crate_keeps_its_own_needs(bill):
    needs = {it["ref"]: set(it.get("dependsOn", [])) for it in bill["dependencies"]}
    program = needs[bill["metadata"]["component"]["bom-ref"]]
    assert {only(bill, "glibc")["bom-ref"], only(bill, "certifi")["bom-ref"]} <= program
    # What only others need is not said of the program.
    assert only(bill, "tonic")["bom-ref"] in program
    assert len(program) < len(bill["components"]) / 2
