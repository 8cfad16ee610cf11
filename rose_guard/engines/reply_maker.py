"""ReplyMaker: a request into the generations that answer it, and the replies that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.decoding.branch import Prompt
from rose_guard.decoding.chooser import token_ids
from rose_guard.decoding.generation import DecodingOptions, Generation
from rose_guard.engines.prompt import ChatPrompt
from rose_guard.engines.reply import Reply
from rose_guard.errors import InputError
from rose_guard.message import check_conversation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rose_guard.decoding.generation import TokenMask
    from rose_guard.engines.engine import Constraint, GenerationRequest


class ReplyMaker:
    """Encodes and checks requests for one model.

    Args:
        model: what decodes.
        tokenizer: its tokenizer.

    Raises:
        ModelLoadError: as :class:`ChatPrompt`.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.prompt = ChatPrompt(tokenizer)
        self._model, self._tokenizer = model, tokenizer

    def replies(self, request: GenerationRequest, started: float) -> list[Reply]:
        """One for each of a request's answers, whose generations begin together.

        Args:
            request: what is asked for.
            started: when it came, by ``time.perf_counter``.

        Raises:
            InputError: if it cannot be answered, or there is nothing to contrast.
            SettingsError: as :class:`Generation`, or if a grammar cannot be followed.
        """
        check_conversation(request.messages)
        begun = self.prompt.token_ids(request.begun) if request.begun else []
        positive = self._encoded(request, request.safe_prompt, begun)
        reverse = [self._encoded(request, prompt.text, begun) for prompt in request.reverse_prompts]
        if positive.ids in [prompt.ids for prompt in reverse]:
            raise InputError(
                "the safe and the reverse prompt read the same here, so there is nothing to contrast; check that the "
                "chat template shows the system message of a conversation like this one, and the policy's prompts"
            )
        generations = [self._generation(request, index, positive, reverse, begun) for index in range(request.n)]
        generations[0].followers = generations[1:]
        return [self._reply(request, index, generation, begun, started) for index, generation in enumerate(generations)]

    def _encoded(self, request: GenerationRequest, lead: str | None, begun: Sequence[int]) -> Prompt:
        ids = self.prompt.encode(request.messages, lead=lead, tools=request.tools, schema=request.answer_schema)
        reading = self.prompt.answer_format
        if (request.constraint is not None or begun) and reading.thinks and reading.within_thoughts(ids):
            begun = (*reading.end_of_thoughts(), *begun)
        return Prompt((*ids, *begun), self.prompt.shared_tokens(ids, lead))

    def _generation(
        self,
        request: GenerationRequest,
        index: int,
        positive: Prompt,
        reverse: Sequence[Prompt],
        begun: Sequence[int],
    ) -> Generation:
        settings = request.settings
        if index and settings.seed is not None:
            settings = settings.updated(seed=settings.seed + index)
        options = DecodingOptions(
            settings=settings,
            max_new_tokens=request.max_new_tokens,
            mask=self._mask(request.constraint, begun) if request.constraint else None,
            logprobs=request.logprobs,
            owner=request.principal,
        )
        weights = [prompt.weight for prompt in request.reverse_prompts]
        return Generation(self._model, positive, reverse, weights=weights, options=options)

    def _mask(self, constraint: Constraint, begun: Sequence[int]) -> TokenMask:
        vocabulary = self._model.config.get_text_config().vocab_size
        generation_config: Any = self._model.generation_config
        ends = token_ids(generation_config.eos_token_id)
        return _behind(begun, constraint.token_mask(self._tokenizer, vocabulary, ends))

    def _reply(
        self, request: GenerationRequest, index: int, generation: Generation, begun: Sequence[int], started: float
    ) -> Reply:
        reading, constrained = self.prompt.answer_format, request.constraint is not None
        prompt = generation.positive.prompt.ids
        return Reply(
            generation,
            self._tokenizer,
            request.stop,
            index=index,
            started=started,
            begun=begun,
            parser=reading.parser(prompt, request.tools, begun=bool(begun), constrained=constrained),
            tags=reading.tags(request.tools, constrained=constrained),
        )


def _behind(begun: Sequence[int], mask: TokenMask) -> TokenMask:
    """The grammar's mask for what follows the tokens that an answer begins with."""
    for end in range(len(begun)):  # a mask is asked once for each token, in order
        mask(begun[:end])
    return (lambda generated: mask((*begun, *generated))) if begun else mask
