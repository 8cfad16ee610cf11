"""The in-process engine: transformers models, one batch of all requests on the process's worker thread."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from functools import cache
from traceback import format_tb
from typing import TYPE_CHECKING, Any

from rose_guard.decoding.batch import Batch
from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.packed_linear import pack_linears
from rose_guard.decoding.runner import runner_for
from rose_guard.engines import embedded, pretrained
from rose_guard.engines.labels import labelled
from rose_guard.engines.reply_maker import ReplyMaker
from rose_guard.engines.stats import EngineStats
from rose_guard.engines.ticket import LoopStream, ThreadStream, Ticket
from rose_guard.engines.worker import worker
from rose_guard.errors import DecodingError, EngineOverloadedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rose_guard.decoding.batch import Progress
    from rose_guard.decoding.generation import Generation
    from rose_guard.engines.engine import GenerationRequest, Tool
    from rose_guard.engines.reply import Reply
    from rose_guard.engines.tool_syntax import ToolSyntax
    from rose_guard.message import Message

_RETRY_S = 0.02

logger = logging.getLogger(__name__)


class TransformersEngine:
    """Runs a causal language model of transformers with a chat template.

    Args:
        model: the loaded model; it is put into evaluation mode, and otherwise left as it is unless the settings say to
            pack its weights.
        tokenizer: its tokenizer.
        model_id: a name for metadata; the model's own unless given.
        settings: how many requests may run and wait, and how much memory they may take.

    Raises:
        ModelLoadError: if the tokenizer has no chat template or cannot be made safe.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        model_id: str | None = None,
        settings: BatchSettings | None = None,
    ) -> None:
        self.hf_model = model
        model.train(mode=False)
        self.hf_tokenizer = tokenizer
        self._maker = ReplyMaker(model, tokenizer)
        self._prompt = self._maker.prompt
        if settings is not None and settings.pack_weights:
            worker.run(pack_linears, model)
        self._batch = Batch(worker.run(runner_for, model), model.device, model.dtype, settings)
        self._replies: dict[Generation, tuple[Reply, Ticket]] = {}
        self._turn_posted, self._holders = False, 0
        self._epoch = worker.epoch
        self._model_id = model_id or model.config.name_or_path or f"{type(model).__name__}-{id(model):x}"

    @classmethod
    def embedded(cls, *, dtype: str = "float32") -> TransformersEngine:
        """The embedded SmolLM2-135M-Instruct; a process holds one copy per dtype.

        Raises:
            ModelLoadError: if its wheel is not installed; the message names the command that installs it.
        """
        return worker.run(_embedded, dtype)

    @classmethod
    def from_pretrained(
        cls, id_or_path: str | Path, *, settings: BatchSettings | None = None, **hf_kwargs: Any
    ) -> TransformersEngine:
        """Any causal language model with a chat template, by hub id or folder.

        Args:
            id_or_path: what ``AutoModelForCausalLM.from_pretrained`` takes.
            settings: as for the constructor.
            hf_kwargs: passed on to it (``dtype``, ``device_map``, ``revision`` …). Weights must be safetensors
                unless ``use_safetensors=False`` asks for pickled ones by name.

        Raises:
            ModelLoadError: if it cannot be found or loaded, or has no usable chat template.
        """
        model, tokenizer = pretrained.load(id_or_path, **hf_kwargs)
        return cls(model, tokenizer, model_id=str(id_or_path), settings=_of_own_model(settings))

    @property
    def model_id(self) -> str:
        """The model's name, revision where known, and dtype."""
        revision = getattr(self.hf_model.config, "_commit_hash", None)
        at = f"@{revision}" if revision else ""
        return f"{self._model_id}{at}:{str(self.hf_model.dtype).removeprefix('torch.')}"

    def stream(self, request: GenerationRequest) -> ThreadStream:
        """As the protocol says."""
        return ThreadStream(lambda ticket: self._enter(ticket, request), advance=self._step if worker.is_here else None)

    def streams(self, requests: Sequence[GenerationRequest]) -> list[ThreadStream]:
        """As the protocol says."""
        opened: list[ThreadStream] = []
        if not requests:
            return opened
        try:
            worker.run(self._hold)
            for request in requests:
                opened.append(self.stream(request))  # noqa: PERF401 - what was opened before an error is closed
        except BaseException:
            for stream in opened:
                stream.close()
            raise
        finally:
            worker.run(self._release)
        return opened

    def astream(self, request: GenerationRequest) -> LoopStream:
        """As the protocol says."""
        return LoopStream(lambda ticket: self._aenter(ticket, request))

    def encode(self, messages: Sequence[Message], lead: str | None = None) -> list[int]:
        """Token ids of a conversation as a branch with this system prompt before it reads them."""
        return worker.run(self._prompt.encode, messages, lead=lead)

    def stats(self) -> EngineStats:
        """What the engine holds and did so far."""
        return worker.run(self._stats)

    def forget(self) -> None:
        """Drop all that is kept of earlier prompts; needed when the model's weights were changed."""
        worker.run(self._batch.prefixes.clear)

    def token_ids(self, text: str) -> list[int]:
        """As the protocol says."""
        return worker.run(self._prompt.token_ids, text)

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """How many tokens a conversation has as a prompt."""
        return len(worker.run(self._prompt.encode, messages, tools=tools))

    @property
    def tool_syntax(self) -> ToolSyntax | None:
        """How the model spells tool calls; None where no grammar can hold it to that."""
        return self._prompt.tool_support.syntax

    @property
    def thinks(self) -> bool:
        """Whether the model may think before it answers; a grammar for text with calls has no place for that."""
        return self._prompt.answer_format.thinks

    @property
    def context_tokens(self) -> int | None:
        """How many tokens the model reads at most."""
        return getattr(self.hf_model.config.get_text_config(), "max_position_embeddings", None)

    def label_logprobs(self, prompt: Sequence[Message], labels: Sequence[str]) -> list[float]:
        """Log-likelihood of each label as the assistant's whole answer, so that the served model can judge by itself.

        Args:
            prompt: a conversation to answer.
            labels: answers, each complete.

        Returns:
            For each label the natural logarithm of its likelihood, summed over its tokens and the one that ends the
            turn.

        Raises:
            ContextLengthError: if the prompt and the longest label do not fit the model's context.
            DecodingError: if a forward pass fails.
        """
        return worker.run(self._label_logprobs, prompt, labels)

    def _label_logprobs(self, prompt: Sequence[Message], labels: Sequence[str]) -> list[float]:
        end = self.hf_tokenizer.eos_token_id
        ids, continuations = labelled(self._prompt, prompt, labels, end=end, context=self.context_tokens)
        return self._batch.logprobs(ids, continuations)

    def _enter(self, ticket: Ticket, request: GenerationRequest) -> None:
        """Begin a request, waiting for a place in the queue as long as the settings allow."""
        replies = worker.run(self._prepare, request, time.perf_counter())
        deadline = time.monotonic() + self._batch.settings.queue_timeout_s
        while True:
            try:
                return worker.run(self._begin, ticket, replies)
            except EngineOverloadedError:
                if time.monotonic() >= deadline:
                    raise
                if worker.is_here:  # nobody else would make room
                    self._step()
                else:
                    time.sleep(_RETRY_S)

    async def _aenter(self, ticket: Ticket, request: GenerationRequest) -> None:
        """As :meth:`_enter`, without blocking the event loop."""
        replies = await worker.arun(self._prepare, request, time.perf_counter())
        deadline = time.monotonic() + self._batch.settings.queue_timeout_s
        while True:
            try:
                return await worker.arun(self._begin, ticket, replies)
            except EngineOverloadedError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_RETRY_S)

    def _prepare(self, request: GenerationRequest, started: float) -> list[Reply]:
        """Encode and check a request; one reply for each of its answers."""
        replies = self._maker.replies(request, started)
        self._batch.check(replies[0].generation)
        return replies

    def _begin(self, ticket: Ticket, replies: list[Reply]) -> None:
        self._check_epoch()
        try:
            self._batch.add(replies[0].generation)
        except EngineOverloadedError:
            self._holders = 0  # what has entered must move on before there is room
            self._post_turn()
            raise
        self._replies.update({reply.generation: (reply, ticket) for reply in replies})
        ticket.begin([reply.generation for reply in replies])
        self._post_turn()

    def _hold(self) -> None:
        """Begin no batch until those who enter together have entered; one that runs goes on."""
        self._holders += 1

    def _release(self) -> None:
        self._holders = max(0, self._holders - 1)
        self._post_turn()

    def _post_turn(self) -> None:
        if self._batch.busy and not self._turn_posted and (self._batch.running or not self._holders):
            self._turn_posted = True
            worker.post(self._turn)

    def _turn(self) -> None:
        self._turn_posted = False
        self._step()
        self._post_turn()

    def _step(self) -> None:
        """One step of the batch, and what came of it to those who wait."""
        try:
            for progress in self._batch.step():
                self._hand_out(progress)
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            logger.error("decoding failed: %s\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))  # noqa: TRY400 - its message may hold text
            for _, ticket in self._replies.values():
                ticket.fail(_own_fault(error))
            self._batch.clear()
        self._replies = {g: entry for g, entry in self._replies.items() if not (g.finished or g.cancelled)}

    def _hand_out(self, progress: Progress) -> None:
        if progress.generation not in self._replies:  # nobody waits for it any more
            return
        reply, ticket = self._replies[progress.generation]
        if progress.error is not None:
            ticket.fail(progress.error)
            return
        try:
            delta = reply.push(progress.steps)
        except BaseException as error:  # noqa: BLE001 - this answer's fault alone
            ticket.fail(_own_fault(error))
            return
        if delta is not None:
            ticket.give(delta)
        if reply.finished:  # perhaps at a stop string, of which the generation knows nothing
            progress.generation.cancelled = True

    def _check_epoch(self) -> None:
        """After a fork, begin afresh: the steps that the parent posted are never done here."""
        if self._epoch is not worker.epoch:
            self._epoch, self._replies = worker.epoch, {}
            self._turn_posted, self._holders = False, 0
            self._batch.clear()

    def _stats(self) -> EngineStats:
        batch = self._batch
        return EngineStats(
            batch.running, batch.waiting, batch.bytes_per_token, batch.prefixes.stats, replace(batch.clock)
        )


@cache
def _embedded(dtype: str) -> TransformersEngine:
    model, tokenizer = embedded.load(dtype)
    return TransformersEngine(model, tokenizer, model_id=embedded.MODEL_ID, settings=_of_own_model(None))


def _of_own_model(settings: BatchSettings | None) -> BatchSettings:
    """Settings for a model that nobody else holds: its weights may be packed."""
    settings = settings or BatchSettings()
    return settings.model_copy(update={"pack_weights": True}) if settings.pack_weights is None else settings


def _own_fault(error: BaseException) -> DecodingError:
    """One for each who waits: an exception that is raised twice carries the frames of both."""
    return DecodingError(f"decoding failed: {type(error).__name__}; this is a fault of rose_guard's own, see the log")
