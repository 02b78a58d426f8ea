"""What several of the tests are given."""

import shutil

import pytest

import helm
from local import Redis


@pytest.fixture(scope="session")
def charts(tmp_path_factory):
    """The example of a service's own chart, in a copy, with the dependency built by Helm."""
    copied = tmp_path_factory.mktemp("charts") / "zentra-sidecar"
    shutil.copytree(helm.CHART, copied)
    service = copied / "examples/service"
    done = helm.run("dependency", "build", str(service))
    assert done.returncode == 0, done.stderr
    return service


@pytest.fixture(scope="session")
def example() -> list[dict]:
    """The objects of mode inject, with the profiles live and sandbox. Only to be read."""
    return helm.render(helm.Values("inject"))


@pytest.fixture
def redis(tmp_path):
    it = Redis(tmp_path)
    yield it
    it.stop()
