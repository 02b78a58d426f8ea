"""The images, and a network that only these tests are in (scripts/test makes it)."""

import pathlib
import sys
import time

import pytest

sys.path += [str(pathlib.Path(__file__).parents[1] / name) for name in ("clients/python", "chart")]

import stubs  # noqa: E402

stubs.generate()

import images  # noqa: E402
import network  # noqa: E402


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return images.Storage(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def production(built):
    return built.unpack("zentra-sidecar:test")


@pytest.fixture(scope="session")
def dev(built):
    return built.unpack("zentra-sidecar-dev:test")


@pytest.fixture(scope="session")
def loopback():
    network.bring_up_loopback()


@pytest.fixture
def until():
    def wait(condition, seconds: float, what: str):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"{what}: not within {seconds} s"
            time.sleep(0.05)
        return found

    return wait
