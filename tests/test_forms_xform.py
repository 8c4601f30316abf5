"""XForm documents: what a server hands to phones reads back as the workbook it was made of."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from pyxform.xls2xform import convert
from recorded import recording

from forms.model import Form
from forms.problems import Problem
from forms.programme import load, shipped
from forms.xform import read_xform
from forms.xlsform import deployable, read_form, to_xform

FORMS = sorted(load(shipped()).forms)


def of_markdown(table: str) -> Form:
    """What a form written as Markdown is after pyxform."""
    return read_xform(convert(table, file_type=".md").xform.encode())


def xform(*, instance: str, model: str = "", body: str = "") -> bytes:
    """A document as nobody's converter writes it."""
    return f"""<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml"
        xmlns:jr="http://openrosa.org/javarosa" xmlns:orx="http://openrosa.org/xforms"
        xmlns:xsd="http://www.w3.org/2001/XMLSchema">
      <h:head><h:title>By hand</h:title>
        <model><instance><data id="hand">{instance}</data></instance>{model}</model>
      </h:head><h:body>{body}</h:body></h:html>""".encode()


def asked(form: Form) -> list[tuple[str, str, str, str, dict[str, str]]]:
    """All an XForm tells of the questions; the audit last, where an XForm has it."""
    return sorted(
        ((q.path, q.type, q.list_name, q.repeat, dict(q.labels)) for q in form.questions),
        key=lambda question: question[0] == "meta/audit",
    )


def offered(form: Form) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """The choice lists without rows."""
    return {name: [(c.name, dict(c.labels)) for c in form.choices[name]] for name in form.choices}


@pytest.mark.parametrize("form_id", FORMS)
def test_shipped_workbooks_come_back(form_id: str) -> None:
    """Paths, order, repeats, types, lists, labels and choices of a shipped form survive an XForm."""
    written = read_form(shipped() / f"{form_id}.xlsx")
    document, _ = to_xform(
        deployable(shipped() / f"{form_id}.xlsx"), form_id=form_id, version=written.version
    )
    read = read_xform(document.encode())
    assert (read.id, read.version, read.title) == (written.id, written.version, written.title)
    assert read.languages == written.languages
    assert asked(read) == asked(written)
    assert offered(read) == offered(written)
    assert read.repeats == written.repeats
    for question in written.questions:
        said = read.by_path[question.path]
        assert bool(said.relevant) == bool(question.relevant)
        assert said.required == {"yes": "true()", "": ""}.get(question.required, said.required)
        assert bool(said.required) == bool(question.required)


@pytest.mark.parametrize(
    ("number", "form_id", "version"),
    [(43, "a4AMDX2ozJ2zAhanaYrmG5", "1 (2026-11-23 13:01:40)"), (194, "hh_survey", "")],
)
def test_a_real_kobotoolbox_document(number: int, form_id: str, version: str) -> None:
    """KoboToolbox's own nodes are no questions; nested repeats, languages and files are found."""
    form = read_xform(recording(number)["response_body"].encode())
    assert (form.id, form.version) == (form_id, version)
    assert form.title == "Household survey แบบสำรวจครัวเรือน"
    assert form.languages == ("th", "en")
    assert form.repeats == ("member", "member/illness")
    said = [(q.path, q.type, q.list_name, q.repeat) for q in form.questions]
    last = [("thanks", "note", "", ""), ("comment", "text", "", "")] if number == 194 else []
    assert said == [
        ("start", "start", "", ""),
        ("end", "end", "", ""),
        ("today", "today", "", ""),
        ("username", "username", "", ""),
        ("hh_code", "text", "", ""),
        ("tambon", "select_one_from_file", "tambon.csv", ""),
        ("grp_head", "begin_group", "", ""),
        ("grp_head/head_name", "text", "", ""),
        ("grp_head/head_age", "integer", "", ""),
        ("grp_head/head_sex", "select_one", "sex", ""),
        ("member", "begin_repeat", "", ""),
        ("member/m_name", "text", "", "member"),
        ("member/m_age", "integer", "", "member"),
        ("member/m_edu", "begin_group", "", "member"),
        ("member/m_edu/m_school", "select_one", "yesno", "member"),
        ("member/illness", "begin_repeat", "", "member"),
        ("member/illness/ill_name", "text", "", "member/illness"),
        ("n_members", "calculate", "", ""),
        ("needs", "select_multiple", "needs", ""),
        ("gps", "geopoint", "", ""),
        ("photo", "image", "", ""),
        ("income", "decimal", "", ""),
        ("visit_date", "date", "", ""),
        *last,
    ]
    assert form.by_path["member"].labels == {"th": "สมาชิก", "en": "Member"}
    assert form.by_path["hh_code"].required == "true()"
    assert form.by_path["member/m_edu/m_school"].relevant == "../../m_age  < 18"
    assert offered(form)["sex"] == [
        ("m", {"th": "ชาย", "en": "Male"}),
        ("f", {"th": "หญิง", "en": "Female"}),
    ]
    assert set(form.choices) == {"sex", "yesno", "needs"}


