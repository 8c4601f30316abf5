"""`query`, `sort` and `fields` of the data list: the part of MongoDB's language this server speaks.

Known: `$eq $ne $gt $gte $lt $lte $in $exists` on any top-level key, `$and` and `$or` around them.
Anything else is refused with the list of what is known, where KoboToolbox answers a silent 0. Keys
that are columns are answered by the database; the others by looking into each row's JSON.

Comparisons are MongoDB's: text with text, number with number. Answers are text always (`"45"`), so
a number is refused where it could never match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, false, or_, true

from server.answers import Refusal
from server.state.schema import submissions

__all__ = ["COLUMNS", "Filter", "read_fields", "read_query", "read_sort"]

COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "_id": submissions.c.id,
    "_uuid": submissions.c.instance_id,
    "meta/instanceID": submissions.c.instance_id,
    "meta/rootUuid": submissions.c.root_id,
    "_submission_time": submissions.c.submitted_at,
    "_date_modified": submissions.c.modified_at,
    "_submitted_by": submissions.c.submitter,
    "_validation_status.uid": submissions.c.status_uid,
}
PREFIXED = ("meta/instanceID", "meta/rootUuid")
SORTABLE = ("_id", "_submission_time", "_date_modified")
OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$exists")
KNOWN = (
    f"Known are {' '.join(OPERATORS)} on top-level keys, and $and, $or around them; "
    "values are text, except that _id is a number."
)
DEEPEST = 20
MOST_VALUES = 10_000
MOST_CONDITIONS = 200
"""SQLite's expressions may be 1000 deep, and each condition of a row of `$or` is two deeper."""

Predicate = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """What rows must be like: `clause` for the database, then `predicate` on the JSON row.

    `after` is N when the whole query is `_id > N`, the way a sync pages; `everything` when there is
    no condition at all.
    """

    clause: ColumnElement[bool]
    predicate: Predicate | None = None
    after: int | None = None
    everything: bool = False


def refused(parameter: str, words: str) -> Refusal:
    return Refusal(400, {parameter: words})


