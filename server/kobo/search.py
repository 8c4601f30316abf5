"""The `q` language of KoboToolbox's lists: `field:value` terms, AND, OR and parentheses.

AND binds tighter than OR; a value with spaces or parentheses stands between quotation marks. What a
term means is the list's own affair: it is given field (empty for plain words) and value.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import ColumnElement, and_, or_, true

from server.answers import Refusal

__all__ = ["Term", "read_search", "search_refused"]

TOKEN = re.compile(r'\s*(?:([()])|(AND|OR)(?![^\s()])|((?:"[^"]*"|[^\s()"])+))')
DEEPEST = 20
MOST_TERMS = 100

Term = Callable[[str, str], ColumnElement[bool]]


def search_refused(words: str) -> Refusal:
    """The refusal of a search that cannot be read."""
    return Refusal(400, {"q": words})


def read_search(text: str, term: Term) -> ColumnElement[bool]:
    """A search as a condition, true where it is empty; raises `Refusal` 400."""
    tokens = split(text)
    if not tokens:
        return true()
    clause = alternatives(tokens, term, 0)
    if tokens:
        raise search_refused(f"`{tokens[0]}` stands where AND, OR or the end was expected.")
    return clause


def split(text: str) -> list[str]:
    """Parentheses, AND, OR and terms; plain words that follow one another are one term."""
    tokens: list[str] = []
    at, end = 0, len(text.rstrip())
    in_term = False
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            raise search_refused("A quotation mark is not closed.")
        if in_term and match[3]:
            tokens[-1] += f" {match[3]}"
        else:
            tokens.append(match[1] or match[2] or match[3])
        in_term = bool(match[3])
        at = match.end()
    if sum(token not in ("(", ")", "AND", "OR") for token in tokens) > MOST_TERMS:
        raise search_refused(f"At most {MOST_TERMS} terms are taken.")
    return tokens


def alternatives(tokens: list[str], term: Term, depth: int) -> ColumnElement[bool]:
    """One or more conjunctions joined by OR; takes its tokens off the list."""
    parts = [conjunction(tokens, term, depth)]
    while tokens and tokens[0] == "OR":
        del tokens[0]
        parts.append(conjunction(tokens, term, depth))
    return or_(*parts)


def conjunction(tokens: list[str], term: Term, depth: int) -> ColumnElement[bool]:
    parts = [one(tokens, term, depth)]
    while tokens and tokens[0] == "AND":
        del tokens[0]
        parts.append(one(tokens, term, depth))
    return and_(*parts)


def one(tokens: list[str], term: Term, depth: int) -> ColumnElement[bool]:
    """A term, or a search in parentheses."""
    token = tokens.pop(0) if tokens else ""
    if token == "(":
        if depth == DEEPEST:
            raise search_refused(f"Parentheses stand at most {DEEPEST} deep.")
        clause = alternatives(tokens, term, depth + 1)
        if not tokens or tokens.pop(0) != ")":
            raise search_refused("A parenthesis is not closed.")
        return clause
    if token in ("", ")", "AND", "OR"):
        raise search_refused("A `field:value` term is missing.")
    field, colon, value = token.partition(":")
    return term(field, value.strip().strip('"')) if colon else term("", token.strip('"'))
