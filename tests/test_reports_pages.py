"""The report in a real browser: on a phone, on a desk, on paper."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browsers import look
from needs import needs, needs_chromium
from playwright.sync_api import Browser
from sample_evaluation import sample

from reports.html import write

pytestmark = needs_chromium

OVERLAPS = """() => {
  const bad = [];
  for (const svg of document.querySelectorAll('svg.chart')) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent,
      t.getBoundingClientRect(), parseFloat(t.getAttribute('font-size'))]);
    const scale = frame.width / svg.viewBox.baseVal.width;
    for (const [name, box, size] of boxes) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1) bad.push('outside: ' + name);
      if (size * scale < 10.9) bad.push('too small: ' + name + ' ' + size * scale);
    }
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const a = boxes[i][1], b = boxes[j][1];
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > Math.min(a.height, b.height) * 0.5)
        bad.push(boxes[i][0] + ' | ' + boxes[j][0]);
    }
  }
  return bad;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's two reports; `WATPHON_LOOK=folder` copies their pictures there."""
    made = tmp_path_factory.mktemp("reports")
    write(sample(), made)
    return made


@pytest.mark.parametrize("language", ["th", "en"])
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_the_page_never_overflows(
    chromium: Browser, folder: Path, language: str, width: int
) -> None:
    """Tables scroll inside their own container; text of the charts stays apart and readable."""
    page = chromium.new_page(viewport={"width": width, "height": 844})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / f"report.{language}.html").as_uri())
    page.evaluate("document.fonts.ready")
    measured: Any = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert measured[0] <= measured[1]
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.fonts.check('16px Sarabun', 'กำA')")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    look(f"{language}-{width}", page)
    page.close()


@pytest.mark.parametrize("language", ["th", "en"])
def test_one_drawing_of_each_chart_is_shown(chromium: Browser, folder: Path, language: str) -> None:
    """The narrow one on a phone, the wide one on a desk and on paper."""
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto((folder / f"report.{language}.html").as_uri())
    shown = "[...document.querySelectorAll('svg.chart')].filter(s => s.clientWidth).length"
    wide = "[...document.querySelectorAll('.wide svg')].filter(s => s.clientWidth).length"
    assert page.evaluate(shown) == 5
    assert page.evaluate(wide) == 0
    page.emulate_media(media="print")
    assert page.evaluate(shown) == page.evaluate(wide) == 5
    page.close()


@needs(shutil.which("pdftotext"), "poppler-utils")
@pytest.mark.parametrize("language", ["th", "en"])
def test_page_one_fits_one_sheet_of_paper(
    chromium: Browser, folder: Path, language: str, tmp_path: Path
) -> None:
    """Five sentences and the decision stand on the first A4 page; chapters start after it."""
    tool = str(shutil.which("pdftotext"))
    page = chromium.new_page()
    page.goto((folder / f"report.{language}.html").as_uri())
    path = tmp_path / "report.pdf"
    page.pdf(path=path, prefer_css_page_size=True, print_background=True)
    page.close()
    first = subprocess.run(
        [tool, "-f", "1", "-l", "1", "-layout", path, "-"], capture_output=True, check=True
    ).stdout.decode()
    assert "4,713,914" in first
    assert {"th": "จำลอง", "en": "SIMULATED DATA"}[language] in first
    second = subprocess.run(
        [tool, "-f", "2", "-l", "2", "-layout", path, "-"], capture_output=True, check=True
    ).stdout.decode()
    assert "15,635,880" in second
    assert {"th": "จำลอง", "en": "SIMULATED DATA"}[language] in second
