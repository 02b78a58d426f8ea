"""scripts/check-shape finds each breach, and finds none in a clean tree."""

import graphlib
import pathlib
import runpy
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "check-shape"

# The forbidden texts are put together here, so that this file itself is no breach.
BREACHES = {
    "long file": ("src/domain/long.rs", "// line\n" * 501, "501 lines"),
    "domain imports": ("src/domain/a.rs", "use crate::error::Error;\n", "'domain' may not import 'error'"),
    "simulator imports": ("src/simulator/a.rs", "use crate::domain::Money;\n", "'simulator' may not import 'domain'"),
    "path without use": ("src/zentra/a.rs", "fn a() { crate::gateway::b() }\n", "'zentra' may not import 'gateway'"),
    "braces": ("src/gateway.rs", "use crate::{domain::Money, grpc::Server};\n", "name the module in each import"),
    "unknown module": ("src/helpers/a.rs", "fn a() {}\n", "not in MAY_IMPORT"),
    "mark": ("src/main.rs", "// TO" + "DO: later\n", "unfinished work"),
    "macro": ("src/main.rs", "fn a() { to" + "do!() }\n", "unfinished work"),
    "ignored test": ("tests/a.rs", "#[ig" + "nore]\n", "left out"),
    "ignored test with reason": ("tests/a.rs", '#[ig' + 'nore = "slow"]\n', "left out"),
    "skipped in Python": ("tests/a.py", "@pytest.mark.sk" + "ip\n", "left out"),
    "skipped in Node": ("tests/a.mjs", "test.sk" + "ip('x', () => {})\n", "left out"),
    "machine path": ("docs/a.md", "see /wo" + "rk/x\n", "developer's machine"),
    "home": ("scripts/a", "#!/bin/sh\ncat /ho" + "me/ada/x\n", "developer's machine"),
}


def run(root: pathlib.Path, files: dict[str, str]) -> subprocess.CompletedProcess:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)


@pytest.mark.parametrize("path, text, told", BREACHES.values(), ids=BREACHES.keys())
def test_each_breach_is_told(tmp_path, path, text, told):
    result = run(tmp_path, {path: text})
    assert result.returncode == 1, result.stdout + result.stderr
    folder = "/".join(path.split("/")[:2])
    assert result.stdout.startswith(folder) and told in result.stdout
    assert result.stdout.endswith("1 breaches of the house rules\n")


def test_a_clean_tree_passes(tmp_path):
    result = run(
        tmp_path,
        {
            "src/domain/money.rs": "//! Money.\n/// `zentra_sidecar::domain::Money`\n",
            "src/simulator/a.rs": "use crate::clock::Clock;\nuse crate::simulator::b;\n",
            "src/app.rs": "use crate::grpc::Server;\n",
            "src/upstream/a.rs": "fn a() { items().skip(1) }\n",
            "docs/a.md": "https://example.com/work/x, $HOME/x, a TO" + "DO list\n",
            "target.json": "x\n" * 900,
        },
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_permitted_imports_point_one_way():
    table = runpy.run_path(str(SCRIPT))["MAY_IMPORT"]
    order = list(graphlib.TopologicalSorter(table).static_order())
    assert set(order) == set(table)
