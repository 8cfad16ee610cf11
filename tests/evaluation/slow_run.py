"""A run that takes its time, to be killed: writes down what it asks for before it is answered."""

import sys
import time
from pathlib import Path

from rose_guard.engines import Contrast, Delta, Timing, Usage
from rose_guard.evaluation.arms import ARMS
from rose_guard.evaluation.configuration import RunSettings
from rose_guard.evaluation.sweep import Sweep
from rose_guard.evaluation.tasks import task_named


class SlowEngine:
    model_id = "slow"

    def __init__(self, log):
        self.log = log

    def streams(self, requests):
        return [self._deltas(request) for request in requests]

    def _deltas(self, request):
        with self.log.open("a") as file:
            file.write(f"q{request.messages[-1].content.split()[2]}\n")
        time.sleep(0.02)
        yield Delta("four", "stop", Usage(3, 1), Contrast(0, 0), Timing(0.02))


if __name__ == "__main__":
    prompts, folder, log = map(Path, sys.argv[1:])
    task = (task_named("benign_prompts"), prompts)
    settings = RunSettings(part="all")
    Sweep([task], [ARMS["plain"]], [SlowEngine(log)], settings, batch_size=2).run(folder)
