"""A store of each kind."""

import pytest

from tests.memory.stores import stores

NAMES = ["in_memory", "sqlite", "redis"]


@pytest.fixture(scope="module", params=NAMES)
def store(request, tmp_path_factory):
    return stores(tmp_path_factory.mktemp("memory"))[NAMES.index(request.param)]


@pytest.fixture(scope="module", params=NAMES[1:])
def shared_store(request, tmp_path_factory):
    """A store that several processes share."""
    return stores(tmp_path_factory.mktemp("memory"))[NAMES.index(request.param)]


@pytest.fixture
def memory(store):
    return store.open(store.new_place())
