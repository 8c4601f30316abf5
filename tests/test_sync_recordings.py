"""Every recording that shows an error or a trap is named by a test; here it is counted."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

TRAPS = """
003 012 023 027 028 029 030 057 058 068 075 086 087 088 096 098 101 102 113-116 119 122 128-131 132
136 137 138 149 150 153 160 162 170 172 173-176 182 183 189 191 199 201 207 208 215 216 218 221 222
223 224 226 232 233 244 255 273-279 280-284 286 287 291-294 295 296 299 303
"""
"""Answers with 200 or 201 that are not what they seem; the tests that name them say why."""

SPAN = r"\d{3}(?:\s?[-–]\s?\d{3})?"
LISTED = rf"{SPAN}(?:(?:,|,? and)\s+{SPAN})*"
NAMED = re.compile(rf"[Rr]ecordings?\s+({LISTED})|; ({LISTED}):")
"""Where words name recordings: "Recordings 113–116, 131", and, further on, "; 088: …"."""

IN_BRACKETS = re.compile(rf"\(({LISTED})\)")
"""So too in tests of `sync`; in those of the server a number in brackets may be a status."""


def numbers(words: str) -> Iterator[int]:
    """The numbers in a list such as `027, 113-116`."""
    for first, last in re.findall(r"(\d{3})(?:\s?[-–]\s?(\d{3}))?", words):
        yield from range(int(first), int(last or first) + 1)


def in_words(text: str, *, brackets: bool) -> Iterator[int]:
    """Recordings that a docstring or a comment names."""
    for pattern in (NAMED, IN_BRACKETS) if brackets else (NAMED,):
        for match in pattern.finditer(" ".join(text.split())):
            yield from numbers(match[match.lastindex or 0])


def named(source: str, *, brackets: bool = True) -> set[int]:
    """Recordings that a test file names: in docstrings, in comments, as `number` of a table."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            found.update(in_words(token.string, brackets=brackets))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            found.update(in_words(ast.get_docstring(node) or "", brackets=brackets))
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    found.update(in_table(decorator))
    return found


def in_table(decorator: ast.Call) -> Iterator[int]:
    """First values of a `parametrize` whose first name is `number`."""
    if not ast.unparse(decorator.func).endswith("parametrize") or len(decorator.args) < 2:
        return
    names, table = decorator.args
    if not re.match(r"\W*number\b", ast.unparse(names)) or not isinstance(table, ast.List):
        return
    for entry in table.elts:
        first = entry.elts[0] if isinstance(entry, ast.Tuple) else entry
        if isinstance(first, ast.Constant) and isinstance(first.value, int):
            yield first.value


def required() -> set[int]:
    """Every error of the index (status 300 and above), and the traps."""
    index = (TESTS / "recordings" / "INDEX.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d{3}) \|.*\| (\d{3}) \| \w+ \|$", index, re.M)
    assert len(rows) == 303
    return {int(number) for number, status in rows if int(status) >= 300} | set(numbers(TRAPS))


def sources() -> dict[str, str]:
    """The tests but this one, by file name."""
    paths = sorted(TESTS.glob("test_*.py"))
    return {path.name: path.read_text("utf-8") for path in paths if path != Path(__file__)}


def missing(tests: Mapping[str, str]) -> list[str]:
    """Required recordings that none of these test files names."""
    there: set[int] = set()
    for name, source in tests.items():
        there |= named(source, brackets=name.startswith("test_sync"))
    return [f"{number:03d}" for number in sorted(required() - there)]


def test_every_error_and_every_trap_is_named_by_a_test() -> None:
    """No recorded error or trap is without a test that says what we make of it."""
    assert missing(sources()) == []


@pytest.mark.parametrize(
    ("file", "words", "without", "lost"),
    [
        ("api", '(36, "refused", 1),', "", "036"),
        ("phone", '(71, "instance_refused"),', "", "071"),
        ("traps", "Recordings 280-284", "Recordings 280-283", "284"),
        ("rows", "; 101, 102, 299:", "; 101, 102:", "299"),
    ],
)
def test_a_number_that_is_taken_out_is_missed(
    file: str, words: str, without: str, lost: str
) -> None:
    """Without its line in a table, its place in a list or in a range, a recording is unnamed."""
    tests = sources()
    name = f"test_sync_recordings_{file}.py"
    assert words in tests[name]
    assert missing({**tests, name: tests[name].replace(words, without)}) == [lost]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def t():\n    """Recordings 113–116, 131: an edit."""', {113, 114, 115, 116, 131}),
        ('def t():\n    """One is gone (135), see 404 and 300 rows."""', {135}),
        ('def t():\n    """Recording 086: a; 087, 088: b; 3 of 302."""', {86, 87, 88}),
        ("x = 302  # as in recording 255\nassert status == 301", {255}),
        ("@m.parametrize(('number', 'code'), [(31, 'x'), (40, 'y')])\ndef t(): ...", {31, 40}),
        ("@m.parametrize('status', [300, 301])\ndef t(): ...", set()),
    ],
)
def test_naming_is_told_from_counting(source: str, found: set[int]) -> None:
    """A status, an amount or a row count is no recording; ranges count for all their numbers."""
    assert named(source) == found


def test_what_was_recorded_is_what_we_play() -> None:
    """The recordings beside the tests are those of the index, under their numbers and names."""
    index = (TESTS / "recordings" / "INDEX.md").read_text("utf-8")
    names = {
        f"{n}_{name}.json" for n, name in re.findall(r"^\| (\d{3}) .*\| (\w+) \|$", index, re.M)
    }
    assert {path.name for path in (TESTS / "recordings").glob("*.json")} <= names
