"""What several of the tests are given."""

import pytest

from local import Redis


@pytest.fixture
def redis(tmp_path):
    it = Redis(tmp_path)
    yield it
    it.stop()
