"""Tasks: one file a data set, in its published format. No data ships with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.errors import InputError
from rose_guard.evaluation.tasks.advbench import ADVBENCH
from rose_guard.evaluation.tasks.ailuminate import AILUMINATE
from rose_guard.evaluation.tasks.alpaca_eval import ALPACA_EVAL
from rose_guard.evaluation.tasks.attacked import ATTACKED, attacked
from rose_guard.evaluation.tasks.beavertails import BEAVERTAILS, BEAVERTAILS_EVALUATION
from rose_guard.evaluation.tasks.catqa import CATQA
from rose_guard.evaluation.tasks.cross_task import CROSS_TASK, cross_task
from rose_guard.evaluation.tasks.cvalues import CVALUES
from rose_guard.evaluation.tasks.dangerous_qa import DANGEROUS_QA
from rose_guard.evaluation.tasks.do_not_answer import DO_NOT_ANSWER
from rose_guard.evaluation.tasks.harmbench import HARMBENCH
from rose_guard.evaluation.tasks.harmful_qa import HARMFUL_QA
from rose_guard.evaluation.tasks.latent_jailbreak import LATENT_JAILBREAK
from rose_guard.evaluation.tasks.mmlu import MMLU
from rose_guard.evaluation.tasks.nq_injected import NQ_INJECTED
from rose_guard.evaluation.tasks.ok_test import OK_TEST
from rose_guard.evaluation.tasks.or_bench import OR_BENCH, OR_BENCH_TOXIC
from rose_guard.evaluation.tasks.own import BENIGN_PROMPTS, HARMFUL_PROMPTS, LOOK_ALIKE_PROMPTS
from rose_guard.evaluation.tasks.safetybench import SAFETYBENCH
from rose_guard.evaluation.tasks.simple_safety_tests import SIMPLE_SAFETY_TESTS
from rose_guard.evaluation.tasks.truthfulqa import TRUTHFULQA
from rose_guard.evaluation.tasks.xstest import XSTEST

if TYPE_CHECKING:
    from rose_guard.evaluation.task import Task

_ALL = (
    ADVBENCH,
    AILUMINATE,
    ALPACA_EVAL,
    BEAVERTAILS,
    BEAVERTAILS_EVALUATION,
    BENIGN_PROMPTS,
    CATQA,
    CROSS_TASK,
    CVALUES,
    DANGEROUS_QA,
    DO_NOT_ANSWER,
    HARMBENCH,
    HARMFUL_PROMPTS,
    HARMFUL_QA,
    LATENT_JAILBREAK,
    LOOK_ALIKE_PROMPTS,
    MMLU,
    NQ_INJECTED,
    OK_TEST,
    OR_BENCH,
    OR_BENCH_TOXIC,
    SAFETYBENCH,
    SIMPLE_SAFETY_TESTS,
    TRUTHFULQA,
    XSTEST,
)
TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""By name."""
_CROSS_TASK = "cross_task"


def task_named(name: str) -> Task:
    """A task by its name, or ``name+how`` for the prompts of a harmful one attacked or buried in documents.

    Raises:
        InputError: if there is no such task or attack, or the task's prompts are not harmful.
    """
    base, _, how = name.partition("+")
    if base not in TASKS:
        raise InputError(f"no such task; there are {', '.join(TASKS)}")
    if not how:
        return TASKS[base]
    if how not in (*ATTACKED, _CROSS_TASK):
        raise InputError(f"no such attack; there are {', '.join((*ATTACKED, _CROSS_TASK))}")
    return cross_task(TASKS[base]) if how == _CROSS_TASK else attacked(TASKS[base], how)
