"""Policy: a RiskAssessment in, a Decision out. Plain Python and pydantic; knows no classifier and no decoding."""

from rose_guard.policy.decision import Action, Decision
from rose_guard.policy.escalation import Escalation
from rose_guard.policy.live import LivePolicy
from rose_guard.policy.output_check import OutputCheck
from rose_guard.policy.policy import Policy

__all__ = ["Action", "Decision", "Escalation", "LivePolicy", "OutputCheck", "Policy"]
