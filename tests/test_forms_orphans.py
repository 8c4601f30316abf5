"""A change that would leave answers without a question is found, and renames.csv settles it."""

from __future__ import annotations

from forms.model import Form, Question
from forms.orphans import orphans
from forms.renames import Renames


def form(*questions: tuple[str, str, str]) -> Form:
    """A form of (path, type, repeat)."""
    made = tuple(Question(path, kind, repeat=repeat) for path, kind, repeat in questions)
    return Form("visit", "1", "Visit", ("th",), made, {})


OLD = form(
    ("g", "begin_group", ""),
    ("g/sex", "select_one", ""),
    ("intro", "note", ""),
    ("tree", "begin_repeat", ""),
    ("tree/kind", "text", "tree"),
)


def told(new: Form, **moved: str) -> list[str]:
    renames = Renames({old.replace("__", "/"): now for old, now in moved.items()})
    return [finding.where for finding in orphans(OLD, new, renames.now)]


def test_an_equal_form_and_new_questions_orphan_nothing() -> None:
    """Adding is free; a note holds no answers."""
    assert told(OLD) == []
    more = (*((q.path, q.type, q.repeat) for q in OLD.questions if q.type != "note"),)
    assert told(form(*more, ("extra", "text", ""))) == []


def test_a_question_that_moved_is_found_with_a_guess_where() -> None:
    """Taken out of its group; the remedy is the line to write."""
    new = form(
        ("sex", "select_one", ""), ("tree", "begin_repeat", ""), ("tree/kind", "text", "tree")
    )
    (finding,) = orphans(OLD, new, Renames({}).now)
    assert "g/sex" in finding.where
    assert "perhaps as sex" in finding.what
    assert "visit,g/sex," in finding.remedy
    assert told(new, g__sex="sex") == []
    assert told(new, g__sex="") == []
    assert told(new, g__sex="elsewhere") == ["visit.xlsx: g/sex"]


def test_a_repeat_may_be_renamed_but_not_opened() -> None:
    """A renamed repeat carries its questions along; answers of turns fit nowhere outside of one."""
    group = (("g", "begin_group", ""), ("g/sex", "select_one", ""))
    renamed = form(*group, ("plant", "begin_repeat", ""), ("plant/kind", "text", "plant"))
    assert told(renamed) == ["visit.xlsx: tree/kind"]
    assert told(renamed, tree="plant") == []
    opened = form(*group, ("tree", "begin_group", ""), ("tree/kind", "text", ""))
    assert told(opened) == ["visit.xlsx: tree/kind"]
