"""Laws of ``classifier-thresholds``: what it prints is the shipped policy, but for where its rules begin."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rose_guard import Policy, RiskAssessment
from rose_guard.cli.main import app
from rose_guard.risk import embedded, multilingual
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.thresholds import thresholds
from rose_guard.taxonomy import ATTACKS, HAZARDS

SHIPPED = Policy.default().rules
TEXTS = ["one", "two"]


class Constant(Classifier):
    """Scores every text alike."""

    def __init__(self, name, score):
        self._name, self.score = name, score

    @property
    def name(self):
        return self._name

    def assess(self, messages):
        return RiskAssessment(0.5, dict.fromkeys(HAZARDS, self.score), dict.fromkeys(ATTACKS, self.score))


@pytest.fixture
def printed(monkeypatch):
    """What the command prints for a classifier that scores every text alike, and the files that it was made of."""

    def printed(score, *arguments):
        files = {}

        def made(name):
            return lambda *paths: files.setdefault(name, paths) and Constant(name, score)

        monkeypatch.setattr(embedded, "EmbeddedClassifier", made("embedded-abc"))
        monkeypatch.setattr(multilingual, "MultilingualClassifier", made("embedded-multilingual-abc"))
        monkeypatch.setattr("rose_guard.risk.thresholds.harmless_texts", lambda **_: TEXTS)
        result = CliRunner().invoke(app, ["classifier-thresholds", *arguments])
        assert result.exit_code == 0, result.output
        return result, files

    return printed


@pytest.mark.parametrize("score", [0.0, 0.19, 0.4, 0.62, 0.7, 0.84, 0.85, 0.99, 1.0])
def test_what_it_prints_is_a_policy_whose_rules_begin_at_the_thresholds_and_are_the_shipped_ones_else(printed, score):
    result, _ = printed(score)
    policy, found = Policy.from_yaml(result.stdout), thresholds(Constant("any", score), TEXTS, 0.005)
    for label, rule in policy.rules.items():
        shipped = SHIPPED[label]
        begins = min(found[label], shipped.bands[0].at) if shipped.locked else found[label]
        assert rule.bands[0].at == begins
        assert rule == replace(shipped, bands=rule.bands)
        for nth in range(int(100 * begins), 101):
            band, own = shipped.band(nth / 100) or shipped.bands[0], rule.band(nth / 100)
            assert own is None or replace(own, at=band.at) == band


def test_a_locked_rule_is_not_loosened_and_the_user_is_told(printed):
    result, _ = printed(0.9)
    rules = Policy.from_yaml(result.stdout).rules
    locked = [label for label, rule in SHIPPED.items() if rule.locked]
    assert locked
    for label in locked:
        assert rules[label] == SHIPPED[label]
        assert f"{label} is locked" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "classifier", "files"),
    [
        ([], "embedded", {"embedded-abc": (None, None)}),
        (["--multilingual"], "embedded-multilingual", {"embedded-multilingual-abc": (None, None)}),
        (["--head", "h"], "embedded-abc", {"embedded-abc": (Path("h"), None)}),
        (
            ["--head", "h", "--encoder", "e", "--multilingual"],
            "embedded-multilingual-abc",
            {"embedded-multilingual-abc": (Path("h"), Path("e"))},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_policy_names_the_classifier_that_was_made_of_the_files(printed, arguments, classifier, files):
    result, made = printed(0.5, *arguments)
    assert made == files
    assert Policy.from_yaml(result.stdout).classifier == classifier


def test_the_share_of_false_alarms_is_the_one_asked_for(printed, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rose_guard.risk.thresholds.thresholds",
        lambda *told, **_: asked.append(told[-1]) or dict.fromkeys(SHIPPED, 0.5),
    )
    assert "at most 2 % of 2" in printed(0.5, "--false-alarms", "0.02")[0].stdout
    assert asked == [0.02]


@pytest.mark.parametrize("rate", ["-0.1", "1", "nan", "x"])
def test_a_share_that_is_none_is_a_wrong_call(rate):
    assert CliRunner().invoke(app, ["classifier-thresholds", "--false-alarms", rate]).exit_code == 2
