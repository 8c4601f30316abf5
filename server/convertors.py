"""Numbers in addresses: at most fifteen digits, which every database holds; others are 404."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor

__all__ = ["bound_numbers"]


class RowNumber(IntegerConvertor):
    """`{name:int}` of a route: Starlette's own takes any number of digits and fails on them."""

    regex = "[0-9]{1,15}"


def bound_numbers() -> None:
    """Let `{name:int}` mean a number a row can have; before routes are made."""
    register_url_convertor("int", RowNumber())
