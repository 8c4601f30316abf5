"""What a figure is here: a value with its interval, its n, every exclusion counted, or a refusal.

`Estimate` is the only shape in which a number leaves the analysis. A refusal is an `Estimate` too: no
value, a status and a reason. One place decides when a cell is hidden, when it is only indicative and
which further cell must go with a hidden one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

__all__ = ["LEVEL", "Estimate", "Status", "hide_small", "refused"]

LEVEL = 0.95
"""Confidence level of every interval."""

Status = Literal["ok", "indicative", "suppressed", "refused"]
Cell = TypeVar("Cell", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure: `value` in `unit`, its confidence interval, the method, how many it rests on.

    `excluded` counts what was left out, by reason code. `value` is None unless `status` is `ok` or
    `indicative`.
    """

    value: float | None
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str = ""
    excluded: Mapping[str, int] = field(default_factory=dict)
    status: Status = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        for number in (self.value, self.low, self.high):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"an estimate cannot hold {number}; refuse it with a reason")

    @property
    def known(self) -> bool:
        """Whether there is a value to speak of."""
        return self.value is not None

    def to_json(self) -> dict[str, Any]:
        """The estimate as evaluation.json holds it."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "level": self.level,
            "method": self.method,
            "n": self.n,
            "unit": self.unit,
            "excluded": dict(sorted(self.excluded.items())),
            "status": self.status,
            "reason": self.reason,
        }


def refused(
    reason: str,
    unit: str,
    *,
    n: int = 0,
    excluded: Mapping[str, int] | None = None,
    status: Status = "refused",
) -> Estimate:
    """A figure that is not given, and why."""
    return Estimate(None, unit, n, excluded=excluded or {}, status=status, reason=reason)


def hide_small(
    cells: Mapping[Cell, Estimate], *, suppress_below: int, indicative_below: int
) -> dict[Cell, Estimate]:
    """Cells of a partition with the small ones hidden.

    Under `suppress_below` persons a cell is hidden; where that leaves exactly one hidden cell, which
    could be had by subtraction from the total, the smallest of the others is hidden with it
    (complementary suppression; Hundepool et al. 2012, Statistical Disclosure Control, ch. 4). Under
    `indicative_below` a cell is marked. Empty cells (n = 0) disclose nobody and are left alone.
    """
    hidden = {key for key, cell in cells.items() if 0 < cell.n < suppress_below}
    shown = [key for key, cell in cells.items() if cell.n >= suppress_below]
    partner: Cell | None = None
    if len(hidden) == 1 and shown:
        partner = min(shown, key=lambda key: (cells[key].n, str(key)))
    out: dict[Cell, Estimate] = {}
    for key, cell in cells.items():
        if key in hidden:
            out[key] = refused("n_below_limit", cell.unit, n=0, status="suppressed")
        elif key == partner:
            out[key] = refused("would_reveal_another_cell", cell.unit, status="suppressed")
        else:
            out[key] = mark(cell, indicative_below)
    return out


def mark(cell: Estimate, indicative_below: int) -> Estimate:
    """The estimate, marked indicative when it rests on few."""
    if cell.known and cell.n < indicative_below and cell.status == "ok":
        return replace(cell, status="indicative", reason=cell.reason or "n_below_indicative_limit")
    return cell
