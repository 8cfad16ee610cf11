"""LabelLikelihood: how likely a language model gives each of several answers to one prompt."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import pairwise, takewhile, zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

from rose_guard.errors import ClassifierError
from rose_guard.risk.deadline import check_deadline

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Label = TypeVar("Label", bound=Hashable)

ROWS_AT_ONCE = 8
"""Answers read in one forward pass; each holds a copy of the prompt's keys and values."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an answer begins.

    Args:
        text: as it follows the prompt; special tokens spelt in it are text.
        ends: whether the turn ends there.
        then: what may follow. Only tokens that all of these begin with are scored, so that a token which takes in both
            a separator and a letter after it, as ``,S`` in ``S1,S5``, is scored as a model would write it.
    """

    text: str
    ends: bool = False
    then: tuple[str, ...] = ()


class LabelLikelihood:
    """Scores answers by teacher forcing: nothing is sampled, and no text is parsed.

    The prompt is read once, when this is made. Each answer's tokens are then scored where they would follow it, so
    that its probability is the product of theirs. What answers have in common is read once too.

    One answer must not begin another one: where a tokenizer splits ``S10`` after ``S1``, the likelihood of the longer
    one counts into the shorter. Such answers are told apart by what follows them, a separator or the turn's end.

    Args:
        model: a causal language model in evaluation mode.
        tokenizer: its tokenizer.
        prompt: token ids, up to where the answer begins.

    Raises:
        ClassifierError: if the prompt does not fit the model's context, the model fails, or time is up.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int]) -> None:
        import torch

        self._model, self._tokenizer, self._prompt = model, tokenizer, list(prompt)
        self._check_room(0)
        output = self._forward(torch.tensor([self._prompt]), logits_to_keep=1)
        self._cache = output.past_key_values
        self._first: Tensor = output.logits[0, -1].float().log_softmax(dim=-1).cpu()

    @property
    def follows_newline(self) -> bool:
        """Whether the answer begins on a new line."""
        return str(self._tokenizer.decode(self._prompt[-1:])).endswith("\n")

    def probabilities(self, answers: Mapping[Label, Sequence[Answer]]) -> dict[Label, float]:
        """Probability of each label, given that the answer is one of these; they add up to 1.

        Args:
            answers: for each label the ways to give it, whose likelihoods add up.

        Raises:
            ClassifierError: if an answer begins another one, does not fit, or a likelihood is no number.
        """
        import torch

        tokens = [(label, ids) for label, ways in answers.items() for way in ways for ids in self._token_ids(way)]
        sequences = [ids for _, ids in tokens]
        _check_distinct(sequences)
        self._check_room(max(map(len, sequences)))
        likelihoods = self._log_likelihoods(sequences)
        by_label = [
            torch.logsumexp(likelihoods[[i for i, (of, _) in enumerate(tokens) if of == label]], dim=0)
            for label in answers
        ]
        shares = torch.stack(by_label).softmax(dim=0).tolist()
        if not all(map(math.isfinite, shares)):
            raise ClassifierError("the classifier's model gives likelihoods that are no numbers")
        return dict(zip(answers, shares, strict=True))

    def listed(self, lead: str, labels: Sequence[str], *, separator: str) -> dict[str, float]:
        """Probability of each label to be one of the first two in a list, given that the list names these labels.

        The second is looked for after the likeliest first one that the list goes on from.

        Args:
            lead: what the answer says before the list.
            labels: what the list may name.
            separator: what stands between two names; a name is complete where it, a new line or the turn's end
                follows. There are three names at least.

        Raises:
            ClassifierError: as :meth:`probabilities`.
        """
        first = self.probabilities(
            {
                **{(label, True): _goes_on(lead, label, labels, separator) for label in labels},
                **{(label, False): _stops(lead, label) for label in labels},
            }
        )
        likeliest = max(labels, key=lambda label: first[label, True])
        before, others = f"{lead}{likeliest}{separator}", [label for label in labels if label != likeliest]
        second = self.probabilities(
            {label: _goes_on(before, label, labels, separator) + _stops(before, label) for label in others}
        )
        reached = first[likeliest, True]
        return {
            label: min(1.0, first[label, True] + first[label, False] + reached * second.get(label, 0.0))
            for label in labels
        }

    def _log_likelihoods(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Natural logarithms, shape ``(sequences,)``, of what comes after the tokens that all begin with."""
        import torch

        begin = _shared([ids[:-1] for ids in sequences])
        first, cache = self._read(begin)
        sequences = [ids[len(begin) :] for ids in sequences]
        likelihoods = first[[ids[0] for ids in sequences]].double()
        rows = _longest([ids[:-1] for ids in sequences if len(ids) > 1])
        row_of = [next((r for r, row in enumerate(rows) if row[: len(ids) - 1] == ids[:-1]), -1) for ids in sequences]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            logprobs = self._follow(cache, rows[start : start + ROWS_AT_ONCE])
            gained = [
                (i, row_of[i] - start, place, token)
                for i, ids in enumerate(sequences)
                if start <= row_of[i] < start + ROWS_AT_ONCE
                for place, token in enumerate(ids[1:])
            ]
            index, row, place, token = (torch.tensor(column) for column in zip(*gained, strict=True))
            likelihoods.index_add_(0, index, logprobs[row, place, token].cpu().double())
        return likelihoods

    def _read(self, begin: Sequence[int]) -> tuple[Tensor, Any]:
        """Log-probabilities of the token after the prompt and these, shape ``(vocabulary,)``, and keys and values."""
        import torch

        if not begin:
            return self._first, self._cache
        with torch.inference_mode():
            cache = copy.deepcopy(self._cache)
        output = self._forward(torch.tensor([begin]), past_key_values=cache, logits_to_keep=1)
        return output.logits[0, -1].float().log_softmax(dim=-1).cpu(), output.past_key_values

    def _follow(self, cache: Any, rows: Sequence[Sequence[int]]) -> Tensor:
        """Log-probabilities after each token of each row, shape ``(rows, tokens, vocabulary)``."""
        import torch

        read = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for index, row in enumerate(rows):
            read[index, : len(row)] = torch.tensor(row)
        with torch.inference_mode():
            cache = copy.deepcopy(cache)
            cache.batch_repeat_interleave(len(rows))
        logprobs: Tensor = self._forward(read, past_key_values=cache).logits.float().log_softmax(dim=-1)
        return logprobs

    def _forward(self, ids: Tensor, **options: Any) -> Any:
        import torch

        check_deadline()
        try:
            with torch.inference_mode():
                return self._model(input_ids=ids.to(self._model.device), use_cache=True, **options)
        except (RuntimeError, IndexError) as error:
            raise ClassifierError(f"the classifier's model failed: {type(error).__name__}") from error

    def _token_ids(self, answer: Answer) -> list[list[int]]:
        ids = _shared([continuation_ids(self._tokenizer, answer.text + then) for then in answer.then or ("",)])
        return [[*ids, end] for end in end_ids(self._model, self._tokenizer)] if answer.ends else [ids]

    def _check_room(self, answer_tokens: int) -> None:
        if len(self._prompt) + answer_tokens > context_tokens(self._model):
            raise ClassifierError("the prompt does not fit the context of the classifier's model; nothing is cut off")


def continuation_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text that follows other text: without special tokens, and without a space put before it."""
    newline = _plain_ids(tokenizer, "\n")
    ids = _plain_ids(tokenizer, f"\n{text}")
    if ids[: len(newline)] == newline:
        return ids[len(newline) :]
    return _plain_ids(tokenizer, text)


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids that end a turn.

    Raises:
        ClassifierError: if neither the model nor the tokenizer names one.
    """
    configured = [getattr(c, "eos_token_id", None) for c in (model.generation_config, model.config, tokenizer)]
    listed = [ids if isinstance(ids, list) else [ids] for ids in configured]
    if found := sorted({end for ids in listed for end in ids if end is not None}):
        return found
    raise ClassifierError("neither the classifier's model nor its tokenizer names a token that ends a turn")


def context_tokens(model: PreTrainedModel) -> int:
    """How many tokens the model can read; where it states none, as many as there are."""
    found: int = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1_000_000
    return found


def _plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return ids


def _shared(sequences: Sequence[Sequence[int]]) -> list[int]:
    """The tokens that all sequences begin with."""
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*sequences, strict=False))
    return [tokens[0] for tokens in alike]


def _longest(sequences: Sequence[Sequence[int]]) -> list[list[int]]:
    """Each sequence once, without those that begin another one."""
    ordered = sorted({tuple(ids) for ids in sequences})
    followed = zip_longest(ordered, ordered[1:], fillvalue=())
    return [list(one) for one, after in followed if after[: len(one)] != one]


def _goes_on(lead: str, label: str, labels: Sequence[str], separator: str) -> list[Answer]:
    return [Answer(lead + label, then=tuple(separator + other for other in labels if other != label))]


def _stops(lead: str, label: str) -> list[Answer]:
    return [Answer(f"{lead}{label}\n"), Answer(lead + label, ends=True)]


def _check_distinct(sequences: Sequence[Sequence[int]]) -> None:
    # In this order, a sequence that begins others stands right before one of them.
    for one, next_one in pairwise(sorted(map(list, sequences))):
        if next_one[: len(one)] == one:
            raise ClassifierError("two answers cannot be told apart, since the tokens of one begin the other's")