def test_every_type() -> None:
    """Each XLSForm type comes back under its name, or as the docstring says it must."""
    form = of_markdown(
        """
        | survey |
        | | type                            | name     | label | calculation | default | read_only | trigger |
        | | start                           | start    |       |             |         |           |         |
        | | end                             | end      |       |             |         |           |         |
        | | today                           | today    |       |             |         |           |         |
        | | deviceid                        | deviceid |       |             |         |           |         |
        | | username                        | username |       |             |         |           |         |
        | | phonenumber                     | phone    |       |             |         |           |         |
        | | email                           | email    |       |             |         |           |         |
        | | audit                           | audit    |       |             |         |           |         |
        | | text                            | name     | A     |             |         |           |         |
        | | integer                         | age      | A     |             |         |           |         |
        | | decimal                         | rai      | A     |             |         |           |         |
        | | range                           | level    | A     |             |         |           |         |
        | | date                            | day      | A     |             |         |           |         |
        | | time                            | hour     | A     |             |         |           |         |
        | | dateTime                        | moment   | A     |             |         |           |         |
        | | select_one yn                   | one      | A     |             |         |           |         |
        | | select_multiple yn              | many     | A     |             |         |           |         |
        | | rank yn                         | order    | A     |             |         |           |         |
        | | select_one_from_file c.csv      | csv      | A     |             |         |           |         |
        | | select_multiple_from_file d.xml | places   | A     |             |         |           |         |
        | | csv-external                    | other    |       |             |         |           |         |
        | | geopoint                        | point    | A     |             |         |           |         |
        | | geotrace                        | line     | A     |             |         |           |         |
        | | geoshape                        | field    | A     |             |         |           |         |
        | | start-geopoint                  | began    |       |             |         |           |         |
        | | background-geopoint             | seen     |       |             |         |           | ${age}  |
        | | background-audio                | heard    |       |             |         |           |         |
        | | barcode                         | badge    | A     |             |         |           |         |
        | | image                           | photo    | A     |             |         |           |         |
        | | audio                           | voice    | A     |             |         |           |         |
        | | video                           | film     | A     |             |         |           |         |
        | | file                            | paper    | A     |             |         |           |         |
        | | acknowledge                     | agreed   | A     |             |         |           |         |
        | | note                            | thanks   | A     |             |         |           |         |
        | | calculate                       | sum      |       | 1+1         |         |           |         |
        | | calculate                       | copied   |       | 1+1         |         |           | ${age}  |
        | | integer                         | counted  |       | 1+1         |         |           |         |
        | | hidden                          | secret   |       |             |         |           |         |
        | | text                            | read     | A     |             |         | yes       |         |
        | | text                            | given    | A     |             | abc     | yes       |         |
        | | text                            | dated    | A     |             | now()   | yes       |         |
        | | text                            | worked   | A     | 1+1         |         | yes       |         |
        | | note                            | shown    | A     |             | abc     |           |         |
        | | hidden                          | constant |       |             | abc     |           |         |
        | | text                            | unseen   |       | 1+1         |         |           |         |
        | choices |
        | | list_name | name | label |
        | | yn        | y    | Yes   |
        """
    )
    types = {q.path: q.type for q in form.questions}
    assert types == {
        "start": "start",
        "end": "end",
        "today": "today",
        "deviceid": "deviceid",
        "username": "username",
        "phone": "phonenumber",
        "email": "email",
        "name": "text",
        "age": "integer",
        "rai": "decimal",
        "level": "range",
        "day": "date",
        "hour": "time",
        "moment": "datetime",
        "one": "select_one",
        "many": "select_multiple",
        "order": "rank",
        "csv": "select_one_from_file",
        "places": "select_multiple_from_file",
        "point": "geopoint",
        "line": "geotrace",
        "field": "geoshape",
        "began": "start-geopoint",
        "seen": "background-geopoint",
        "heard": "background-audio",
        "badge": "barcode",
        "photo": "image",
        "voice": "audio",
        "film": "video",
        "paper": "file",
        "agreed": "acknowledge",
        "thanks": "note",
        "sum": "calculate",
        "copied": "calculate",
        "counted": "integer",
        "secret": "hidden",
        # an XForm does not tell these from others
        "read": "note",
        "given": "text",
        "dated": "text",
        "worked": "text",
        "shown": "text",
        "constant": "calculate",
        "unseen": "calculate",
        "meta/audit": "audit",
    }
    lists = {q.path: q.list_name for q in form.questions if q.list_name}
    assert lists == {
        "one": "yn",
        "many": "yn",
        "order": "yn",
        "csv": "c.csv",
        "places": "d.xml",
    }
    assert offered(form) == {"yn": [("y", {"": "Yes"})]}


