"""What stands in for models, logs and stores: each does as it is told."""

import asyncio
from dataclasses import replace

from rose_guard import AuditError, RiskAssessment
from rose_guard.engines import Contrast, Delta, Timing, Usage
from rose_guard.taxonomy import ATTACKS, HAZARDS


class FakeClassifier:
    """Gives the scores that it is told to give."""

    name = "fake"

    def __init__(self, **scores):
        self.scores, self.asked = scores, []

    def classify(self, messages):
        self.asked.append(messages)
        values = {**dict.fromkeys([*HAZARDS, *ATTACKS], 0.0), **self.scores}
        return RiskAssessment(
            max(values.values()), {h: values[h] for h in HAZARDS}, {a: values[a] for a in ATTACKS}, classifier="fake"
        )


class FailingClassifier:
    name = "failing"

    def __init__(self, error):
        self.error = error

    def classify(self, messages):
        raise self.error


class FakeEngine:
    """Remembers what it was asked for, and answers word by word; a later request may have other words."""

    model_id = "fake"

    def __init__(self, *answers):
        self.requests, self.open = [], 0
        self._answers = list(answers) or ["one two three"]

    def stream(self, request):
        self.requests.append(request)
        return self._deltas(request, self._answers[min(len(self.requests), len(self._answers)) - 1])

    def streams(self, requests):
        return [self.stream(request) for request in requests]

    async def astream(self, request):
        deltas = self.stream(request)
        try:
            for delta in deltas:
                await asyncio.sleep(0)
                yield delta
        finally:
            deltas.close()

    def token_ids(self, text):
        return [ord(char) for char in text]

    def _deltas(self, request, answer):
        self.open += 1
        try:
            words = answer.split(" ")[: request.max_new_tokens]
            for word in words[:-1]:
                yield Delta(word + " ", tokens=1, prompt_tokens=7)
            usage = Usage(7, len(words))
            yield Delta(words[-1], "stop", usage, Contrast(0, 0), Timing(0.1), tokens=1, prompt_tokens=7)
        finally:
            self.open -= 1


class ScriptedEngine(FakeEngine):
    """Gives the deltas that it is told to give; the last of each answer ends it."""

    def _deltas(self, request, answer):
        self.open += 1
        try:
            yield from answer[:-1]
            usage = Usage(7, sum(delta.tokens for delta in answer))
            yield replace(answer[-1], finish_reason="stop", usage=usage, contrast=Contrast(0, 0), timing=Timing(0.1))
        finally:
            self.open -= 1


class Unsteerable(FakeEngine):
    """Cannot contrast, as a hosted model cannot."""

    model_id = "hosted"
    steers = False


class FakeAnswerClassifier:
    """Finds harm where a word is, and remembers what it was shown."""

    name = "fake-answers"

    def __init__(self, word="bad", fault=None):
        self.word, self.fault, self.shown = word, fault, []

    def harm(self, text):
        self.shown.append(text)
        if self.fault:
            raise self.fault
        return 0.9 if self.word in text.split() else 0.1


class Trail:
    """Remembers what was recorded; fails at the events it is told to."""

    def __init__(self, *failing):
        self.events, self.failing = [], failing

    def append(self, kind, payload):
        if kind in self.failing:
            raise AuditError("the disk is full")
        self.events.append((kind, payload))

    @property
    def kinds(self):
        return [kind for kind, _ in self.events]


class FakeStore:
    """Keeps answers in a dict; fails, or gives nonsense, where it is told to."""

    def __init__(self, *, fault=None, nonsense=None):
        self.kept, self.fault, self.nonsense = {}, fault, nonsense

    def find(self, key):
        if self.fault:
            raise self.fault
        return self.kept.get(key) if self.nonsense is None else self.nonsense

    def keep(self, key, answers):
        if self.fault:
            raise self.fault
        self.kept[key] = answers


async def pieces_of(guard, messages, options=None, *, asynchronous):
    """A stream's pieces, as threads or as event loops get them."""
    if asynchronous:
        return [piece async for piece in guard.astream(messages, options=options)]
    return list(guard.stream(messages, options=options))
