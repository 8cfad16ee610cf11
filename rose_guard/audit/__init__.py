"""Audit: what was decided, in files whose lines vouch for one another. Standard library only; decides nothing."""

from rose_guard.audit.head import Head
from rose_guard.audit.key import AuditKey
from rose_guard.audit.log import AuditLog
from rose_guard.audit.record import decision_record, end_record, output_record, restart_record
from rose_guard.audit.report import ChainReport, Finding, Report
from rose_guard.audit.trail import AuditTrail
from rose_guard.audit.verify import verify

__all__ = [
    "AuditKey",
    "AuditLog",
    "AuditTrail",
    "ChainReport",
    "Finding",
    "Head",
    "Report",
    "decision_record",
    "end_record",
    "output_record",
    "restart_record",
    "verify",
]
