"""Policy: a RiskAssessment in, a Decision out. Plain Python and pydantic; knows no classifier and no decoding."""

from rose_guard.policy.decision import Action, Decision
from rose_guard.policy.policy import Policy

__all__ = ["Action", "Decision", "Policy"]
