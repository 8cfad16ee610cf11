"""Peak memory of a steered batch over a plain one, each in a process of its own.

``python -m rose_guard_benchmarks.memory SIDE MODEL DTYPE DEVICE TOKENS`` prints one side's as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from rose_guard_benchmarks import workload
from rose_guard_benchmarks.figure import Figure
from rose_guard_benchmarks.subject import Subject, engine, plain_engine, tokens_of

_EMBEDDED = "embedded"


def memory_vs_plain(model_id: str | None, dtype: str, device: str, tokens: int) -> Figure:
    """Sixteen steered requests over ``generate`` on what their positive branches read.

    The reverse branches' keys and values, at the moment when they take most, are not counted.
    """
    sides = {side: _measure(side, model_id, dtype, device, tokens) for side in ("guarded", "plain")}
    counted = sides["guarded"]["peak_bytes"] - sides["guarded"]["reverse_kv_bytes"]
    ratio = round(counted / sides["plain"]["peak_bytes"], 3)
    return Figure("memory_vs_plain", ratio, ratio, ratio, dtype, "bytes over bytes", {"repetitions": 1, **sides})


def _measure(side: str, model_id: str | None, dtype: str, device: str, tokens: int) -> dict[str, int]:
    command = [sys.executable, "-m", __name__, side, model_id or _EMBEDDED, dtype, device, str(tokens)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
    measured: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _one_side(side: str, model_id: str, dtype: str, device: str, tokens: int) -> dict[str, Any]:
    load = plain_engine if side == "plain" else engine
    held = load(None if model_id == _EMBEDDED else model_id, dtype, device)
    subject = Subject(held, held.hf_model, None)
    conversations = [workload.question(text) for text in workload.CHAT]
    _forget_peak(device)
    if side == "plain":
        subject.plain(conversations, tokens, safe=True)
        return {"peak_bytes": _peak(device)}
    last = subject.run([subject.steered(conversation, tokens) for conversation in conversations])
    peak = _peak(device)
    lengths = [
        (subject.reverse_tokens(conversation), tokens_of(delta))
        for conversation, delta in zip(conversations, last, strict=True)
    ]
    most = max(
        sum(prompt + step for prompt, generated in lengths if generated > step) for step in range(max(tokens, 1))
    )
    return {"peak_bytes": peak, "reverse_kv_bytes": most * subject.engine.stats().bytes_per_token}


def _forget_peak(device: str) -> None:
    """Loading a model may take more than running it, and is the same on both sides."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: str) -> int:
    if device != "cpu":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    SIDE, MODEL, DTYPE, DEVICE, TOKENS = sys.argv[1:]
    sys.stdout.write(json.dumps(_one_side(SIDE, MODEL, DTYPE, DEVICE, int(TOKENS))) + "\n")
