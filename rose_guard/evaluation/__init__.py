"""Evaluation: does it make a model safer, and what does it cost? Tasks, arms, judges, figures, reports."""
