"""``python -m rose_guard_benchmarks.results DATA OUT [STUDY …]``: the runs and tables of ``docs/results.md``.

DATA is a folder with the data sets under the names in :data:`FILES`, and in its ``labelled`` any answers to measure the
judges by. Each study is a run in a folder of OUT, with its report beside it as Markdown and as a page. What was cut off
is gone on with; what is on record is not done again.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rose_guard.cli.eval.report import report
from rose_guard.cli.eval.run import run

FILES = {
    "ailuminate": "ailuminate_en_dev.jsonl",
    "catqa": "catqa_en.jsonl",
    "harmful_qa": "harmfulqa.jsonl",
    "do_not_answer": "do_not_answer.jsonl",
    "advbench": "advbench.jsonl",
    "alpaca_eval": "alpaca_eval.jsonl",
    "xstest": "xstest_v2_prompts.csv",
    "ok_test": "OKTest.csv",
    "look_alike_prompts": "look_alikes.jsonl",
    "latent_jailbreak": "latent_jailbreak_p1.jsonl",
    "mmlu": "mmlu_500.jsonl",
    "safetybench": "safetybench_zh_subset.jsonl",
    "truthfulqa": "truthfulqa.jsonl",
    "nq_injected": "nq_injected.jsonl",
}
"""Name of each task's file."""
JUDGES = ["pattern", "embedded"]


@dataclass(frozen=True, slots=True)
class Study:
    """One run.

    Args:
        tasks: by name; ``NAME+HOW`` is attacked.
        arms: by name.
        limit: examples of each task.
        settings: what else the command ``rose-guard eval run`` takes.
        judges: who judges the answers.
    """

    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    limit: int
    settings: dict[str, Any]
    judges: tuple[str, ...] = tuple(JUDGES)


_ALPHAS = [0.3, 0.5, 0.7, 0.9]
STUDIES = {
    "grid": Study(
        ("ailuminate", "catqa", "harmful_qa"),
        ("plain", "policy_gated"),
        40,
        {"alpha": _ALPHAS, "horizon": [16, 64], "beta": [0.0, 0.1], "part": "choose"},
    ),
    "trade_off": Study(
        ("ailuminate", "catqa", "alpaca_eval", "look_alike_prompts"),
        ("plain", "policy_ungated", "policy_gated"),
        40,
        {"alpha": _ALPHAS, "part": "choose"},
    ),
    "answers": Study(
        ("ailuminate", "catqa", "do_not_answer", "advbench", "alpaca_eval", "xstest", "ok_test"),
        ("plain", "safe_prompt", "rose_null", "rose_manual", "policy_gated", "guard"),
        40,
        {},
    ),
    "cross_check": Study(("catqa", "alpaca_eval"), ("rose_manual", "cfg"), 15, {}),
    "choices": Study(
        ("mmlu", "safetybench"), ("plain", "rose_manual", "policy_gated", "guard"), 100, {"alpha": [0.7]}, ()
    ),
    "margin": Study(("truthfulqa",), ("plain", "rose_manual", "policy_gated", "guard"), 60, {"max_new_tokens": 1}, ()),
    "attacks": Study(
        (
            "harmful_qa",
            "harmful_qa+completion",
            "harmful_qa+code",
            "harmful_qa+base64",
            "harmful_qa+persona",
            "harmful_qa+cross_task",
            "latent_jailbreak",
            "nq_injected",
        ),
        ("plain", "policy_gated", "guard"),
        25,
        {},
    ),
}
"""By name. The first two choose settings; the others report."""


def perform(name: str, study: Study, data: Path, out: Path) -> None:
    """Run a study, or what is missing of it, and write its report."""
    tasks = [f"{task}={data / FILES[task.partition('+')[0]]}" for task in study.tasks]
    run(task=tasks, out=out / name, arm=list(study.arms), limit=study.limit, **study.settings)
    labelled = sorted((data / "labelled").glob("*.jsonl")) if study.judges else []
    drawn = bool(study.judges)
    with (out / f"{name}.md").open("w", encoding="utf-8") as file, redirect_stdout(file):
        report(
            out / name,
            judge=list(study.judges),
            labelled=labelled,
            html=out / f"{name}.html" if drawn else None,
            curves=out / f"{name}.svg" if drawn else None,
        )


def main() -> None:
    """Perform the studies asked for, or all."""
    data, out = map(Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or STUDIES:
        perform(name, STUDIES[name], data, out)


if __name__ == "__main__":
    main()
