"""Laws of several processes: each writes a chain of its own, whatever the others do."""

import subprocess
import sys

import pytest

from rose_guard.audit import Head, verify
from rose_guard.audit.name import FileName
from tests.audit.samples import KEY

BEGIN = """
import os, sys, threading
from rose_guard.audit import AuditLog
from rose_guard.errors import AuditError

def opened(**settings):
    return AuditLog(sys.argv[1], bytes(range(32)), **{"fsync": "never", **settings})

def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0

def say(log):
    print(log.head().to_json(), flush=True)
"""


def run(tmp_path, script):
    """What a process that runs a script says: one head a line."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEGIN + script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [Head.from_json(line) for line in done.stdout.splitlines()]


def test_a_forked_child_begins_a_chain_of_its_own_and_the_parent_goes_on(tmp_path):
    heads = run(
        tmp_path,
        """
log = opened(max_bytes=1)
log.append("end", {"from": "parent"})

def child():
    for _ in range(3):
        log.append("end", {"from": "child"})
    say(log)

in_child(child)
in_child(child)
log.append("end", {"from": "parent"})
say(log)
""",
    )
    report = verify(tmp_path, KEY, heads)
    assert report.intact
    assert sorted(chain.lines for chain in report.chains) == [4, 6, 6]
    assert len({FileName.parse(path.name).pid for path in tmp_path.iterdir()}) == 3
    for path in tmp_path.iterdir():
        chain = FileName.parse(path.name).chain
        assert (b'"from":"child"' in path.read_bytes()) <= (chain in {head.chain for head in heads[:2]})


def test_a_child_that_says_nothing_leaves_nothing(tmp_path):
    heads = run(
        tmp_path,
        "log = opened(fsync='interval')\nlog.append('end', {})\nin_child(log.close)\nlog.append('end', {})\nsay(log)",
    )
    report = verify(tmp_path, KEY, heads)
    assert report.intact
    assert [chain.lines for chain in report.chains] == [3]


def test_a_fork_while_a_thread_appends_blocks_nobody(tmp_path):
    heads = run(
        tmp_path,
        """
log = opened(fsync="interval", interval_s=0.001)
over = threading.Event()

def append():
    while not over.is_set():
        log.append("end", {})

threads = [threading.Thread(target=append) for _ in range(3)]
for thread in threads:
    thread.start()

def child():
    log.append("end", {})
    say(log)

for _ in range(30):
    in_child(child)
over.set()
for thread in threads:
    thread.join()
say(log)
""",
    )
    report = verify(tmp_path, KEY, heads)
    assert report.intact
    assert len(report.chains) == 31


def test_a_log_closed_before_a_fork_is_closed_in_the_child(tmp_path):
    run(
        tmp_path,
        """
log = opened()
log.close()

def child():
    try:
        log.append("end", {})
    except AuditError:
        return
    raise SystemExit(1)

in_child(child)
""",
    )
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("processes", [4])
def test_several_processes_share_a_folder(tmp_path, processes):
    script = BEGIN + "log = opened(max_bytes=2000)\nfor n in range(50): log.append('end', {'n': n})\nsay(log)"
    command = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    heads = [Head.from_json(process.communicate(timeout=120)[0]) for process in running]
    report = verify(tmp_path, KEY, heads)
    assert report.intact
    assert [chain.lines - chain.files for chain in report.chains] == [50] * processes


def test_a_process_that_is_killed_loses_nothing_that_append_took(tmp_path):
    heads = run(
        tmp_path,
        """
import signal
log = opened()

def child():
    for _ in range(5):
        log.append("end", {})
    say(log)
    os.kill(os.getpid(), signal.SIGKILL)

pid = os.fork()
if pid == 0:
    child()
os.waitpid(pid, 0)
""",
    )
    assert [head.sequence for head in heads] == [5]
    assert verify(tmp_path, KEY, heads).intact


def test_the_package_loads_neither_the_policy_nor_torch():
    script = "import sys, rose_guard.audit; print([m for m in sys.modules if m.split('.')[0] in ('torch', 'pydantic') or m.startswith('rose_guard.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = done.stdout
    assert "torch" not in loaded
    assert "rose_guard.policy" not in loaded
    assert "rose_guard.guard" not in loaded