def test_nested_repeats() -> None:
    """Repeats know the repeat around them; helper counts, templates and defaults do not disturb."""
    form = of_markdown(
        """
        | survey |
        | | type           | name  | label               | repeat_count | default       | relevant    |
        | | integer        | n     | How many            |              |               |             |
        | | begin_repeat   | house | House               | ${n}         |               | ${n} > 0    |
        | | text           | code  | Code                |              |               |             |
        | | text           | again | ${code} of ${n}, ok |              | concat('a',1) |             |
        | | begin_group    | who   |                     |              |               |             |
        | | begin_repeat   | one   |                     | ${n} + 1     |               |             |
        | | select_one yn  | well  | Well?               |              |               |             |
        | | end_repeat     |       |                     |              |               |             |
        | | end_group      |       |                     |              |               |             |
        | | end_repeat     |       |                     |              |               |             |
        | | select_one ${code} | best | Best house       |              |               |             |
        | choices |
        | | list_name | name | label |
        | | yn        | y    | Yes   |
        """
    )
    assert asked(form) == [
        ("n", "integer", "", "", {"": "How many"}),
        ("house", "begin_repeat", "", "", {"": "House"}),
        ("house/code", "text", "", "house", {"": "Code"}),
        ("house/again", "text", "", "house", {"": "${code} of ${n}, ok"}),
        ("house/who", "begin_group", "", "house", {}),
        ("house/who/one_count", "calculate", "", "house", {}),
        ("house/who/one", "begin_repeat", "", "house", {}),
        ("house/who/one/well", "select_one", "yn", "house/who/one", {"": "Well?"}),
        ("best", "select_one", "${code}", "", {"": "Best house"}),
    ]
    assert form.repeats == ("house", "house/who/one")
    assert form.by_path["house"].relevant == "/data/n  > 0"


