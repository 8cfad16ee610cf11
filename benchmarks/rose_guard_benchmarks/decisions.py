"""What the policy alone costs per message: a decision on scores that are there already, without classifier or model.

``python -m rose_guard_benchmarks.decisions`` prints the median time of a decision in microseconds, for the shipped
policy, for the same in shadow mode, and for one of its tenants.
"""

from __future__ import annotations

import sys
import timeit
from statistics import median

from rose_guard.assessment import RiskAssessment
from rose_guard.policy.policy import Policy
from rose_guard.taxonomy import ATTACKS, HAZARDS

_DECISIONS = 1000
_REPETITIONS = 15
_TENANT = "clinic"
_FILE = "version: 1\nmode: {mode}\ntenants: {{clinic: {{hazards: {{specialized_advice: {{action: allow}}}}}}}}\n"

SCORES: dict[str, dict[str, float]] = {
    "no rule fires": {},
    "one rule steers": {"hate": 1.0},
    "two rules steer": {"hate": 1.0, "privacy": 1.0},
    "a rule refuses": {"suicide_self_harm": 1.0},
    "every rule fires": dict.fromkeys([*HAZARDS, *ATTACKS], 1.0),
}


def measure(decisions: int = _DECISIONS, repetitions: int = _REPETITIONS) -> dict[str, dict[str, float]]:
    """Median microseconds of a decision, by what fires and by policy.

    Args:
        decisions: how many are timed together.
        repetitions: of how many such times the median is taken.
    """
    shipped, shadow = (Policy.from_yaml(_FILE.format(mode=mode)) for mode in ("enforce", "shadow"))
    sides: dict[str, tuple[Policy, str | None]] = {
        "shipped": (shipped, None),
        "shadow": (shadow, None),
        "tenant": (shipped, _TENANT),
    }
    return {
        what: {
            side: _microseconds(policy, assessment(scores), tenant, decisions, repetitions)
            for side, (policy, tenant) in sides.items()
        }
        for what, scores in SCORES.items()
    }


def assessment(scores: dict[str, float]) -> RiskAssessment:
    """An assessment with these scores, and zero for the rest."""
    return RiskAssessment(
        max(scores.values(), default=0.0),
        {hazard: scores.get(hazard, 0.0) for hazard in HAZARDS},
        {attack: scores.get(attack, 0.0) for attack in ATTACKS},
    )


def _microseconds(
    policy: Policy, assessed: RiskAssessment, tenant: str | None, decisions: int, repetitions: int
) -> float:
    def decide() -> None:
        policy.decide(assessed, "digest of the messages", tenant=tenant, risky_turns={"jailbreak": 1})

    decide()  # what is settled once is settled here
    return median(timeit.repeat(decide, number=decisions, repeat=repetitions)) / decisions * 1e6


def main() -> None:
    """Print the table."""
    measured = measure()
    sides = list(next(iter(measured.values())))
    sys.stdout.write(f"| microseconds per decision | {' | '.join(sides)} |\n|{' --- |' * (len(sides) + 1)}\n")
    for what, row in measured.items():
        sys.stdout.write(f"| {what} | {' | '.join(f'{row[side]:.1f}' for side in sides)} |\n")


if __name__ == "__main__":
    main()
