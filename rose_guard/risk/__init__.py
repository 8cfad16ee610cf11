"""Risk: a conversation in, a RiskAssessment out. Knows no policy and no decoding."""

from rose_guard.risk.classifier import RiskClassifier

__all__ = ["RiskClassifier"]