def test_languages() -> None:
    """Default first, a code or else the word; gaps stay gaps; no language is `""`; pictures no words."""
    form = of_markdown(
        """
        | survey |
        | | type          | name | label | label::English (en)       | label::Lao | image::English (en) |
        | | text          | a    | ก     | x & <b> ${last-saved#a}   | -          | a.png               |
        | | note          | b    |       | [${a}] and **${a}**       |            |                     |
        | | note          | c    | -     | -                         | -          |                     |
        | | select_one yn | d    |       |                           | ງ          |                     |
        | choices |
        | | list_name | name | label | label::English (en) | image |
        | | yn        | y    | ใช่    | Yes ${a}            |       |
        | | yn        | n    |       |                     | n.png |
        | settings |
        | | default_language |
        | | English (en)     |
        """
    )
    assert form.languages == ("en", "Lao")
    assert form.by_path["a"].labels == {"en": "x & <b> ${last-saved#a}"}
    assert form.by_path["b"].labels == {"en": "[${a}] and **${a}**"}
    assert form.by_path["c"].labels == {"en": "-", "Lao": "-"}
    assert form.by_path["d"].labels == {"Lao": "ງ"}
    assert offered(form) == {"yn": [("y", {"en": "Yes ${a}"}), ("n", {})]}


def test_columns_without_language() -> None:
    """Labels of a form without itext stand under `""`, as do those pyxform files under `default`."""
    plain = of_markdown(
        """
        | survey |
        | | type          | name | label    |
        | | text          | a    | ชื่อ       |
        | | select_one yn | b    | ${a} นะ  |
        | choices |
        | | list_name | name | label |
        | | yn        | y    | ใช่    |
        """
    )
    assert plain.languages == ()
    assert plain.by_path["b"].labels == {"": "${a} นะ"}
    assert offered(plain) == {"yn": [("y", {"": "ใช่"})]}
    mixed = of_markdown(
        """
        | survey |
        | | type | name | label | label::English (en) |
        | | text | a    | ชื่อ    | Name                |
        """
    )
    assert mixed.languages == ("en",)
    assert mixed.by_path["a"].labels == {"": "ชื่อ", "en": "Name"}


def test_choices_inside_questions() -> None:
    """Old converters put choices into the question: they make a list of its own name."""
    form = read_xform(
        xform(
            instance="<g><sex/></g><sex/>",
            model="""<itext><translation lang="ไทย (th)"><text id="m"><value form="image">m.png</value>
                <value> ชาย </value></text></translation></itext>""",
            body="""<select1 ref="/data/g/sex"><label>Sex</label>
                  <item><label ref="jr:itext('m')"/><value>m</value></item>
                  <item><label>Female</label><value>f</value></item></select1>
                <select ref="/data/sex"><item><label/><value>m</value></item></select>""",
        )
    )
    assert [(q.path, q.type, q.list_name) for q in form.questions] == [
        ("g", "begin_group", ""),
        ("g/sex", "select_one", "/g/sex"),
        ("sex", "select_multiple", "/sex"),
    ]
    assert offered(form) == {
        "/g/sex": [("m", {"th": "ชาย"}), ("f", {"": "Female"})],
        "/sex": [("m", {})],
    }


