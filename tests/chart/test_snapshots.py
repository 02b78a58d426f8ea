"""What the examples make, as files to look at: a change of a template is seen in review.

    UPDATE_SNAPSHOTS=1 scripts/test chart
"""

import os
import pathlib
import subprocess

import pytest

import helm
from helm import Values
from matrix import SETS

FOLDER = pathlib.Path(__file__).parent / "snapshots"
SHOWN = {
    # The defaults of each mode, with the least beside them: by themselves the defaults make nothing.
    "gateway-small": Values("gateway-small"),
    "trial": SETS["trial"],
    "gateway": Values("gateway"),
    "inject": Values("inject"),
}


# A chart of its own, which needs its dependency built: see conftest.py.
INCLUDED = "service"


@pytest.mark.parametrize("name", SHOWN)
def test_the_chart_makes_what_it_made(name):
    compare(name, helm.template(SHOWN[name]))


def test_a_service_that_includes_the_sidecar_gets_what_it_got(charts):
    compare(INCLUDED, helm.run("template", "shop", str(charts), "--namespace", "shop", "--kube-version", "1.37.0"))


def compare(name: str, done: subprocess.CompletedProcess) -> None:
    assert done.returncode == 0, done.stderr
    file = FOLDER / f"{name}.yaml"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(done.stdout)
    assert done.stdout == file.read_text(), f"{file} differs; see its diff after UPDATE_SNAPSHOTS=1"


def test_no_snapshot_is_left_over():
    assert {file.stem for file in FOLDER.glob("*.yaml")} == SHOWN.keys() | {INCLUDED}
