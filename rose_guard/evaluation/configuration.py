"""Configuration: what a run is of, as its ``run.json`` says; two runs of the same one give the same records."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rose_guard.decoding.settings import CheckedSettings

Part = Literal["choose", "report", "all"]
"""Which examples: those by which settings are chosen, those that are reported, or both."""

MAX_BATCH = 64
_PACKAGES = ("rose-guard", "torch", "transformers")
_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def versions() -> dict[str, str]:
    """Versions of the packages that answers hang on."""
    return {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


class RunSettings(CheckedSettings):
    """What all arms of a run share; frozen and checked.

    Raises:
        SettingsError: if a value is unknown or out of its range.
    """

    max_new_tokens: int = Field(default=64, ge=1)
    """Limit of an answer, in tokens."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 is greedy."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the draws, and of the choice of examples."""
    limit: int | None = Field(default=None, ge=1)
    """How many examples of each task, as evenly over its labels as they allow; None takes all."""
    part: Part = "report"
    """Which examples; those that chose alpha or beta must not be reported."""


class TaskSource(BaseModel):
    """Where a task's examples came from.

    Attributes:
        path: as it was given.
        file_sha256: of the file; None where it is none, but a data set of the hub.
        examples_sha256: of the examples as they were read.
        examples: how many.
    """

    model_config = _STRICT

    path: str
    file_sha256: str | None
    examples_sha256: str
    examples: int


class Configuration(BaseModel):
    """What a run is of. Texts of prompts stand nowhere in it.

    Attributes:
        format: version of this format.
        model: what decodes, with its revision and dtype.
        classifier: what scores; None where no arm needs scores.
        answer_classifier: what scores answers; None where no arm's policy checks them.
        settings: what all arms share.
        arms: definition of each, by name.
        tasks: source of each, by name.
        versions: of what the answers hang on.
        machine: on what it ran, and since when; another one may go on with it.
    """

    model_config = _STRICT

    format: Literal[1] = 1
    model: str
    classifier: str | None = None
    answer_classifier: str | None = None
    settings: RunSettings
    arms: dict[str, dict[str, Any]]
    tasks: dict[str, TaskSource]
    versions: dict[str, str] = Field(default_factory=versions)
    machine: dict[str, str | int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_work(self) -> Configuration:
        if not self.arms or not self.tasks:
            raise ValueError("a run has at least one arm and one task")
        return self

    def differences(self, other: Configuration) -> list[str]:
        """What another one says otherwise, one line each; where files lie, and the machine, make no difference."""
        mine, theirs = _flat(self._what_matters()), _flat(other._what_matters())
        return [
            f"{key}: {_shown(mine.get(key))} there, {_shown(theirs.get(key))} now"
            for key in sorted({*mine, *theirs})
            if mine.get(key) != theirs.get(key)
        ]

    def _what_matters(self) -> dict[str, Any]:
        told = self.model_dump(exclude={"machine": True})
        for source in told["tasks"].values():
            del source["path"]
        return told


def _flat(told: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in told.items():
        name = f"{above}.{key}" if above else str(key)
        flat.update(_flat(value, name) if isinstance(value, dict) else {name: value})
    return flat


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
