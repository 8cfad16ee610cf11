"""SequenceClassifier: any model fine-tuned to classify texts, with a map from its labels to this taxonomy's."""

from __future__ import annotations

import copy
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rose_guard.errors import ClassifierError, SettingsError
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import check_deadline
from rose_guard.risk.guard_models.guard_model import highest, identity
from rose_guard.risk.guard_models.windows import READING, pieces
from rose_guard.risk.pretrained import load_pretrained
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rose_guard.assessment import RiskAssessment
    from rose_guard.message import Message

WINDOW_TOKENS = 512
BATCH_WINDOWS = 16
MAX_BYTES = 100_000
_OFFSET = 2
"""Some encoders, such as RoBERTa, count positions from 2 and so read two tokens fewer than they state."""


def _known(label: str) -> str:
    if label not in HAZARDS and label not in ATTACKS:
        raise ValueError(f"unknown hazard or attack {label!r}{_nearest(label, (*HAZARDS, *ATTACKS))}")
    return label


class LabelMap(BaseModel):
    """What a model's labels mean; read from YAML or given as a dict.

    Args:
        labels: for each label of the model the hazards and attacks that it may mean; none for a harmless one.
        multi_label: whether each label has a probability of its own (sigmoid) or exactly one label holds (softmax).
        name: names the model in assessments; its own name unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: dict[str, list[Annotated[str, AfterValidator(_known)]]] = Field(min_length=1)
    multi_label: bool = Field(strict=True)
    name: str | None = Field(default=None, min_length=1)

    @classmethod
    def of(cls, source: LabelMap | Mapping[str, Any] | str | Path) -> LabelMap:
        """A map as it is, from a dict, or from a YAML file.

        Raises:
            SettingsError: if the file cannot be read or a part of it is wrong; every mistake is named.
        """
        if isinstance(source, LabelMap):
            return source
        where = str(source) if isinstance(source, str | Path) else "the label map"
        content = _yaml(Path(source)) if isinstance(source, str | Path) else source
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            complaints = [_complaint(e["loc"], e["msg"]) for e in error.errors()]
            raise SettingsError(f"{where}: {'; '.join(complaints)}") from None


class SequenceClassifier(Classifier):
    """Scores every passage in every view, long ones in overlapping windows over the whole; the highest score counts.

    Where exactly one label holds, a hazard's probability is the sum of its labels'; where labels stand each for
    itself, it is the highest of them. The probability of harm is that of any label with a hazard, and the likeliest
    hazard carries all of it, so that harm spread over several labels slips under no threshold. Attacks likewise.

    Hazards and attacks that no label means score 0: combine the model with a classifier that knows them.

    Args:
        model: with a head for sequence classification; it is put into evaluation mode.
        tokenizer: its tokenizer.
        labels: what the model's labels mean: a map, or a YAML file that holds one.
        model_id: its name; the model's own unless given.
        window_tokens: the longest window; never more than the model can read.

    Raises:
        SettingsError: if the map is wrong, leaves out a label of the model, or names one that it lacks.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        labels: LabelMap | Mapping[str, Any] | str | Path,
        *,
        model_id: str | None = None,
        window_tokens: int = WINDOW_TOKENS,
    ) -> None:
        self.hf_model = model
        model.train(mode=False)
        self.labels = LabelMap.of(labels)
        self._order = [str(label) for _, label in sorted((model.config.id2label or {}).items())]
        _check_labels(self.labels, self._order)
        self._tokenizer = copy.deepcopy(tokenizer)
        self._model_id = model_id or self.labels.name or model.config.name_or_path or type(model).__name__
        stated = getattr(model.config, "max_position_embeddings", None)
        read_at_most = [window_tokens, tokenizer.model_max_length, *([stated - _OFFSET] if stated else [])]
        self._longest: int = min(read_at_most)
        self._lock = Lock()

    @classmethod
    def from_pretrained(
        cls,
        id_or_path: str | Path,
        labels: LabelMap | Mapping[str, Any] | str | Path,
        *,
        window_tokens: int = WINDOW_TOKENS,
        **hf_kwargs: Any,
    ) -> SequenceClassifier:
        """Load a model by hub id or folder.

        Args:
            id_or_path: what ``AutoModelForSequenceClassification.from_pretrained`` takes.
            labels: what its labels mean.
            window_tokens: as for the constructor.
            hf_kwargs: passed on. Weights must be safetensors unless ``use_safetensors=False`` asks for pickled ones by
                name, and no code of a repository runs unless ``trust_remote_code=True`` allows it.

        Raises:
            ModelLoadError: if it cannot be found or loaded.
            SettingsError: if the map does not fit it.
        """
        from transformers import AutoModelForSequenceClassification

        read = LabelMap.of(labels)
        kind = "a model with a classification head"
        model, tokenizer = load_pretrained(AutoModelForSequenceClassification, id_or_path, kind, **hf_kwargs)
        return cls(model, tokenizer, read, model_id=read.name or str(id_or_path), window_tokens=window_tokens)

    @property
    def name(self) -> str:
        """The model, its revision where known, its dtype, and a digest of the label map and window."""
        asked = (self.labels.model_dump_json(), self._longest, READING)
        return f"sequence:{identity(self.hf_model, self._model_id, asked)}"

    @property
    def known_labels(self) -> frozenset[str]:
        """Those that its label map names."""
        return frozenset(ours for meant in self.labels.labels.values() for ours in meant)

    def assess(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        with self._lock:
            read = list(pieces(messages, lambda turns: self._fits(turns[0].text), together=False))
            scores = self._scores([piece.turns[0].text for piece in read])
        return highest(zip(scores, (piece.span for piece in read), strict=True), self.name)

    def _fits(self, text: str) -> bool:
        check_deadline()
        ids = self._encode([text])["input_ids"][0]
        if self._control_ids(ids) != self._control_ids(self._encode(["x"])["input_ids"][0]):
            raise ClassifierError("a message holds markup that would become a control token of the classifier")
        return len(ids) <= self._longest

    def _control_ids(self, ids: Sequence[int]) -> list[int]:
        special = set(self._tokenizer.all_special_ids) - {self._tokenizer.unk_token_id}
        return [token_id for token_id in ids if token_id in special]

    def _scores(self, texts: Sequence[str]) -> list[dict[str, float]]:
        size = BATCH_WINDOWS if self._tokenizer.pad_token_id is not None else 1
        batches = [texts[i : i + size] for i in range(0, len(texts), size)]
        return [self._meaning(row) for batch in batches for row in self._probabilities(batch)]

    def _probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        """For each text the probability of each of the model's labels."""
        import torch

        check_deadline()
        batch = self._encode(texts, return_tensors="pt", padding=len(texts) > 1)
        try:
            with torch.inference_mode():
                logits: Tensor = self.hf_model(**batch.to(self.hf_model.device)).logits.float()
        except (RuntimeError, IndexError) as error:
            raise ClassifierError(f"the classifier's model failed: {type(error).__name__}") from error
        if not logits.isfinite().all():
            raise ClassifierError("the classifier's model gives scores that are no numbers")
        found: list[list[float]] = (logits.sigmoid() if self.labels.multi_label else logits.softmax(dim=-1)).tolist()
        return found

    def _encode(self, texts: Sequence[str], **options: Any) -> Any:
        """Special tokens spelt out in a text are read as text."""
        return self._tokenizer(list(texts), split_special_tokens=True, truncation=False, verbose=False, **options)

    def _meaning(self, row: Sequence[float]) -> dict[str, float]:
        """Scores in this taxonomy, from the probabilities of the model's labels."""
        labelled = list(zip((self.labels.labels[label] for label in self._order), row, strict=True))
        return {
            "harmful": self._any(p for meant, p in labelled if set(meant) & set(HAZARDS)),
            **self._of(HAZARDS, labelled),
            **self._of(ATTACKS, labelled),
        }

    def _of(self, kind: Mapping[str, str], labelled: Sequence[tuple[list[str], float]]) -> dict[str, float]:
        """Scores of all hazards, or of all attacks; the likeliest carries the probability of any."""
        whole = self._any(p for meant, p in labelled if set(meant) & set(kind))
        found = {ours: self._any(p for meant, p in labelled if ours in meant) for ours in kind}
        most = max(found.values())
        return {ours: whole * score / most if most else 0.0 for ours, score in found.items()}

    def _any(self, probabilities: Iterable[float]) -> float:
        """The probability that any of these labels holds."""
        found = list(probabilities)
        return max(found, default=0.0) if self.labels.multi_label else min(1.0, sum(found))


def _check_labels(labels: LabelMap, of_model: Sequence[str]) -> None:
    complaints = [f"the model's label {label!r} is not mapped" for label in of_model if label not in labels.labels]
    complaints += [
        f"the model has no label {label!r}{_nearest(label, of_model)}"
        for label in labels.labels
        if label not in of_model
    ]
    if len(of_model) == 1 and not labels.multi_label:
        complaints.append("the model has one label, which would always be certain; set multi_label: true")
    if complaints:
        raise SettingsError(f"the label map does not fit the model: {'; '.join(complaints)}")


def _yaml(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes; a label map never is")
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read; give a YAML file in UTF-8") from error
    except (YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise SettingsError(f"{path}{place}: not valid YAML") from error


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'the map'}: {message.removeprefix('Value error, ')}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"; did you mean {close[0]!r}?" if close else ""