def test_forms_no_converter_wrote() -> None:
    """Relative references, own itemset columns, prefixes, late templates: all the specification allows."""
    form = read_xform(
        xform(
            instance="""<orx:meta><orx:audit/></orx:meta>
                <g><age> </age><when/></g><rep><old/></rep><rep jr:template=""><new/></rep><town/>
                <k><turn><far/></turn></k>""",
            model="""<instance id="town"><root>
                  <item><id>1</id><th>เมือง</th><key>t</key></item></root></instance>
                <instance id="unused"><root><item><name>u</name><label>U</label></item></root></instance>
                <instance id="rates"><root><rate>7</rate></root></instance>
                <bind nodeset="/data/g/age" type="xsd:int"/><bind nodeset="g/when" type="xsd:dateTime"/>
                <bind nodeset="/data/g/age" required="true()" relevant=" ../when "/>
                <bind nodeset="/data/rep/new" type="binary"/>""",
            body="""<group><label>Frame</label><group ref="/data/g"><label>Group</label>
                  <input ref="age"><label>At <output value=" concat(../when, 'x') "/>?</label></input>
                  <input ref="./when"/></group></group>
                <group><label>Things</label><repeat nodeset="/data/rep">
                  <upload ref="new" mediatype="text/*"/></repeat></group>
                <select1 ref="/data/town"><itemset nodeset="randomize( instance('town')/root/item )">
                  <value ref="id"/><label ref="th"/></itemset></select1>
                <group ref="/data/k"><label>Not of the turns</label><repeat nodeset="turn">
                  <input ref="far" query="instance('out')/root/item[x=1]"/></repeat></group>""",
        )
    )
    assert (form.id, form.version, form.title, form.languages) == ("hand", "", "By hand", ())
    assert asked(form) == [
        ("g", "begin_group", "", "", {"": "Group"}),
        ("g/age", "integer", "", "", {"": "At ${concat(../when, 'x')}?"}),
        ("g/when", "datetime", "", "", {}),
        ("rep", "begin_repeat", "", "", {"": "Things"}),
        ("rep/new", "file", "", "rep", {}),
        ("town", "select_one", "town", "", {}),
        ("k", "begin_group", "", "", {"": "Not of the turns"}),
        ("k/turn", "begin_repeat", "", "", {}),
        ("k/turn/far", "select_one_external", "out", "k/turn", {}),
        ("meta/audit", "audit", "", "", {}),
    ]
    age = form.by_path["g/age"]
    assert (age.required, age.relevant) == ("true()", "../when")
    assert offered(form) == {"town": [("1", {"": "เมือง"})], "unused": [("u", {"": "U"})]}


def test_the_version_of_the_specification() -> None:
    """`orx:version`, as the specification writes it, counts as `version` does."""
    document = xform(instance="<a/>").replace(b'id="hand"', b'id="hand" orx:version="7"')
    assert read_xform(document).version == "7"


DEEP = "<g>" * 300 + "</g>" * 300
TEXT = '<translation lang="th"><text id="a"><value/></text><text id="a"/></translation>'


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "is empty"),
        (b"<h:html", "not well-formed"),
        (b'{"detail": "Not found."}', "not well-formed"),
        (b"\xff\xfe", "not UTF-8"),
        (b"<!DOCTYPE html><html><head/><body>Sign in</body></html>", "declares a document type"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "declares a document type or entities"),
        (xform(instance="&a;"), "not well-formed"),
        (xform(instance=DEEP), "not well-formed"),
        (b"<html><head><title>Sign in</title></head><body/></html>", "<html> has no form model"),
        (b'<data id="a"><name>x</name></data>', "<data> has no form model"),
        (xform(instance="").replace(b"h:body", b"h:foot"), "has no form model and body"),
        (
            xform(instance="<a/>").replace(b"<instance>", b"<!--").replace(b"</instance>", b"-->"),
            "no primary instance",
        ),
        (xform(instance="<g><a/><a/></g>"), "has g/a twice"),
        (
            xform(instance="<a/>", model='<instance id="l"/><instance id="l"/>'),
            "two instances with the id l",
        ),
        (xform(instance="<a/>", model=f"<itext>{TEXT}</itext>"), "two texts with the id a in th"),
    ],
)
def test_what_is_no_form_is_refused_in_words(document: bytes, words: str) -> None:
    """A sign-in page, an error, an attack: the address is named, the fault, and what to do."""
    with pytest.raises(Problem) as caught:
        read_xform(document, where="https://kobo.example/aX1.xml")
    (finding,) = caught.value.findings
    assert finding.where == "https://kobo.example/aX1.xml"
    assert words in finding.what
    assert "download the form's XML" in finding.remedy


