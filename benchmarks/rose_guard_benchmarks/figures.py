"""One function per figure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rose_guard_benchmarks import workload
from rose_guard_benchmarks.figure import Figure, duration, interleave, speed
from rose_guard_benchmarks.subject import Subject, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rose_guard.engines.engine import GenerationRequest
    from rose_guard.message import Message

_ONE_STEERED_IN = 4


def single_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """One steered request over ``model.generate``."""
    sides = {"guarded": _steered(subject, tokens), "plain": _plain(subject, tokens)}
    samples = interleave(sides, repetitions)
    last = subject.run([subject.steered(_long(0), tokens)])[0]
    assert last.timing is not None
    drafts = {"drafted_tokens": last.timing.drafted_tokens, "accepted_tokens": last.timing.accepted_tokens}
    return speed("single_vs_plain", subject.dtype, samples, "plain", first_prompt=drafts)


def single_vs_hf_cfg(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """One steered request over transformers' own ``guidance_scale``."""
    sides = {"guarded": _steered(subject, tokens), "hf_cfg": lambda i: subject.cfg(_long(i), tokens)}
    return speed("single_vs_hf_cfg", subject.dtype, interleave(sides, repetitions), "hf_cfg")


def batch16_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """Sixteen steered requests at once over ``generate`` on the padded batch of what their positive branches read.

    Both sides end where their answers do. Answers without the safe prompt are longer, so tokens per second of that
    batch are told beside it.
    """
    conversations = [workload.question(text) for text in workload.CHAT]
    requests = [subject.steered(c, tokens) for c in conversations]
    sides = {
        "guarded": lambda _: _total(subject, requests),
        "plain": lambda _: subject.plain(conversations, tokens, safe=True),
        "plain_without_safe_prompt": lambda _: subject.plain(conversations, tokens),
    }
    return speed("batch16_vs_plain", subject.dtype, interleave(sides, repetitions), "plain")


def mixed_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """Sixteen requests, one in four of them steered, over the same batch with none steered.

    The same batch: the requests that are steered read the safe prompt on both sides. What it is without any safe
    prompt, and under ``generate``, is told beside it.
    """
    conversations = [workload.question(text) for text in workload.CHAT]
    chosen = [i % _ONE_STEERED_IN == 0 for i in range(len(conversations))]
    mixed = [
        subject.steered(c, tokens) if steered else subject.allowed(c, tokens)
        for c, steered in zip(conversations, chosen, strict=True)
    ]
    same = [subject.allowed(c, tokens, safe=steered) for c, steered in zip(conversations, chosen, strict=True)]
    bare = [subject.allowed(c, tokens) for c in conversations]
    sides = {
        "guarded": lambda _: _total(subject, mixed),
        "unguarded": lambda _: _total(subject, same),
        "unguarded_without_safe_prompt": lambda _: _total(subject, bare),
        "generate": lambda _: subject.plain(conversations, tokens),
    }
    return speed("mixed_vs_plain", subject.dtype, interleave(sides, repetitions), "unguarded")


def rag_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """A steered answer that quotes a thousand-token passage over ``model.generate``."""
    lookup = partial(subject.plain, max_new_tokens=tokens, prompt_lookup_num_tokens=10)
    sides = {
        "guarded": lambda i: _total(subject, [subject.steered(workload.about(i), tokens)]),
        "plain": lambda i: subject.plain([workload.about(i)], tokens),
        "plain_with_prompt_lookup": lambda i: lookup([workload.about(i)]),
    }
    return speed("rag_vs_plain", subject.dtype, interleave(sides, repetitions), "plain")


def ttft_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:  # noqa: ARG001 - one token it is
    """Time to the first token of a steered chat prompt, the policy's prompts known, over ``generate``'s."""
    sides = {"guarded": _steered(subject, 1, _chat), "plain": _plain(subject, 1, _chat)}
    return duration("ttft_vs_plain", subject.dtype, interleave(sides, repetitions), "plain")


def ttft_long_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:  # noqa: ARG001
    """The same with a thousand-token passage."""
    sides = {"guarded": _steered(subject, 1, workload.about), "plain": _plain(subject, 1, workload.about)}
    return duration("ttft_long_vs_plain", subject.dtype, interleave(sides, repetitions), "plain")


def guarded_e2e_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """A harmless request with classifier and policy over ``model.generate``."""
    sides = {"guarded": lambda i: subject.guarded(_long(i), tokens), "plain": _plain(subject, tokens)}
    return speed("guarded_e2e_vs_plain", subject.dtype, interleave(sides, repetitions), "plain")


def guarded_ttft_vs_plain(subject: Subject, repetitions: int, tokens: int) -> Figure:  # noqa: ARG001
    """Time to the first token of a harmless request with classifier and policy over ``generate``'s."""
    sides = {"guarded": lambda i: subject.guarded(_long(i), 1), "plain": _plain(subject, 1)}
    return duration("guarded_ttft_vs_plain", subject.dtype, interleave(sides, repetitions), "plain")


def overhead_share(subject: Subject, repetitions: int, tokens: int) -> Figure:
    """The part of a step that is not the model's own: scheduling, packing, contrast and choosing."""
    shares: dict[str, list[float]] = {"single": [], "batch16": []}
    batch = [subject.steered(workload.question(text), tokens) for text in workload.CHAT]
    for i in range(repetitions):
        for name, requests in (("single", [subject.steered(_long(i), tokens)]), ("batch16", batch)):
            before = subject.engine.stats().clock
            subject.run(requests)
            after = subject.engine.stats().clock
            total, model = after.total_s - before.total_s, after.model_s - before.model_s
            shares[name].append(1 - model / total)
    middle = {name: sorted(values)[len(values) // 2] for name, values in shares.items()}
    worst = max(middle, key=lambda name: middle[name])
    return Figure(
        "overhead_share",
        round(middle[worst], 4),
        round(min(shares[worst]), 4),
        round(max(shares[worst]), 4),
        subject.dtype,
        "share of a step's time",
        {"medians": {name: round(value, 4) for name, value in middle.items()}, "repetitions": repetitions},
    )


FIGURES: dict[str, Callable[[Subject, int, int], Figure]] = {
    function.__name__: function
    for function in (
        single_vs_plain,
        single_vs_hf_cfg,
        batch16_vs_plain,
        mixed_vs_plain,
        rag_vs_plain,
        ttft_vs_plain,
        ttft_long_vs_plain,
        guarded_e2e_vs_plain,
        guarded_ttft_vs_plain,
        overhead_share,
    )
}


def _long(i: int) -> tuple[Message, ...]:
    return workload.question(workload.LONG_ANSWERS[i % len(workload.LONG_ANSWERS)])


def _chat(i: int) -> tuple[Message, ...]:
    return workload.question(workload.CHAT[i % len(workload.CHAT)])


def _steered(
    subject: Subject, tokens: int, conversation: Callable[[int], tuple[Message, ...]] = _long
) -> Callable[[int], int]:
    return lambda i: _total(subject, [subject.steered(conversation(i), tokens)])


def _plain(
    subject: Subject, tokens: int, conversation: Callable[[int], tuple[Message, ...]] = _long
) -> Callable[[int], int]:
    return lambda i: subject.plain([conversation(i)], tokens)


def _total(subject: Subject, requests: Sequence[GenerationRequest]) -> int:
    return sum(tokens_of(delta) for delta in subject.run(requests))
