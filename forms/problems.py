"""What can be wrong, said so that the reader can mend it.

A `Finding` names the place, the fault and the remedy. A `Problem` is a finding (or several) that stops
the work; every error this house raises on purpose is one, and `watphon.py` alone turns it into words
on the terminal and exit code 1::

    Problem
    ├── UsageProblem         the command was called in a way that cannot work (exit code 2)
    ├── ProgrammeProblem     the programme folder cannot be used as it is
    ├── InstanceProblem      an instance document cannot be read or must not be accepted
    └── ServerProblem        a form server refused, failed or cannot be reached
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

__all__ = [
    "Finding",
    "InstanceProblem",
    "Problem",
    "ProgrammeProblem",
    "ServerProblem",
    "Severity",
    "UsageProblem",
]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing.

    `where` is a file, sheet, row, question or URL; `remedy` says what to do; `count` is the number of
    records it concerns.
    """

    code: str
    severity: Severity
    where: str
    what: str
    remedy: str = ""
    count: int = 1

    def __str__(self) -> str:
        tail = f" → {self.remedy}" if self.remedy else ""
        return f"{self.where}: {self.what}{tail}"


class Problem(Exception):
    """Work cannot go on; `findings` say why, each with place and remedy."""

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = (
            (findings,) if isinstance(findings, Finding) else tuple(findings)
        )
        super().__init__("\n".join(str(finding) for finding in self.findings))

    @classmethod
    def at(cls, where: str, what: str, remedy: str = "", *, code: str = "problem") -> Self:
        """The problem made of one error-level finding."""
        return cls(Finding(code, "error", where, what, remedy))


class UsageProblem(Problem):
    """The command cannot work as it was called."""


class ProgrammeProblem(Problem):
    """The programme folder cannot be used as it is."""


class InstanceProblem(Problem):
    """An instance document cannot be read or must not be accepted."""


class ServerProblem(Problem):
    """A form server refused, failed or cannot be reached."""
