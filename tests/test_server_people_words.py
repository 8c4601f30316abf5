"""The words of the server: every sentence in Thai, none left over."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2.ext import extract_from_ast

from server.pages.render import LOCALE, environment

SERVER = LOCALE.parent


def in_python() -> set[str]:
    """Sentences given to `say`, `_` or `mark` in the code."""
    found: set[str] = set()
    for path in SERVER.rglob("*.py"):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0]
                if name in ("say", "_", "mark") and isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def in_templates() -> set[str]:
    """Sentences given to `_` in the templates."""
    return {
        str(found[0] if isinstance(found, tuple) else found)
        for path in (SERVER / "pages" / "templates").glob("*.html")
        for _, _, found in extract_from_ast(
            environment.parse(path.read_text("utf-8")), gettext_functions=("_",)
        )
        if found
    }


def placeholders(sentence: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("path", sorted(LOCALE.glob("*.po")), ids=lambda path: path.stem)
def test_every_sentence_is_translated_and_none_is_left_over(path: Path) -> None:
    """A catalogue holds just the sentences in use, each once and translated, placeholders kept."""
    with path.open("rb") as file:
        catalogue = {message.id: message.string for message in read_po(file) if message.id}
    written = path.read_text("utf-8").count('\nmsgid "') - 1
    assert written == len(catalogue), "a sentence stands twice in the catalogue"
    used = in_python() | in_templates()
    assert used - catalogue.keys() == set(), "not in the catalogue"
    assert catalogue.keys() - used == set(), "in the catalogue, but nobody says it"
    for sentence, translation in catalogue.items():
        assert translation, sentence
        assert placeholders(str(sentence)) == placeholders(str(translation)), sentence
