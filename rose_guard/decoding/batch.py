"""Batch: many generations decoded together; they join and leave between steps.

One step reads prompts and chosen tokens into every branch's row and lets each generation choose whose branches have
all said something. It knows nothing of threads, text or policies.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.continuation import continuation_logprobs
from rose_guard.decoding.drafting import draft
from rose_guard.decoding.free_memory import free_bytes
from rose_guard.decoding.prefix_cache import SHARED, SHORTEST, PrefixCache
from rose_guard.decoding.step_cost import StepCost
from rose_guard.errors import DecodingError, EngineOverloadedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rose_guard.decoding.branch import Branch
    from rose_guard.decoding.generation import Generation, Step
    from rose_guard.decoding.packed_runner import PackedRunner
    from rose_guard.decoding.serial_runner import SerialRunner

_PREFILL_ALONE = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step did for one generation: tokens, or the error that ended it."""

    generation: Generation
    steps: list[Step] = field(default_factory=list)
    error: DecodingError | None = None


@dataclass(slots=True)
class Clock:
    """Where a batch's time went, in seconds.

    Args:
        steps: number of steps.
        total_s: all of them, from first to last line.
        model_s: the model's own part.
    """

    steps: int = 0
    total_s: float = 0.0
    model_s: float = 0.0


class Batch:
    """Decodes generations step by step.

    Args:
        runner: what reads tokens.
        device: where it runs.
        dtype: its precision.
        settings: how much may run at once.
    """

    def __init__(
        self,
        runner: PackedRunner | SerialRunner,
        device: torch.device,
        dtype: torch.dtype,
        settings: BatchSettings | None = None,
    ) -> None:
        self.settings = settings or BatchSettings()
        self.clock = Clock()
        self.prefixes = PrefixCache(self.settings.prefix_cache_bytes if runner.packs else 0)
        self._runner: Any = runner
        self._cost = StepCost(device, dtype)
        self._waiting: deque[Generation] = deque()
        self._running: list[Generation] = []
        self._kv_cache_bytes = self.settings.kv_cache_bytes or free_bytes(device) // 2

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting or self._running)

    @property
    def running(self) -> int:
        """Generations that are being decoded."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Generations that wait for a place."""
        return len(self._waiting)

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token's keys and values in one branch."""
        return int(self._runner.bytes_per_token)

    def check(self, generation: Generation) -> None:
        """See that a generation, and its followers with it, can have a place at all.

        Raises:
            EngineOverloadedError: if it needs more than the whole batch has.
        """
        branches, nbytes = self._needs(generation)
        if branches > self.settings.max_branches or nbytes > self._kv_cache_bytes:
            raise EngineOverloadedError(
                f"this request alone needs {branches} branches and {nbytes} bytes of keys and values, but the engine "
                f"has {self.settings.max_branches} and {self._kv_cache_bytes}; lower max_tokens, or raise "
                f"BatchSettings.max_branches and kv_cache_bytes"
            )

    def add(self, generation: Generation) -> None:
        """Let a generation, and its followers with it, wait for a place.

        Raises:
            EngineOverloadedError: if too many wait already.
        """
        if len(self._waiting) >= self.settings.max_queue and not self._fits([*self._waiting, generation]):
            raise EngineOverloadedError(
                f"{len(self._waiting)} requests wait already; try again later, or raise BatchSettings.max_queue or "
                f"queue_timeout_s"
            )
        self._waiting.append(generation)

    def logprobs(self, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[float]:
        """Log-likelihoods of continuations of a prompt, beside what runs; see :func:`continuation_logprobs`."""
        return continuation_logprobs(self._runner, prompt, continuations)

    @torch.inference_mode()
    def clear(self) -> None:
        """Drop every generation."""
        self._waiting.clear()
        for generation in list(self._running):
            self._retire(generation, keep=False)

    @torch.inference_mode()
    def step(self) -> list[Progress]:
        """Advance every running generation by one step.

        A generation is given tokens only if every branch that was due took part; otherwise it ends with an error.
        """
        started, model_s = time.perf_counter(), self._runner.model_s
        self._drop_cancelled()
        progress = self._admit()
        progress += self._advance()
        self.clock.steps += 1
        self.clock.total_s += time.perf_counter() - started
        self.clock.model_s += self._runner.model_s - model_s
        return progress

    def _drop_cancelled(self) -> None:
        self._waiting = deque(g for g in self._waiting if not _cancelled(g))
        for generation in [g for g in self._running if _cancelled(g)]:
            self._retire(generation)

    def _admit(self) -> list[Progress]:
        """Give places to those that wait, in their order, while there is room."""
        failed: list[Progress] = []
        admitted: list[Generation] = []
        while self._waiting and self._fits([*admitted, self._waiting[0]]):
            admitted.append(self._waiting.popleft())
        self._runner.reserve([tokens for generation in admitted for tokens in generation.tokens])
        for generation in admitted:
            self._running.append(generation)
            try:
                self._open(generation)
            except DecodingError as error:
                failed.append(self._fail(generation, error))
        return failed

    def _fits(self, more: list[Generation]) -> bool:
        """Whether these have room beside what runs."""
        needs = [self._needs(generation) for generation in (*self._running, *more)]
        return (
            sum(branches for branches, _ in needs) <= self.settings.max_branches
            and sum(nbytes for _, nbytes in needs) <= self._kv_cache_bytes
        )

    def _needs(self, generation: Generation) -> tuple[int, int]:
        """Branches, and bytes of keys and values to the last token, of a generation and its followers."""
        family = [generation, *generation.followers]
        return (
            sum(len(g.branches) for g in family),
            sum(self._runner.row_bytes(tokens) for g in family for tokens in g.tokens),
        )

    def _open(self, generation: Generation) -> None:
        """Make a row for each branch, beginning with what is known of its prompt."""
        for branch, tokens in zip(generation.branches, generation.tokens, strict=True):
            branch.row = self._runner.open(tokens)
        if not self.settings.prefix_cache_bytes or not self._runner.packs:
            return
        self._read_shared(generation.branches)
        for branch in generation.branches:
            saved, length = self.prefixes.find(branch.prompt.ids[:-1], generation.options.owner)
            if saved is not None:
                self._runner.load(branch.row, saved, length)
                generation.counts.cached_tokens += length

    def _read_shared(self, branches: Iterable[Branch]) -> None:
        """Read the policy's part of prompts that is not known yet, so that later ones find it."""
        heads = {branch.prompt.ids[: branch.prompt.shared_tokens] for branch in branches}
        missing = [ids for ids in heads if len(ids) >= SHORTEST and not self.prefixes.holds(ids, SHARED)]
        rows: list[Any] = []
        try:
            rows += [self._runner.open(len(ids)) for ids in missing]
            if missing:
                self._runner.read([(row, ids, 0) for row, ids in zip(rows, missing, strict=True)])
            for row, ids in zip(rows, missing, strict=True):
                self.prefixes.add(ids, SHARED, self._runner.save(row, len(ids)))
        finally:
            for row in rows:
                self._runner.close(row)

    def _advance(self) -> list[Progress]:
        reads = self._reads()
        if not reads:
            return []
        try:
            logits = self._runner.read([(branch.row, tokens, wanted) for branch, tokens, wanted in reads])
        except DecodingError as error:  # the step was everybody's, so nobody knows what it left in their rows
            return [self._fail(generation, DecodingError(str(error))) for generation in list(self._running)]
        for (branch, _, wanted), given in zip(reads, logits, strict=True):
            if wanted:
                branch.logits = given
        self._copy_to_followers()
        return [self._choose(generation) for generation in list(self._running) if generation.ready]

    def _choose(self, generation: Generation) -> Progress:
        try:
            steps = generation.choose()
        except DecodingError as error:
            return self._fail(generation, error)
        except BaseException as error:  # noqa: BLE001 - a grammar's or a processor's fault is this answer's alone
            failure = DecodingError(f"no token could be chosen: {type(error).__name__} in the grammar or a processor")
            failure.__cause__ = error
            return self._fail(generation, failure)
        if generation.finished:
            self._retire(generation)
        elif generation.horizon_reached:
            self._close(generation, generation.reverse)
            generation.reverse = []
        return Progress(generation, steps)

    def _reads(self) -> list[tuple[Branch, list[int], int]]:
        """What each branch reads in this step: prompt, latest token, draft; and how many logits it must give."""
        decoding = [g for g in self._running if g.decodes]
        prefill = [g for g in self._running if not g.decodes]
        room = self.settings.prefill_tokens if decoding else _PREFILL_ALONE * self.settings.prefill_tokens
        reads: list[tuple[Branch, list[int], int]] = []
        for generation in prefill:
            for branch in generation.branches:
                if branch.logits is not None or room <= 0:
                    continue
                unread = generation.unread(branch)
                piece = unread[:room]
                room -= len(piece)
                reads.append((branch, piece, int(len(piece) == len(unread))))
        if self._runner.packs:
            longest = self.settings.prompt_lookup_num_tokens
            draft(decoding, longest, self._cost, beside=sum(len(tokens) for _, tokens, _ in reads))
        for generation in decoding:
            latest = [generation.generated[-1], *generation.draft]
            reads.extend((branch, latest, len(latest)) for branch in generation.branches)
        return reads

    def _copy_to_followers(self) -> None:
        """Once a prompt is read, let the other answers to it start from there."""
        for leader in [g for g in self._running if g.followers and g.ready]:
            followers, leader.followers = leader.followers, []
            for follower in followers:
                self._running.append(follower)
                for branch, read in zip(follower.branches, leader.branches, strict=True):
                    branch.row = self._runner.copy(read.row, len(branch.prompt.ids) + follower.limit)
                    branch.logits = read.logits
                follower.counts.cached_tokens = follower.counts.prompt_tokens

    def _fail(self, generation: Generation, error: DecodingError) -> Progress:
        self._retire(generation, keep=False)
        return Progress(generation, error=error)

    def _retire(self, generation: Generation, *, keep: bool = True) -> None:
        """Free a generation's places."""
        self._running.remove(generation)
        self._close(generation, generation.branches, keep=keep)

    def _close(self, generation: Generation, branches: Iterable[Branch], *, keep: bool = True) -> None:
        """Free branches' rows, and keep what they read for their owner's next turn."""
        owner = generation.options.owner
        for branch in branches:
            if branch.row is None:
                continue
            row, branch.row = branch.row, None
            try:
                if keep and owner is not None and self._runner.packs:
                    self._keep((*branch.prompt.ids, *generation.generated)[: row.length], owner, row)
            finally:
                self._runner.close(row)

    def _keep(self, read: tuple[int, ...], owner: str, row: Any) -> None:
        """Keep what a row has read, where it is new and there is memory for a copy."""
        if len(read) < SHORTEST or self.prefixes.holds(read, owner):
            return
        try:
            self.prefixes.add(read, owner, self._runner.save(row, len(read)))
        except torch.OutOfMemoryError:
            self.prefixes.clear()


def _cancelled(generation: Generation) -> bool:
    """Whether nobody waits for it any more, nor for any of its followers."""
    if generation.followers:
        generation.followers = [g for g in generation.followers if not g.cancelled]
    return generation.cancelled and not generation.followers
