"""RoseGuardLM: an arm on an engine as a model of EleutherAI's lm-evaluation-harness. Importing this needs lm-eval.

It translates: the harness's requests into conversations, and answers or likelihoods into what its metrics take.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from rose_guard.engines.worker import worker
from rose_guard.errors import InputError, ModelLoadError, SettingsError
from rose_guard.evaluation.arm_model import ArmModel
from rose_guard.evaluation.likelihood import PLAIN, Likelihood, Likelihoods
from rose_guard.evaluation.lm_eval_request import arguments_of, conversation_of, generation_options, rendered, up_to
from rose_guard.evaluation.recording import BLOCK
from rose_guard.guard import Answer, GenerationOptions
from rose_guard.langchain.loading import answer_classifier_for, classifier_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rose_guard.engines.engine import Engine, GenerationRequest
    from rose_guard.evaluation.arm import Arm
    from rose_guard.evaluation.arm_model import Outcome
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

NAME = "rose-guard"
"""By which the harness knows this model, once this module was imported."""
WITHHELD = "withheld"
"""Counted where the check of an answer withheld some of it."""

T = TypeVar("T")


def _harness(module: str) -> Any:
    try:
        return import_module(f"lm_eval.{module}")
    except ImportError as error:
        raise ModelLoadError("the harness needs lm-eval; run `pip install 'rose-guard[lm-eval]'`") from error


_LM: Any = _harness("api.model").LM  # the harness has no types


class RoseGuardLM(_LM):  # type: ignore[misc]
    """An arm on an engine, for ``lm_eval.simple_evaluate(model=RoseGuardLM(…), tasks=[…])``.

    Every context is a conversation, since prompts that steer need a chat template: with ``apply_chat_template`` the
    task's own turns, without it one user message. A continuation is the beginning of the assistant's answer, word for
    word as the task gives it.

    A refusal counts as the answer that it is. A block counts as an empty answer. How often each of them happened stands
    in the results, under ``config`` and ``rose_guard``, beside what the arm is.

    Args:
        arm: how to decode.
        engine: what decodes.
        classifier: what scores conversations; the one that the arm's policy names unless given.
        answer_classifier: what scores answers; the shipped one where the policy checks them unless given.
        batch_size: how many answers are decoded together.
        max_gen_toks: limit of an answer in tokens, where a task says nothing.
        seed: of the draws, where a task asks for any.

    Raises:
        SettingsError: if the batch size or the limit is below 1.
        ModelLoadError: if a classifier is not installed; the message names the command that mends it.
    """

    def __init__(  # noqa: PLR0913 - named by keyword
        self,
        arm: Arm,
        engine: Engine,
        *,
        classifier: RiskClassifier | None = None,
        answer_classifier: AnswerClassifier | None = None,
        batch_size: int = 16,
        max_gen_toks: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or max_gen_toks < 1:
            raise SettingsError("batch_size and max_gen_toks must be at least 1")
        policy = arm.policy()
        self.arm, self.engine, self.batch_size = arm, engine, batch_size
        local: Any = engine
        self._likelihoods = Likelihoods(local)
        self._classifiers: dict[str, Any] = {
            "classifier": classifier_for(policy, classifier),
            "answer_classifier": answer_classifier_for(policy, answer_classifier),
        }
        self._max_gen_toks, self._seed = max_gen_toks, seed
        self._outcomes: Counter[str] = Counter()

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> RoseGuardLM:
        """No engine can be spelt as text.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("an arm and an engine are no text; pass them in Python, as model=RoseGuardLM(…)")

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """How likely each continuation is under the arm, and whether the arm's greedy answer begins with it.

        Raises:
            NotImplementedError: if the arm would not let the model answer, a context is blank, or the engine gives no
                model to score with.
            RoseGuardError: if a context cannot be scored or does not fit the model.
        """
        pairs = [arguments_of(request) for request in requests]
        wanted: dict[str, dict[str, None]] = {}
        for context, continuation in pairs:
            wanted.setdefault(context, {})[continuation] = None
        asked = self._asked(list(wanted))
        found: dict[tuple[str, str], tuple[float, bool]] = {}
        for contexts in _chunks(list(wanted), self.batch_size):
            found.update(self._scored({context: (asked[context], list(wanted[context])) for context in contexts}))
        return [found[pair] for pair in pairs]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """How likely each text is by itself, no conversation around it, in windows of the model's context.

        Raises:
            NotImplementedError: if the arm is another than the plain model, which alone reads texts by themselves, or
                the engine gives no model to score with.
            InputError: if the tokenizer has no token that texts begin or end with.
        """
        if self.arm.gate != "never" or self.arm.system:
            raise NotImplementedError(
                f"the arm {self.arm.name!r} reads a system prompt, for which a text by itself has no place; measure "
                f"perplexity with the arm 'plain'"
            )
        self._check_scores()
        return [self._rolled(request.args[0]) for request in requests]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The arm's answers, each up to the first of the task's stop strings.

        An answer that a task wants several times is drawn anew each time, with the next seed.

        Raises:
            NotImplementedError: if a task asks for a setting that the engine has not.
            RoseGuardError: if a conversation cannot be answered, which is neither an answer nor a refusal.
        """
        groups: dict[str, list[int]] = {}
        options: dict[str, GenerationOptions] = {}
        times: Counter[str] = Counter()
        for place, request in enumerate(requests):
            key = json.dumps(arguments_of(request), sort_keys=True)
            how = generation_options(request.args[1], self._seed + times[key], self._max_gen_toks)
            times[key] += 1
            groups.setdefault(repr(how), []).append(place)
            options[repr(how)] = how
        answers: dict[int, str] = {}
        for key, places in groups.items():
            model = self._model(options[key])
            for chunk in _chunks(places, self.batch_size):
                texts = self._answered(model, [requests[place] for place in chunk], options[key].stop)
                answers.update(zip(chunk, texts, strict=True))
        return [answers[place] for place in range(len(requests))]

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True) -> str:  # noqa: FBT001, FBT002 - the harness's signature
        """The conversation as JSON; the engine applies the model's own template, once for each prompt that steers.

        Raises:
            NotImplementedError: if the task begins the assistant's answer by itself.
        """
        if not add_generation_prompt:
            raise NotImplementedError("no arm goes on with an answer that a task began; leave out its gen_prefix")
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in chat_history]
        return rendered(turns)

    def chat_template(self, chat_template: bool | str = False) -> str:  # noqa: FBT001, FBT002 - the harness's signature
        """The template that the engine applies, for the harness's own notes.

        Raises:
            NotImplementedError: if another one is asked for by name.
        """
        if isinstance(chat_template, str):
            raise NotImplementedError("the engine has one chat template, the tokenizer's own; name none")
        return str(getattr(getattr(self.engine, "hf_tokenizer", None), "chat_template", None) or "")

    @property
    def tokenizer_name(self) -> str:
        """The model's id, in which the harness's cache of requests finds no folders."""
        return self.engine.model_id.replace("/", "__")

    def get_model_info(self) -> dict[str, Any]:
        """What the results tell of this model: no prompt's text, and how often the arm did what so far."""
        told = {"model": self.engine.model_id, "arm": self.arm.name, **self.arm.definition()}
        return {"rose_guard": {**told, "outcomes": dict(self._outcomes)}}

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Take a cache of the harness, which tells its entries apart by their requests alone.

        Raises:
            SettingsError: if it holds answers of another arm or model.
        """
        super().set_cache_hook(cache_hook)
        if cache_hook.dbdict is None:
            return
        judges = [getattr(each, "name", None) for each in self._classifiers.values()]
        told = [self.engine.model_id, self.arm.definition(), judges, self._seed, self._max_gen_toks]
        mine = json.dumps(told)
        if len(cache_hook.dbdict) and cache_hook.dbdict.get(NAME) != mine:
            raise SettingsError(
                "use_cache holds answers of another arm, model or classifier; give each a file of its own"
            )
        cache_hook.dbdict[NAME] = mine

    def _check_scores(self) -> None:
        if not hasattr(self.engine, "hf_model") or self.arm.decoder != "engine":
            raise NotImplementedError(
                f"likelihoods take the contrast of an engine that holds a model of transformers in this process, and "
                f"the arm {self.arm.name!r} on {self.engine.model_id!r} has none; ask for generated answers alone"
            )

    def _asked(self, contexts: Sequence[str]) -> dict[str, GenerationRequest]:
        """What the engine is asked for in each context; all of them are decided before the first is scored."""
        self._check_scores()
        if not all(context.strip() for context in contexts):
            raise NotImplementedError("a blank context has no answer; leave out metrics such as acc_mutual_info")
        options = generation_options({}, self._seed, self._max_gen_toks)
        decided = self._model(options).requests([conversation_of(each) for each in contexts])
        asked = {context: request for context, (_, request) in zip(contexts, decided, strict=True) if request}
        if len(asked) < len(contexts):
            raise NotImplementedError(
                f"the arm {self.arm.name!r} refuses or blocks {len(contexts) - len(asked)} of {len(contexts)} "
                f"contexts, in which no answer of the model has a likelihood; the arm 'policy_gated' steers there"
            )
        self._outcomes.update(decision.action for decision, _ in decided)
        return asked

    def _scored(
        self, wanted: Mapping[str, tuple[GenerationRequest, Sequence[str]]]
    ) -> Iterator[tuple[tuple[str, str], tuple[float, bool]]]:
        """Score some contexts' continuations, and compare them with the greedy answers, decoded together."""
        tokens = {text: self._token_texts(text) for _, texts in wanted.values() for text in texts}
        longest = [max(len(tokens[text]) for text in texts) for _, texts in wanted.values()]
        greedy = self._greedy([request for request, _ in wanted.values()], longest)
        for (context, (request, texts)), (said, shown) in zip(wanted.items(), greedy, strict=True):
            found = self._likelihoods.of(
                request.messages, request.safe_prompt, request.reverse_prompts, request.settings, texts
            )
            for text, likelihood in zip(texts, found, strict=True):
                # Several tokens within a character look alike, so the text is compared too.
                begins = said[: len(tokens[text])] == tokens[text] and shown.lstrip().startswith(text.strip())
                self.cache_hook.add_partial("loglikelihood", (context, text), (likelihood.total, begins))
                yield (context, text), (likelihood.total, begins)

    def _greedy(self, requests: Sequence[GenerationRequest], lengths: Sequence[int]) -> list[tuple[list[str], str]]:
        """The first tokens of greedy answers, and what they say."""
        asked = [
            replace(
                request,
                settings=request.settings.updated(repetition_penalty=1.0),
                max_new_tokens=length,
                logprobs=0,
            )
            for request, length in zip(requests, lengths, strict=True)
        ]
        with ExitStack() as opened:
            streams = [opened.enter_context(closing(stream)) for stream in self.engine.streams(asked)]
            answers = [list(stream) for stream in streams]
        return [
            ([one.token for delta in deltas for one in delta.logprobs], "".join(delta.shown for delta in deltas))
            for deltas in answers
        ]

    def _token_texts(self, text: str) -> list[str]:
        tokenizer: Any = getattr(self.engine, "hf_tokenizer", None)
        return [str(tokenizer.decode([token_id])) for token_id in self.engine.token_ids(text)]

    def _rolled(self, text: str) -> float:
        from rose_guard.decoding.likelihood import contrasted_logprobs

        engine: Any = self.engine
        tokens = engine.token_ids(text)
        before = engine.hf_tokenizer.bos_token_id
        first = engine.hf_tokenizer.eos_token_id if before is None else before
        if first is None:
            raise InputError("the tokenizer has no token that texts begin or end with; set its bos_token")
        utils = _harness("utils")
        # One place less than the context, since the harness reads one token before each window.
        size = (engine.context_tokens or len(tokens) + 1) - 1
        total = 0.0
        for window in utils.get_rolling_token_windows(tokens, first, size, 1):
            context, continuation = utils.make_disjoint_window(window)
            (found,) = worker.run(contrasted_logprobs, engine.hf_model, context, [], [continuation], settings=PLAIN)
            total += Likelihood.of(found).total
        return total

    def _model(self, options: GenerationOptions) -> ArmModel:
        return ArmModel(self.arm, self.engine, options, **self._classifiers)

    def _answered(self, model: ArmModel, requests: Sequence[Any], stop: Sequence[str]) -> list[str]:
        texts = []
        for request, outcome in zip(
            requests, model.answers([conversation_of(request.args[0]) for request in requests]), strict=True
        ):
            if isinstance(outcome, InputError):
                raise outcome
            self._outcomes[_kind(outcome)] += 1
            texts.append(up_to(stop, outcome.text) if isinstance(outcome, Answer) else "")
            self.cache_hook.add_partial("generate_until", request.args, texts[-1])
        return texts


def _kind(outcome: Outcome) -> str:
    if not isinstance(outcome, Answer):
        return BLOCK
    verdict = outcome.last.verdict
    return WITHHELD if verdict is not None and verdict.action == "refuse" else outcome.decision.action


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


_harness("api.registry").register_model(NAME)(RoseGuardLM)
