"""An XForm, as servers hand it to phones, read into a `Form`: `xlsform.to_xform` backwards.

For forms whose workbook is not at hand: to compare what a server asks with a workbook about to
replace it, and to put labels on the answers of a form that is not ours. What pyxform wrote comes back
as `xlsform.read_form` reads the workbook, except for what an XForm does not tell:

* `required` and `relevant` are XPath (`true()`, `/data/age > 17`), where the workbook has `yes`,
  `${age} > 17`; rows, settings and the language of an untranslated form (`languages` is empty) are lost;
* a read-only `text` that nothing fills is a `note`, a `note` with a value a `text`; a `hidden` with a
  default and a `text` without label are a `calculate`, which has no label; a type has one name
  (`datetime` for `dateTime`, `integer` for `int`, `acknowledge` for `trigger`, `deviceid` for `imei`);
* what pyxform adds is there: `<repeat>_count`, question and choice of `or_other`; what it takes away is
  not: typographic quotes, double spaces. Words of a column without language may be under the default
  language. A label `-` beside other languages is pyxform's mark of a gap and left out;
* `meta/audit` comes last; `xml-external` is no question; choices written inside a question make a list
  called `/` and the question's path.

Constraints, defaults, hints, media and appearance are not read; nothing is evaluated.

Specification: https://getodk.github.io/xforms-spec/ ; how pyxform writes each type:
https://github.com/XLSForm/pyxform/blob/master/pyxform/question_type_dictionary.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from forms.instance import local, parse_xml
from forms.model import Choice, Form, Question
from forms.problems import InstanceProblem, Problem
from forms.xlsform import LANGUAGE

__all__ = ["read_xform"]

Element = etree._Element
JR = "{http://openrosa.org/javarosa}"
ORX = "{http://openrosa.org/xforms}"

SAME = ("integer", "decimal", "date", "time", "geopoint", "geotrace", "geoshape", "barcode")
TYPES = {"int": "integer", "dateTime": "datetime", "binary": "file", **{t: t for t in SAME}}
"""XLSForm type by data type; every other is text (https://getodk.github.io/xforms-spec/#data-types)."""

CONTROLS = {
    "select1": "select_one",
    "select": "select_multiple",
    "rank": "rank",
    "trigger": "acknowledge",
    "range": "range",
}
PRELOADS = {"date today": "today", "timestamp start": "start", "timestamp end": "end"}
"""https://getodk.github.io/xforms-spec/#preload-attributes; a `property` is called as its parameter."""

NOT_ASKED = ("formhub", "__version__", "_version_")
"""What KoboToolbox puts into a form for itself."""

LIST = re.compile(r"\s*(?:randomize\(\s*)?instance\(\s*['\"]([^'\"]*)['\"]\s*\)")
LAST_SAVED = re.compile(r"instance\('__last-saved'\)/(?:.*/)?([^/]+)")
PATH = re.compile(r"(?:current\(\)/)?[^\s()\[\]'\"=<>|,+*$]+")

Words = Mapping[str, Mapping[str, str]]
"""The itext: language → text id → words, the default language first."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A document taken apart; everything but `files` (by list) and `words` goes by question path."""

    where: str
    binds: Mapping[str, Mapping[str, str]]
    controls: Mapping[str, Element]
    repeats: frozenset[str]
    filled: Mapping[str, str]
    files: Mapping[str, str]
    words: Words


def read_xform(document: bytes, *, where: str = "") -> Form:
    """The form in an XForm document: KoboToolbox `assets/{uid}.xml`, ODK Central `forms/{id}.xml`.

    Id and version are those its submissions carry. Raises `Problem` naming `where` when the document
    is no XForm, needs a DTD or entities, or gives a name twice.
    """
    where = where or "XForm"
    try:
        root = parse_xml(document)
    except InstanceProblem as problem:
        raise refused(where, problem.findings[0].what) from problem
    model, body = root.find("{*}head/{*}model"), root.find("{*}body")
    if model is None or body is None:
        raise refused(where, f"is no XForm: <{local(root.tag)}> has no form model and body in it")
    instances = model.findall("{*}instance")
    primary = next(instances[0].iterchildren("*"), None) if instances else None
    if primary is None:
        raise refused(where, "is no XForm: its model has no primary instance")
    lists: dict[str, Element] = {}
    for instance in instances[1:]:
        if lists.setdefault(instance.get("id", ""), instance) is not instance:
            raise refused(where, f"has two instances with the id {instance.get('id', '')}")
    shown = tuple(shown_in(body, ""))
    parts = Parts(
        where=where,
        binds=find_binds(model),
        controls={path: holder for path, _, holder in reversed(shown)},
        repeats=frozenset(path for path, tag, _ in shown if tag == "repeat"),
        filled=find_filled(model, body),
        files={name: src.rpartition("/")[2] for name in lists if (src := lists[name].get("src"))},
        words=itext(model, where),
    )
    form_id = primary.get("id") or local(primary.tag)
    return Form(
        id=form_id,
        version=primary.get("version") or primary.get(f"{ORX}version") or "",
        title=plain(root.find("{*}head/{*}title")) or form_id,
        languages=tuple(language for language in parts.words if language),
        questions=tuple(questions(primary, "", "", parts)),
        choices=dict(choices(lists, parts)),
    )


def refused(where: str, what: str) -> Problem:
    """The problem of a document that cannot be read as a form."""
    remedy = "check the address and the sign-in, and download the form's XML from its server again"
    return Problem.at(where, what, remedy, code="xform_refused")


def itext(model: Element, where: str) -> Words:
    """The words of each language (https://getodk.github.io/xforms-spec/#languages), default first.

    Of a text's values the plain one counts, not a short form, picture or sound. `default` is what
    pyxform calls the language of columns that name none.
    """
    found: dict[str, dict[str, str]] = {}
    translations = model.findall("{*}itext/{*}translation")
    for translation in sorted(translations, key=lambda t: t.get("default") is None):
        name = translation.get("lang", "default")
        match = LANGUAGE.match(f"label::{name[:99]}")  # it backtracks: a name has to be short
        language = (match["code"] or match["words"]) if match else name
        texts: dict[str, str] = {}
        for text in translation.iterchildren("{*}text"):
            key = text.get("id", "")
            if key in texts:
                raise refused(where, f"has two texts with the id {key} in {name}")
            values = text.iterchildren("{*}value")
            texts[key] = plain(next((v for v in values if not v.get("form")), None))
        found.setdefault("" if language == "default" else language, {}).update(texts)
    return found


def plain(element: Element | None) -> str:
    """Words as a workbook has them: `<output value="/data/g/age"/>` is `${age}` again."""
    if element is None:
        return ""
    parts = [element.text or ""]
    for child in element.iterchildren("*"):
        if local(child.tag) == "output":
            parts.append(f"${{{reference(child.get('value', ''))}}}")
        else:
            parts.extend(str(piece) for piece in child.itertext(with_tail=False))
        parts.append(child.tail or "")
    return "".join(parts).strip()


def reference(expression: str) -> str:
    """What stood between `${` and `}`: a path's last step; another expression stays as it is."""
    expression = expression.strip()
    if match := LAST_SAVED.fullmatch(expression):
        return f"last-saved#{match[1]}"
    return expression.rpartition("/")[2] if PATH.fullmatch(expression) else expression


def text_id(ref: str) -> str:
    """The id (or the element that holds it) in `jr:itext(…)`; of another reference nothing."""
    ref = ref.strip()
    return ref[9:-1].strip().strip("'\"") if ref.startswith("jr:itext(") else ""


def translated(key: str, words: Words) -> dict[str, str]:
    """A text in each language that has it."""
    found = {language: texts[key] for language, texts in words.items() if texts.get(key)}
    return {language: text for language, text in found.items() if text != "-"} or found


def labels(label: Element | None, words: Words) -> dict[str, str]:
    """`{"th": …, "en": …}` of a label; words that stand in the label itself are under `""`."""
    if label is None:
        return {}
    text = plain(label)
    return translated(text_id(label.get("ref", "")), words) or ({"": text} if text else {})


def path_of(ref: str, around: str = "") -> str:
    """The path of the question a `ref` or `nodeset` names; relative ones begin at `around`."""
    steps = [step.rpartition(":")[2] for step in ref.strip().split("/")]
    if not steps[0]:
        return "/".join(steps[2:])
    path = around.split("/") if around else []
    for step in steps:
        if step == "..":
            del path[-1:]
        elif step not in (".", "current()"):
            path.append(step)
    return "/".join(path)


def find_binds(model: Element) -> dict[str, dict[str, str]]:
    """The attributes of all binds of each path."""
    found: dict[str, dict[str, str]] = {}
    for bind in model.iterchildren("{*}bind"):
        told = {str(name): str(value).strip() for name, value in bind.attrib.items()}
        found.setdefault(path_of(told.get("nodeset", "")), {}).update(told)
    return found


def shown_in(element: Element, around: str) -> Iterator[tuple[str, str, Element]]:
    """Path, tag and holder of the label of all a body shows; a repeat's label is in a group around it.

    https://getodk.github.io/xforms-spec/#groups, https://getodk.github.io/xforms-spec/#repeats
    """
    for child in element.iterchildren("*"):
        ref, tag = child.get("ref") or child.get("nodeset"), local(child.tag)
        path = path_of(ref, around) if ref else around
        if ref and tag in ("group", "repeat", "input", "upload", *CONTROLS):
            yield path, tag, element if tag == "repeat" and not element.get("ref") else child
        if tag in ("group", "repeat"):
            yield from shown_in(child, path)


def find_filled(model: Element, body: Element) -> dict[str, str]:
    """The type of what actions fill (https://getodk.github.io/xforms-spec/#actions)."""
    found: dict[str, str] = {}
    for place, geopoint in ((model, "start-geopoint"), (body, "background-geopoint")):
        kinds = {
            "{*}setvalue": "calculate",
            "{*}setgeopoint": geopoint,
            "{*}recordaudio": "background-audio",
        }
        for action, kind in kinds.items():
            found |= {path_of(done.get("ref", "")): kind for done in place.iter(action)}
    return found


def questions(element: Element, around: str, repeat: str, parts: Parts) -> Iterator[Question]:
    """The questions below an element of the primary instance, in its order.

    A repeat may stand there several times: its template counts, else its first turn
    (https://getodk.github.io/xforms-spec/#repeats).
    """
    turns: dict[str, list[Element]] = {}
    for child in element.iterchildren("*"):
        turns.setdefault(local(child.tag), []).append(child)
    for name, nodes in turns.items():
        path = f"{around}/{name}" if around else name
        if path == "meta" and nodes[0].find("{*}audit") is not None:
            yield Question("meta/audit", "audit")
        if path == "meta" or path in NOT_ASKED:
            continue
        if len(nodes) > 1 and path not in parts.repeats:
            raise refused(parts.where, f"has {path} twice and does not repeat it")
        node = next((n for n in nodes if n.get(f"{JR}template") is not None), nodes[0])
        bind, control = parts.binds.get(path, {}), parts.controls.get(path)
        kind = type_of(node, path, parts)
        listed = list_name(control, path) if kind.startswith(("select_", "rank")) else ""
        if listed in parts.files and kind in ("select_one", "select_multiple"):
            kind += "_from_file"
        yield Question(
            path=path,
            type=kind,
            list_name=parts.files.get(listed, listed),
            labels=labels(None if control is None else control.find("{*}label"), parts.words),
            required=bind.get("required", ""),
            relevant=bind.get("relevant", ""),
            repeat=repeat,
        )
        if kind in ("begin_group", "begin_repeat"):
            yield from questions(node, path, path if kind == "begin_repeat" else repeat, parts)


def type_of(node: Element, path: str, parts: Parts) -> str:
    """The XLSForm type of a question, by its control, its bind and what fills it."""
    bind, control = parts.binds.get(path, {}), parts.controls.get(path)
    tag = "" if control is None else local(control.tag)
    if path in parts.repeats:
        return "begin_repeat"
    if len(node) or tag == "group":
        return "begin_group"
    data, action = bind.get("type", "").rpartition(":")[2], parts.filled.get(path, "")
    filled = bind.get("calculate") or (node.text or "").strip() or action
    if control is None:
        preload, about = bind.get(f"{JR}preload", ""), bind.get(f"{JR}preloadParams", "")
        if preload == "property" and about:
            return about
        known = PRELOADS.get(f"{preload} {about}") or action
        return known or (TYPES.get(data, "calculate") if filled else "hidden")
    if tag == "upload":
        media = control.get("mediatype", "").partition("/")[0]
        return media if media in ("image", "audio", "video", "osm") else "file"
    if control.get("query"):
        return "select_one_external"
    if data in ("", "string") and bind.get("readonly") == "true()" and not filled:
        return CONTROLS.get(tag, "note")
    return CONTROLS.get(tag) or TYPES.get(data, "text")


def list_name(control: Element | None, path: str) -> str:
    """The choice list of a select: an instance's id, `${name}` of answers in a repeat, or `/path`."""
    if control is None or control.find("{*}item") is not None:
        return f"/{path}"
    itemset, value = control.find("{*}itemset"), control.find("{*}itemset/{*}value")
    nodeset = control.get("query", "") if itemset is None else itemset.get("nodeset", "")
    if match := LIST.match(nodeset):
        return match[1]
    return "" if value is None else f"${{{value.get('ref', '')}}}"


def choices(lists: Mapping[str, Element], parts: Parts) -> Iterator[tuple[str, tuple[Choice, ...]]]:
    """The choice lists in secondary instances, then those inside questions; none of a file.

    A question that shows a list tells which elements are code and label; else pyxform's are taken
    (https://getodk.github.io/xforms-spec/#secondary-instances---internal).
    """
    shown: dict[str, tuple[str, str]] = {}
    for control in parts.controls.values():
        value, label = control.find("{*}itemset/{*}value"), control.find("{*}itemset/{*}label")
        if value is not None and label is not None:
            shown[list_name(control, "")] = (value.get("ref", ""), label.get("ref", ""))
    for name, instance in lists.items():
        columns = shown.get(name, ("name", "jr:itext(itextId)"))
        items = instance.findall("{*}root/{*}item")
        if items and name not in parts.files:
            yield name, tuple(choice(item, *columns, parts.words) for item in items)
    for path, control in parts.controls.items():
        if items := control.findall("{*}item"):
            yield f"/{path}", tuple(choice(item, "value", "label", parts.words) for item in items)


def choice(item: Element, code: str, label: str, words: Words) -> Choice:
    """One choice; `label` is the element that holds its label, or `jr:itext(…)` of one with a text id."""
    cells = {local(cell.tag): cell for cell in item.iterchildren("*")}
    key = text_id(label)
    said = translated(plain(cells.get(key)), words) if key else {}
    said = said or labels(cells.get("label" if key else label), words)
    return Choice(plain(cells.get(code)), said)