def test_nesting_as_deep_as_xml_may_be() -> None:
    """What the parser lets through does not exhaust the reader."""
    form = read_xform(xform(instance="<g>" * 240 + "<a/>" + "</g>" * 240))
    assert len(form.questions) == 241


# What a workbook may hold that an XForm tells: pyxform turns typographic quotes, folds spaces and
# writes "-" for a missing word.
words = (
    st.text("abกขชื่xé&<>*_'\"0.() ", min_size=1, max_size=12)
    .map(lambda text: " ".join(text.split()))
    .filter(bool)
)
LISTED = ("select_one yn", "select_multiple yn", "rank size")
FILED = ("select_one_from_file places.csv", "select_multiple_from_file things.xml")
PLAIN = ("text", "integer", "decimal", "date", "time", "note", "acknowledge", "barcode", "range")
MEDIA = ("image", "audio", "video", "file", "geopoint", "geotrace", "geoshape")
SILENT = ("start", "end", "today", "deviceid", "calculate", "hidden")

leaf = st.sampled_from(LISTED + FILED + PLAIN + MEDIA + SILENT)
survey = st.lists(
    st.recursive(
        leaf,
        lambda inner: st.tuples(
            st.sampled_from(("group", "repeat")), st.lists(inner, min_size=1, max_size=4)
        ),
        max_leaves=10,
    ),
    max_size=5,
)
Drawn = str | tuple[str, list["Drawn"]]


def rows(
    drawn: list[Drawn], draw: st.DataObject, heads: list[str], around: str = "q"
) -> Iterator[list[str]]:
    """Rows of the survey sheet: type, name, calculation, one label for each of `heads`."""
    for number, item in enumerate(drawn):
        name = f"{around}{number}"
        kind = item if isinstance(item, str) else f"begin_{item[0]}"
        silent = kind in SILENT
        said = ["" if silent else draw.draw(words) for _ in heads]
        if said and not silent and draw.draw(st.booleans()):
            said[-1] = "" if len(said) > 1 else f"{said[-1]} ${{first}}"
        yield [kind, name, "1 + 1" if kind == "calculate" else "", *said]
        if not isinstance(item, str):
            yield from rows(item[1], draw, heads, f"{name}_")
            yield [f"end_{item[0]}", "", ""]


@settings(max_examples=40, deadline=None)
@given(survey, st.sampled_from([["label"], ["label::ไทย (th)", "label::English (en)"]]), st.data())
def test_any_survey_comes_back(drawn: list[Drawn], heads: list[str], draw: st.DataObject) -> None:
    """Whatever nests in whatever, through pyxform and back it is what the workbook says."""
    book = Workbook()
    sheet = book.create_sheet("survey")
    sheet.append(["type", "name", "calculation", *heads])
    sheet.append(["text", "first", "", *("First" for _ in heads)])
    for row in rows(drawn, draw, heads):
        sheet.append(row)
    sheet = book.create_sheet("choices")
    sheet.append(["list_name", "name", *heads])
    for listed, code in (("yn", "y"), ("yn", "n"), ("size", "1")):
        sheet.append([listed, code, *(draw.draw(words) for _ in heads)])
    sheet = book.create_sheet("settings")
    sheet.append(["form_id", "version", "form_title", "default_language"])
    sheet.append(["drawn", "3", "Drawn", heads[0].rpartition("::")[2] if len(heads) > 1 else ""])
    out = io.BytesIO()
    book.save(out)
    document, _ = to_xform(out.getvalue(), form_id="drawn", version="3")
    written, read = read_form(out.getvalue()), read_xform(document.encode())
    assert asked(read) == asked(written)
    assert offered(read) == offered(written)
    assert (read.id, read.version, read.title) == ("drawn", "3", "Drawn")
    assert (read.languages, read.repeats) == (written.languages, written.repeats)
