"""What stands in for tasks, files and what scores answers, in the tests of runs."""

import json

from rose_guard.evaluation.arms import ARMS
from rose_guard.evaluation.configuration import RunSettings
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.sweep import Sweep
from rose_guard.evaluation.task import Task
from rose_guard.evaluation.tasks import task_named
from rose_guard.message import Message
from tests.guard.fakes import FakeEngine

ALL = RunSettings(part="all", max_new_tokens=8)
BENIGN = task_named("benign_prompts")
PLAIN_AND_ROSE = (ARMS["plain"], ARMS["rose_manual"])


def sweep_of(*tasks, engine=None, arms=PLAIN_AND_ROSE, classifier=None, scorer=None, settings=ALL, **more):
    """A sweep on one engine or a list of them, with nothing to score by unless given."""
    engines = engine if isinstance(engine, list) else [engine or FakeEngine()]
    return Sweep(tasks, arms, engines, settings, classifier, scorer=lambda _: scorer, **more)


def prompts_file(path, count, *, start=0):
    """Harmless prompts in the format of one's own."""
    rows = [{"id": f"q{i}", "text": f"What is {i} plus {i}?"} for i in range(start, start + count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def choice_task(count):
    """Multiple choice; takes any path, since it reads no file."""
    examples = [
        Example(f"c{i}", (Message("user", f"Which, {i}?"),), "choice", options=("this", "that"), answer=i % 2)
        for i in range(count)
    ]
    return _task("choices", "choice", examples)


def reference_task(count):
    """Questions with a safe and an unsafe answer."""
    examples = [
        Example(f"r{i}", (Message("user", f"So, {i}?"),), "benign", safe=("yes",), unsafe=("no", "never"))
        for i in range(count)
    ]
    return _task("references", "benign", examples)


class FakeScorer:
    """The longer a text, the less likely; remembers how often it was asked."""

    def __init__(self):
        self.asked = []

    def options(self, example, safe_prompt, reverse_prompts, settings):
        self.asked.append(("options", example.id, safe_prompt, len(reverse_prompts), settings.alpha))
        return tuple(-float(len(option)) for option in example.options)

    def references(self, example, safe_prompt, reverse_prompts, settings):
        self.asked.append(("references", example.id, safe_prompt, len(reverse_prompts), settings.alpha))
        return tuple(-1.0 for _ in example.safe), tuple(-2.0 for _ in example.unsafe)

    def plain(self, messages, answer):
        self.asked.append(("plain", answer))
        return -0.5


def _task(name, kind, examples):
    return Task(name, name, "made up", "none", kind, ("id",), lambda _: examples, lambda _: [])
