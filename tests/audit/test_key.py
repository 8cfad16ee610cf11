"""Laws of the key: kept to its owner, never shown, one subkey per purpose."""

import copy
import os
import pickle
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import RoseGuardError
from rose_guard.audit import AuditKey
from rose_guard.errors import AuditError

HEX = "0123456789abcdef" * 4
SECRET = bytes.fromhex(HEX)


def key_file(tmp_path, text=HEX + "\n", mode=0o600):
    path = tmp_path / "audit.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_file_environment_and_bytes_give_the_same_key(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", HEX)
    keys = [AuditKey(SECRET), AuditKey.from_file(key_file(tmp_path)), AuditKey.from_env("KEY")]
    assert len({key.mac(b"line") for key in keys}) == 1
    assert len({key.digest("prompt", b"text") for key in keys}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path, mode):
    with pytest.raises(AuditError, match="chmod 600") as raised:
        AuditKey.from_file(key_file(tmp_path, mode=mode))
    assert HEX not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "ab", HEX[:-2], HEX[:-1], "x" + HEX, "correct horse battery staple" * 3, "é" * 64]
)
def test_what_is_no_key_is_refused_with_the_command_that_makes_one(tmp_path, monkeypatch, text):
    path = key_file(tmp_path, text)
    monkeypatch.setenv("KEY", text)
    for read in (lambda: AuditKey.from_file(path), lambda: AuditKey.from_env("KEY")):
        with pytest.raises(AuditError, match="openssl rand -hex 32") as raised:
            read()
        assert len(text) < 4 or text not in str(raised.value)


def test_the_commands_of_the_messages_make_a_key(tmp_path, monkeypatch):
    path = tmp_path / "a folder's key"
    with pytest.raises(AuditError) as raised:
        AuditKey.from_file(path)
    subprocess.run(["bash", "-c", str(raised.value).split("make a key with: ")[1]], check=True)
    assert AuditKey.from_file(path)

    monkeypatch.delenv("KEY", raising=False)
    with pytest.raises(AuditError) as raised:
        AuditKey.from_env("KEY")
    command = str(raised.value).split("make a key with: ")[1]
    made = subprocess.run(["bash", "-c", f'{command}; printf %s "$KEY"'], check=True, capture_output=True, text=True)
    monkeypatch.setenv("KEY", made.stdout)
    assert AuditKey.from_env("KEY")


def test_a_pipe_or_a_folder_is_no_key_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(AuditError, match="no file"):
            AuditKey.from_file(path)


def test_a_longer_key_is_taken_whole_or_not_at_all(tmp_path):
    assert AuditKey.from_file(key_file(tmp_path, HEX * 60)).mac(b"") == AuditKey(SECRET * 60).mac(b"")
    with pytest.raises(AuditError):
        AuditKey.from_file(key_file(tmp_path, HEX * 100))


@pytest.mark.parametrize("secret", [b"", b"k" * 31, "k" * 64, None, 32])
def test_a_constructor_refuses_short_keys_and_what_is_no_bytes(secret):
    with pytest.raises(AuditError):
        AuditKey(secret)


def test_a_key_is_never_shown_copied_or_pickled():
    key = AuditKey(SECRET)
    for shown in (repr(key), str(key), f"{key}"):
        assert shown == "AuditKey(<hidden>)"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(key)


def test_the_secret_itself_is_not_kept():
    key = AuditKey(SECRET)
    assert SECRET not in [getattr(key, slot) for slot in AuditKey.__slots__]
    assert not hasattr(key, "__dict__")


@given(st.binary(), st.sampled_from(["prompt", "answer", "principal"]), st.sampled_from(["prompt", "answer", "thread"]))
def test_each_purpose_has_digests_of_its_own(data, purpose, other):
    key = AuditKey(SECRET)
    assert key.mac(data) != key.digest(purpose, data)
    assert (key.digest(purpose, data) == key.digest(other, data)) == (purpose == other)


def test_every_error_is_a_rose_guard_error():
    with pytest.raises(RoseGuardError):
        AuditKey(b"")
