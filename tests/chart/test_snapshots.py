"""What the examples make, as files to look at: a change of a template is seen in review.

    UPDATE_SNAPSHOTS=1 scripts/test chart
"""

import os
import pathlib

import pytest

import helm
from helm import Values
from matrix import SETS

FOLDER = pathlib.Path(__file__).parent / "snapshots"
SHOWN = {
    "defaults": SETS["defaults"],
    "trial": SETS["trial"],
    "gateway": Values("gateway"),
    "inject": Values("inject"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_chart_makes_what_it_made(name):
    done = helm.template(SHOWN[name])
    assert done.returncode == 0, done.stderr
    file = FOLDER / f"{name}.yaml"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(done.stdout)
    assert done.stdout == file.read_text(), f"{file} differs; see its diff after UPDATE_SNAPSHOTS=1"


def test_no_snapshot_is_left_over():
    assert {file.stem for file in FOLDER.glob("*.yaml")} == SHOWN.keys()
