"""What the tests share: a sidecar that had real traffic, and a Prometheus that watched it."""

import pathlib
import sys

import pytest

# The clients' tests have the stubs, the sidecars before one Redis, and the requests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients" / "python"))

import stubs  # noqa: E402

stubs.generate()

import traffic  # noqa: E402


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    """A world whose traffic is over, and whose Redis is gone."""
    with traffic.World(tmp_path_factory.mktemp("world")) as world:
        world.pay()
        world.lose_the_store()
        yield world
