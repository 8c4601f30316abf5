"""The charts: no two texts on top of each other, nothing outside, nothing that runs."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from reports.charts import NARROW, WIDE, Budget, Opinion, Pair, bullet, dumbbell, likert
from reports.metrics import clipped, text_width, wrapped

NAMES = ["แม่ฮ่องสอน", "กำแพงเพชร", "ลำพูน", "อุตรดิตถ์", "Kamphaeng Phet", "Nakhon Sawan"]
LONG = [
    "การวิเคราะห์ข้อมูลและห่วงโซ่คุณค่าเพื่อการจัดทำแผนพัฒนาเชิงพื้นที่อย่างมีส่วนร่วมในภาคเหนือ",
    "A province whose name somebody has made as long as a whole sentence, to see what happens",
    "ประสานงาน และ แจ้งข่าว (เช่น กลุ่มไลน์) ชัดเจน ทันเวลา ครบถ้วน ทั่วถึง ทุกตำบล ทุกอำเภอ",
]
Box = tuple[float, float, float, float]


def texts(svg: str) -> list[tuple[str, Box, float]]:
    """Every text of a drawing with its estimated box and its size."""
    found: list[tuple[str, Box, float]] = []

    def walk(node: ElementTree.Element, dx: float, dy: float) -> None:
        moved = re.findall(r"[-\d.]+", node.get("transform", ""))
        if moved:
            dx, dy = dx + float(moved[0]), dy + float(moved[1])
        if node.tag.endswith("}text"):
            x, y = float(node.get("x", "0")) + dx, float(node.get("y", "0")) + dy
            size = float(node.get("font-size", "0"))
            content = "".join(node.itertext())
            width = text_width(content, size, bold=node.get("font-weight") == "700")
            left = {"end": x - width, "middle": x - width / 2}.get(node.get("text-anchor", ""), x)
            found.append((content, (left, y - 0.85 * size, left + width, y + 0.2 * size), size))
        for child in node:
            walk(child, dx, dy)

    walk(ElementTree.fromstring(svg), 0, 0)
    return found


def check(svg: str, width: int) -> None:
    """Texts lie inside the drawing, apart from each other, and are large enough for a phone."""
    found = texts(svg)
    height = float(ElementTree.fromstring(svg).get("height", "0"))
    for content, (left, top, right, bottom), size in found:
        assert left >= -0.5, content
        assert right <= width + 0.5, content
        assert top >= -2, content
        assert bottom <= height + 2, content
        assert size >= 11 * (width / WIDE if width > WIDE else 1), content
    for (one, a, _), (two, b, _) in combinations(found, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one!r} lies on {two!r}"


def pairs(names: list[str]) -> list[Pair]:
    """Rows at the edges of the scale, falling, equal and hidden ones among them."""
    values = [(0.0, 100.0), (99.0, 100.0), (0.0, 1.0), (60.0, 20.0), (50.0, 50.0), (43.2, 58.9)]
    rows = [
        Pair(name, before, after, f"{before:.1f}", f"{after:.1f}",
             "+13.8 (12.9 ถึง 14.7) · n = 10,912", "unclear" if before == after else "clear")
        for name, (before, after) in zip(names, values * 3, strict=False)
    ]  # fmt: skip
    return [*rows, Pair(names[-1], None, None, "", "", "hidden: too few persons", "hidden")]


def draw_pairs(names: list[str], width: int) -> str:
    return dumbbell(
        pairs(names),
        width=width,
        title="t",
        description="d",
        names=("ก่อนการอบรม", "หลังการอบรม", "ช่วงความเชื่อมั่นคร่อมศูนย์"),
        note_head="คะแนนเพิ่ม (ช่วงความเชื่อมั่นร้อยละ 95) · คน",
    )


@pytest.mark.parametrize("width", [NARROW, 320, WIDE])
@pytest.mark.parametrize("names", [NAMES, LONG, NAMES * 3], ids=["usual", "long", "many"])
def test_no_text_of_a_dumbbell_lies_on_another(names: list[str], width: int) -> None:
    """Whatever the names and wherever on the scale the marks lie."""
    check(draw_pairs(names, width), width)


@pytest.mark.parametrize("width", [NARROW, 320, WIDE])
@pytest.mark.parametrize("names", [NAMES, LONG], ids=["usual", "long"])
def test_no_text_of_a_bullet_lies_on_another(names: list[str], width: int) -> None:
    """Small and large budgets, with nothing, with a part and with all of it paid."""
    rows = [
        Budget(f"{at}. {name}", approved, first, paid, "1,240,000 จาก 1,781,000")
        for at, (name, approved, first, paid) in enumerate(
            zip(names, (1781000.0, 1.0, 519500.0, 0.0, 9.0, 7.0), (1240000.0, None, 0.0, 0.0, 1, 2),
                (1781000.0, None, 0.0, 0.0, 1.0, 2.0), strict=False),
            1,
        )
    ]  # fmt: skip
    svg = bullet(
        rows,
        width=width,
        title="t",
        description="d",
        names=("งบที่อนุมัติ", "งวดที่ 1", "เบิกจ่ายแล้ว", "ร้อยละ 70 ของงบที่อนุมัติ"),
        limit=0.7,
        note_head="เบิกจ่ายจากงบที่อนุมัติ (บาท)",
    )
    check(svg, width)


@pytest.mark.parametrize("width", [NARROW, 320, WIDE])
def test_no_text_of_a_likert_chart_lies_on_another(width: int) -> None:
    """Long statements, everybody of one opinion, nobody at all."""
    spreads = [(10, 20, 400, 5000, 4000), (0, 0, 0, 0, 10912), (9000, 900, 90, 9, 1)]
    rows = [
        Opinion(label, counts, ("10", "20", "400", "5,000", "4,000"), "4.12 · มาก · n = 10,912")
        for label, counts in zip([*LONG, NAMES[0]], [*spreads, (0, 0, 0, 0, 0)], strict=True)
    ]
    names = ("1 น้อยที่สุด", "2 น้อย", "3 ปานกลาง", "4 มาก", "5 มากที่สุด")
    check(likert(rows, width=width, title="t", description="d", names=names), width)


def test_a_name_that_looks_like_markup_stays_text() -> None:
    """`<script>` in a label is written out, in title and description too."""
    svg = dumbbell(
        [Pair("<script>alert(1)</script>", 1.0, 2.0, "1", "2", "</text><script>", "clear")],
        width=WIDE,
        title="</title><script>",
        description="<script>",
        names=("a", "b", "c"),
        note_head="",
    )
    root = ElementTree.fromstring(svg)
    assert not [node for node in root.iter() if "script" in str(node.tag)]
    assert root.get("role") == "img"
    assert root[0].tag.endswith("title")
    assert root[1].tag.endswith("desc")


def test_sara_am_is_never_cut_from_its_consonant() -> None:
    """A text element holds whole words; a cut leaves clusters whole (ำ, tone marks, เ…)."""
    assert ">กำแพงเพชร<" in draw_pairs(NAMES, NARROW)
    word = "น้ำผู้นำกำแพงเพชรลำพูนอำเภอเชียงใหม่"
    for width in range(20, 300, 3):
        kept = clipped(word, width, 13)
        assert text_width(kept, 13) <= width or kept == "…"
        rest = word[len(kept.rstrip("…")) :]
        assert not rest or rest[0] not in "ำาะ้่ิีูุัึื็์", kept
        assert not kept.rstrip("…").endswith(("เ", "แ", "โ", "ใ", "ไ")) or kept == word, kept


def test_wrapping_breaks_only_at_spaces() -> None:
    """Lines fit, and together they are the text unless it had to be cut."""
    rows = wrapped("The content fits the tambon, district or provincial plan", 200, 13)
    assert all(text_width(row, 13) <= 200 for row in rows)
    assert " ".join(rows) == "The content fits the tambon, district or provincial plan"


def test_rows_are_drawn_in_the_order_given() -> None:
    """A chart sorts nothing by itself."""
    tops = {content: box[1] for content, box, _ in texts(draw_pairs(NAMES, WIDE))}
    places = [tops[name] for name in NAMES[:-1]]
    assert all(a < b for a, b in pairwise(places))


def test_the_same_rows_give_the_same_drawing() -> None:
    """No ids, no clock."""
    assert draw_pairs(NAMES, WIDE) == draw_pairs(NAMES, WIDE)
