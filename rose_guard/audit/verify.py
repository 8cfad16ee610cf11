"""verify: whether audit logs are as they were written. Reads files that anybody may have changed, and changes none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rose_guard.audit.key import AuditKey
from rose_guard.audit.name import FileName
from rose_guard.audit.report import Findings, Report
from rose_guard.audit.walk import ChainWalk
from rose_guard.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rose_guard.audit.head import Head

Paths = str | os.PathLike[str]
_ENDING = ".jsonl"


def verify(logs: Paths | Iterable[Paths], key: AuditKey | bytes, heads: Iterable[Head] | None = None) -> Report:
    """Say what was changed, put in, removed, repeated or moved in audit logs.

    Takes time in proportion to what it reads, and memory for one line.

    Args:
        logs: a folder, of which all ``.jsonl`` files are read, or files.
        key: what they were chained with.
        heads: exported with :meth:`~rose_guard.audit.log.AuditLog.head` and kept elsewhere. Only they can tell that
            lines are missing at a chain's end, or a whole chain.

    Raises:
        AuditError: if there is nothing at a path.
    """
    key = key if isinstance(key, AuditKey) else AuditKey(key)
    findings = Findings()
    chains = _chains(_files(logs), findings)
    vouched: dict[str, list[Head]] = {}
    for head in heads or ():
        vouched.setdefault(head.chain, []).append(head)
    reports = []
    for chain, files in chains.items():
        walk = ChainWalk(chain, key, vouched.pop(chain, []), findings)
        for name, path in files:
            walk.read(path, name, last=name.part == files[-1][0].part)
        reports.append(walk.report())
    for chain in vouched:
        findings.add("missing", f"an exported head vouches for chain {chain}, of which there is no file here")
    if not chains and not vouched:
        findings.add("missing", "there is no audit file here")
    return Report(tuple(reports), tuple(findings.kept), findings.omitted)


def _files(logs: Paths | Iterable[Paths]) -> list[Path]:
    paths = [Path(logs)] if isinstance(logs, str | os.PathLike) else [Path(path) for path in logs]
    files: dict[Path, None] = {}
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else None
            path.lstat()
        except OSError as error:
            raise AuditError(
                f"{path} cannot be read ({error.strerror}); give a folder or files of an audit log"
            ) from error
        files |= dict.fromkeys([path] if inside is None else [file for file in inside if file.suffix == _ENDING])
    return list(files)


def _chains(files: list[Path], findings: Findings) -> dict[str, list[tuple[FileName, Path]]]:
    """Files by the chain that their names tell, in the order in which they were written."""
    named: list[tuple[FileName, Path]] = []
    for path in files:
        name = FileName.parse(path.name)
        if name is None:
            findings.add(
                "misplaced", "an audit log gives no file this name, so its place is not known", ascii(path.name)
            )
        else:
            named.append((name, path))
    chains: dict[str, list[tuple[FileName, Path]]] = {}
    for name, path in sorted(named):
        chains.setdefault(name.chain, []).append((name, path))
    return {chain: sorted(parts, key=lambda part: part[0].part) for chain, parts in chains.items()}
