"""Who may do what: five roles for people, two kinds of keys for phones, and what each opens.

A role is a set of rights; where rights stop at provinces, the account or key names them. This table
is the one place: handlers ask for a right, never for a role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["KEY_KINDS", "NEEDS_PROVINCES", "RIGHTS", "ROLES", "Right", "Visitor"]


class Right(Enum):
    """One thing a visitor may do."""

    MANAGE = "change forms, accounts, keys and submissions"
    ROWS = "read whole submissions, of the visitor's provinces"
    ANSWERS = "read submissions without the fields that say who"
    REVIEW = "approve submissions, hold them or not, in the visitor's provinces"
    SUBMIT = "fetch forms and send submissions"
    LISTS = "get with a form the names in its lists of persons, of the visitor's provinces"
    CORRECT = "send a new version of a submission that was sent before"
    NAMES = "see on the board who is still missing, in the visitor's provinces"
    TOTALS = "see on the board every province against its target"
    REPORTS = "read the reports"
    KEYS = "give phones and walls their keys, for the visitor's provinces"


RIGHTS: Mapping[str, frozenset[Right]] = {
    "admin": frozenset(Right),
    "province": frozenset(
        {
            Right.ROWS,
            Right.REVIEW,
            Right.SUBMIT,
            Right.LISTS,
            Right.CORRECT,
            Right.NAMES,
            Right.REPORTS,
            Right.KEYS,
        }
    ),
    "facilitator": frozenset({Right.SUBMIT, Right.LISTS, Right.CORRECT, Right.NAMES}),
    "evaluator": frozenset({Right.ANSWERS, Right.REVIEW, Right.TOTALS, Right.REPORTS}),
    "manager": frozenset({Right.TOTALS, Right.REPORTS}),
    "phone": frozenset({Right.SUBMIT, Right.LISTS, Right.CORRECT}),
    "link": frozenset({Right.SUBMIT}),
}
"""The first five are roles of accounts. A `phone` is a facilitator's device with a key; a `link` is
a key that many may hold: a poster's code, a personal link."""

KEY_KINDS = ("phone", "link")
ROLES = tuple(role for role in RIGHTS if role not in KEY_KINDS)
NEEDS_PROVINCES = ("province", "facilitator")
"""Roles that have no sense without provinces: no bound would open every province to them."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: an account, or a phone by its key (`name` is then the key's label).

    `provinces` and `forms` (form ids) bound what is seen and sent; empty means no bound.
    """

    name: str
    role: str
    provinces: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()

    def may(self, right: Right) -> bool:
        """Whether this visitor has the right at all."""
        return right in RIGHTS.get(self.role, frozenset())

    def sees_province(self, province: str | None) -> bool:
        """Whether the province is inside the visitor's bound; an unknown one only without bound."""
        return not self.provinces or (province or "") in self.provinces

    def sees_form(self, form_id: str) -> bool:
        """Whether the form is inside the visitor's bound."""
        return not self.forms or form_id in self.forms
