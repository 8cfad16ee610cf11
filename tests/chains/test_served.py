"""Laws of what is served and found: langgraph.json and the entry points name the chains, and nothing loads too soon."""

import asyncio
import inspect
import json
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from langgraph.graph.state import CompiledStateGraph

from rose_guard import SettingsError
from rose_guard_chains import guarded_rag
from rose_guard_chains.served import served

ROOT = Path(__file__).parent.parent.parent
SERVED = json.loads((ROOT / "langgraph.json").read_text())
CHAINS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["rose_guard.chains"]


def loaded(place, monkeypatch):
    """What langgraph.json names, from its file, as a server reads it: under a module name of its own."""
    path, name = place.split(":")
    spec = spec_from_file_location("served_" + Path(path).stem, ROOT / path)
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("name", SERVED["graphs"])
async def test_every_graph_resolves_and_is_built_once_without_a_checkpointer(name, monkeypatch):
    """A server brings its own checkpointer, refuses another one, and calls a factory for every run."""
    monkeypatch.chdir(ROOT)
    for variable, value in SERVED["env"].items():
        monkeypatch.setenv(variable, value)
    factory = loaded(SERVED["graphs"][name], monkeypatch)
    assert len(inspect.signature(factory).parameters) == 1
    built = await factory({})
    assert isinstance(built, CompiledStateGraph)
    assert (built.name, built.checkpointer) == (name, None)
    assert await factory({}) is built


def test_every_chain_is_served_and_has_an_entry_point_that_is_its_build():
    files = {
        path.stem for path in (ROOT / "chains/rose_guard_chains").glob("*.py") if "graph = served(" in path.read_text()
    }
    assert set(SERVED["graphs"]) == set(CHAINS) == files
    for name, place in CHAINS.items():
        module, function = place.split(":")
        assert (module, function) == (f"rose_guard_chains.{name}", "build")
        assert import_module(module).build.__doc__


def test_an_installed_entry_point_leads_to_the_chain():
    found = {point.name: point.load() for point in entry_points(group="rose_guard.chains")}
    assert found["guarded_chat"] is import_module("rose_guard_chains.guarded_chat").build


def test_importing_a_chain_loads_no_model():
    names = ", ".join(f"rose_guard_chains.{name}" for name in CHAINS)
    check = f"import sys, {names}; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


async def test_a_graph_is_not_built_on_the_event_loop():
    import threading

    seen = []
    await served(lambda: seen.append(threading.current_thread()))({})
    assert seen != [threading.main_thread()]


async def test_runs_that_begin_together_share_one_graph():
    import time

    built = []

    def build():
        time.sleep(0.05)
        built.append(object())
        return built[-1]

    factory = served(build)
    first, second = await asyncio.gather(factory({}), factory({}))
    assert first is second
    assert len(built) == 1


async def test_the_served_documents_must_be_named(monkeypatch):
    monkeypatch.delenv(guarded_rag.DOCUMENTS, raising=False)
    with pytest.raises(SettingsError, match=guarded_rag.DOCUMENTS):
        await guarded_rag.graph({})