def parsed(parameter: str, text: str) -> Any:
    """A parameter's JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refused(parameter, "Value must be valid JSON.") from error


def read_fields(text: str | None) -> tuple[str, ...] | None:
    """The `fields` parameter: a JSON list of keys."""
    if not text:
        return None
    found = parsed("fields", text)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise refused("fields", 'A JSON list of keys is required, such as ["_id","_uuid"].')
    return tuple(found)


def read_sort(text: str | None) -> tuple[list[ColumnElement[Any]], bool]:
    """The `sort` parameter, and whether it means by rising `_id` (also without it, so that pages do
    not overlap)."""
    wanted = parsed("sort", text) if text else {}
    if not isinstance(wanted, dict):
        raise refused("sort", 'A JSON object is required, such as {"_id": 1}.')
    order: list[ColumnElement[Any]] = []
    for key, direction in wanted.items():
        if key not in SORTABLE or direction not in (1, -1) or isinstance(direction, bool):
            raise refused("sort", f"Known are {', '.join(SORTABLE)}, each 1 or -1.")
        order.append(COLUMNS[key].asc() if direction == 1 else COLUMNS[key].desc())
    rising = wanted in ({}, {"_id": 1})
    return (order if "_id" in wanted else [*order, submissions.c.id.asc()]), rising


def read_query(text: str | None) -> Filter:
    """The `query` parameter; raises `Refusal` 400 for what this server does not know."""
    if not text:
        return Filter(true(), everything=True)
    query = parsed("query", text)
    check(query)
    if conditions(query) > MOST_CONDITIONS:
        words = f"At most {MOST_CONDITIONS} conditions are taken; $in takes {MOST_VALUES} values."
        raise refused("query", words)
    clause, predicate = split(query)
    return Filter(clause, predicate, after_of(query), everything=not query)


def after_of(query: dict[str, Any]) -> int | None:
    match query:
        case {"_id": {"$gt": int(number), **more}, **others} if not more and not others:
            return number
    return None


def conditions(query: dict[str, Any]) -> int:
    """How many conditions a checked query has."""
    return sum(
        sum(conditions(part) for part in wanted)
        if key in ("$and", "$or")
        else (len(wanted) if isinstance(wanted, dict) else 1)
        for key, wanted in query.items()
    )


def check(query: Any, depth: int = 0) -> None:
    """Refuse whatever is not known, so that what follows need not look."""
    if not isinstance(query, dict):
        raise refused("query", f"A JSON object is required. {KNOWN}")
    if depth > DEEPEST:
        raise refused("query", f"$and and $or stand at most {DEEPEST} deep.")
    for key, wanted in query.items():
        if key in ("$and", "$or"):
            if not isinstance(wanted, list) or not wanted:
                raise refused("query", f"{key} needs a list of conditions. {KNOWN}")
            for part in wanted:
                check(part, depth + 1)
        elif key.startswith("$"):
            raise refused("query", f"{key[:40]} is not known. {KNOWN}")
        elif "." in key and key not in COLUMNS:
            raise refused("query", f"{key[:80]} reaches inside a value. {KNOWN}")
        elif isinstance(wanted, dict):
            if not wanted:
                raise refused("query", f"{key[:80]} has no condition. {KNOWN}")
            for operator, operand in wanted.items():
                check_operand(key, operator, operand)
        else:
            check_operand(key, "$eq", wanted)


def check_operand(key: str, operator: str, operand: Any) -> None:
    if operator not in OPERATORS:
        raise refused("query", f"{operator[:40]} is not known. {KNOWN}")
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise refused("query", f"$exists needs true or false. {KNOWN}")
        return
    if operator == "$in" and (not isinstance(operand, list) or len(operand) > MOST_VALUES):
        raise refused("query", f"$in needs a list of at most {MOST_VALUES} values. {KNOWN}")
    for value in operand if operator == "$in" else [operand]:
        if key == "_id":
            fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
        elif operator in ("$eq", "$ne", "$in"):
            fits = value is None or isinstance(value, str)
        else:
            fits = isinstance(value, str)
        if key in COLUMNS and isinstance(value, str) and "\0" in value:
            fits = False  # no text of the database has a NUL, and PostgreSQL takes none
        if not fits:
            raise refused("query", f"{key[:80]} cannot be compared with this value. {KNOWN}")


def split(query: dict[str, Any]) -> tuple[ColumnElement[bool], Predicate | None]:
    """A checked query as a clause for the database and a predicate for the rest, joined by and."""
    clauses: list[ColumnElement[bool]] = []
    predicates: list[Predicate] = []
    for key, wanted in query.items():
        if key == "$and":
            parts = [split(part) for part in wanted]
            clauses += [clause for clause, _ in parts]
            predicates += [predicate for _, predicate in parts if predicate]
        elif key == "$or":
            parts = [split(part) for part in wanted]
            if any(predicate for _, predicate in parts):
                predicates.append(any_of([matcher(part) for part in wanted]))
            else:
                clauses.append(or_(*(clause for clause, _ in parts)))
        elif key in COLUMNS:
            conditions = wanted if isinstance(wanted, dict) else {"$eq": wanted}
            clauses += [on_column(key, op, operand) for op, operand in conditions.items()]
        else:
            predicates.append(matcher({key: wanted}))
    return and_(true(), *clauses), all_of(predicates) if predicates else None


def on_column(key: str, operator: str, operand: Any) -> ColumnElement[bool]:
    """One condition on a column; the empty text in a column stands for an absent key."""
    column = COLUMNS[key]
    absent = key in ("_submitted_by", "_validation_status.uid")
    if operator == "$exists":
        present = column != "" if key == "_validation_status.uid" else true()
        return present if operand else ~present
    values = [stored(key, value) for value in (operand if operator == "$in" else [operand])]
    if operator in ("$in", "$eq", "$ne"):
        told = ["" if value is None and absent else value for value in values]
        clause = column.in_([value for value in told if value is not None]) if told else false()
        return ~clause if operator == "$ne" else clause
    compare = {"$gt": column.__gt__, "$gte": column.__ge__}.get(operator)
    compare = compare or {"$lt": column.__lt__, "$lte": column.__le__}[operator]
    clause = compare(values[0])
    return and_(clause, column != "") if absent else clause


def stored(key: str, value: Any) -> Any:
    """A value as the column holds it: ids without `uuid:`."""
    return value.removeprefix("uuid:") if key in PREFIXED and isinstance(value, str) else value


def matcher(query: dict[str, Any]) -> Predicate:
    """A checked query as a predicate on the JSON row."""
    predicates: list[Predicate] = []
    for key, wanted in query.items():
        if key in ("$and", "$or"):
            join = all_of if key == "$and" else any_of
            predicates.append(join([matcher(part) for part in wanted]))
        else:
            conditions = wanted if isinstance(wanted, dict) else {"$eq": wanted}
            predicates += [on_row(key, op, operand) for op, operand in conditions.items()]
    return all_of(predicates)


def on_row(key: str, operator: str, operand: Any) -> Predicate:
    """One condition on a row; a missing key equals null, as in MongoDB."""

    def value(row: Mapping[str, Any]) -> Any:
        if key == "_validation_status.uid":
            return (row.get("_validation_status") or {}).get("uid")
        return row.get(key)

    def comparable(row: Mapping[str, Any]) -> bool:
        return type(value(row)) is type(operand)

    match operator:
        case "$eq":
            return lambda row: value(row) == operand
        case "$ne":
            return lambda row: value(row) != operand
        case "$in":
            return lambda row: value(row) in operand
        case "$exists":
            return lambda row: (value(row) is not None if "." in key else key in row) is operand
        case "$gt":
            return lambda row: comparable(row) and value(row) > operand
        case "$gte":
            return lambda row: comparable(row) and value(row) >= operand
        case "$lt":
            return lambda row: comparable(row) and value(row) < operand
        case _:
            return lambda row: comparable(row) and value(row) <= operand


def all_of(predicates: list[Predicate]) -> Predicate:
    return lambda row: all(predicate(row) for predicate in predicates)


def any_of(predicates: list[Predicate]) -> Predicate:
    return lambda row: any(predicate(row) for predicate in predicates)
