"""Photos over a line that breaks: whole in the end, from the byte that was there, never something else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fault_proxy import FOR_EVER, KINDS, Fault, FaultProxy, between
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_kobo import TOKEN, Kept, SmallKobo, running
from undisturbed import FORM, PHOTO

from forms.problems import Problem
from sync.attachments import Fetched, fetch_files, files
from sync.backend import Source
from sync.http import Connection
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.pull import pull_form

CONTENT = bytes(range(256)) * 200


@pytest.fixture(scope="module")
def kobo() -> Iterator[SmallKobo]:
    with running(SmallKobo(f"watphon:north2564/{FORM} sha256:00")) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(kobo: SmallKobo) -> Iterator[FaultProxy]:
    with between(kobo.url) as line:
        yield line


def through(proxy: FaultProxy, tries: int, patience: float) -> Kobo:
    line = Connection(
        proxy.url,
        TOKEN,
        tries=tries,
        timeout=patience,
        deadline=patience,
        pause=0.0,
        sleep=proxy.waited,
    )
    return Kobo(proxy.url, TOKEN, connection=line)


def photographed(kobo: SmallKobo, *photos: Kept) -> list[str]:
    """Submissions with a photo each; gives where they are."""
    kobo.rows.clear()
    kobo.files.clear()
    return [
        kobo.attach(kobo.insert(f"root-{n}", {PHOTO: f"{n}.png"}), PHOTO, f"{n}.png", photo)
        for n, photo in enumerate(photos)
    ]


def fetched(
    kobo: SmallKobo, proxy: FaultProxy, folder: Path, *, tries: int = 3, patience: float = 10.0
) -> Fetched:
    """Pull the rows undisturbed, then bring their files through the proxy."""
    with Mirror(folder / "mirror.sqlite3") as mirror:
        direct = Kobo(kobo.url, TOKEN)
        assert pull_form(FORM, Source(kobo.uid), direct, mirror).complete
        direct.connection.close()
        backend = through(proxy, tries, patience)
        try:
            return fetch_files(FORM, backend, mirror, folder / "files")
        finally:
            backend.connection.close()


def here(folder: Path) -> dict[str, bytes]:
    """What lies here of each submission's photo."""
    with Mirror(folder / "mirror.sqlite3") as mirror:
        return {
            file.root_id: file.path(folder / "files").read_bytes()
            for file in files(mirror, FORM)
            if file.sha256
        }


def ranges(proxy: FaultProxy) -> list[str]:
    """From where each request wanted its file."""
    return [request.header("range") for request in proxy.asked]


def test_a_photo_goes_on_from_the_byte_that_is_there(
    kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Cut and reset in the middle: the next attempt asks for the rest only, in the next run too."""
    photographed(kobo, Kept(CONTENT))
    proxy.play({0: Fault("cut", at=10_000), 1: Fault("cut", at=20_000)})
    assert fetched(kobo, proxy, tmp_path).files == 1
    assert ranges(proxy) == ["", "bytes=10000-", "bytes=30000-"]
    assert here(tmp_path) == {"root-0": CONTENT}
    proxy.play({0: Fault("cut", at=10_000), 1: Fault("503", times=FOR_EVER)})
    with pytest.raises(Problem):
        fetched(kobo, proxy, tmp_path / "again")
    proxy.play({0: Fault("reset", at=10_000)})
    assert fetched(kobo, proxy, tmp_path / "again").files == 1
    assert ranges(proxy)[0] == "bytes=10000-"
    assert here(tmp_path / "again") == {"root-0": CONTENT}
    assert list((tmp_path / "again" / "files" / "incoming").iterdir()) == []


def test_a_server_that_knows_no_ranges(kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path) -> None:
    """It sends the file from the start again, and that is what is kept."""
    photographed(kobo, Kept(CONTENT, ranges=False))
    proxy.play({0: Fault("cut", at=10_000)})
    assert fetched(kobo, proxy, tmp_path).files == 1
    assert here(tmp_path) == {"root-0": CONTENT}


def test_a_line_that_always_breaks_is_given_up(
    kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path
) -> None:
    """A server without ranges that breaks off now earlier, now later makes no progress for ever."""
    photographed(kobo, Kept(CONTENT, ranges=False))
    faults = {n: Fault("cut", at=(20_000, 10_000)[n % 2]) for n in range(60)}
    proxy.play(faults)
    with pytest.raises(Problem):
        fetched(kobo, proxy, tmp_path)
    assert len(proxy.asked) < 10
    assert here(tmp_path) == {}


@pytest.mark.parametrize("if_range", [True, False])
def test_a_photo_that_changed_meanwhile_starts_anew(
    kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path, if_range: bool
) -> None:
    """Another ETag is another file: no mixture of two photos, even if the server would give one."""
    (path,) = photographed(kobo, Kept(CONTENT, if_range=if_range))
    other = CONTENT[::-1]

    def change(number: int) -> None:
        kobo.files[path] = Kept(other, etag='"2"', if_range=if_range) if number else Kept(CONTENT)

    proxy.play({0: Fault("cut", at=10_000)}, change)
    assert fetched(kobo, proxy, tmp_path).files == 1
    assert here(tmp_path) == {"root-0": other}


def test_a_rest_that_comes_in_parts_is_not_taken_for_the_whole(
    kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path
) -> None:
    """A 206 may hold less than was asked for (RFC 9110, 15.3.7): the photo is not cut short."""
    photographed(kobo, Kept(CONTENT, most=15_000))
    proxy.play({0: Fault("cut", at=10_000)})
    assert fetched(kobo, proxy, tmp_path).files == 1
    assert here(tmp_path) == {"root-0": CONTENT}


def test_a_missing_photo_is_a_finding_and_the_others_come(
    kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path
) -> None:
    """404: named by its submission and question; it is asked for again the next time."""
    paths = photographed(kobo, *(Kept(bytes([n]) * 900) for n in range(5)))
    gone = kobo.files.pop(paths[2])
    proxy.play({})
    found = fetched(kobo, proxy, tmp_path)
    assert found.files == 4
    assert [finding.where for finding in found.findings] == [f"root-2 {PHOTO}"]
    kobo.files[paths[2]] = gone
    assert fetched(kobo, proxy, tmp_path).files == 1
    assert len(here(tmp_path)) == 5


def test_a_web_page_is_no_photo(kobo: SmallKobo, proxy: FaultProxy, tmp_path: Path) -> None:
    """The sign-in page of a guest network comes with 200; it is not kept in the photo's place."""
    photographed(kobo, Kept(CONTENT))
    proxy.play({0: Fault("html", times=FOR_EVER)})
    with pytest.raises(Problem) as caught:
        fetched(kobo, proxy, tmp_path)
    assert caught.value.findings[0].remedy
    assert here(tmp_path) == {}
    proxy.play({0: Fault("cut", at=10_000), 1: Fault("html")})
    with pytest.raises(Problem):
        fetched(kobo, proxy, tmp_path)
    proxy.play({})
    fetched(kobo, proxy, tmp_path)
    assert ranges(proxy) == ["bytes=10000-"]
    assert here(tmp_path) == {"root-0": CONTENT}


FAULTS = st.builds(
    Fault,
    kind=st.sampled_from([kind for kind in KINDS if kind not in ("repeat", "truncate", "empty")]),
    times=st.sampled_from((1, 1, 2, FOR_EVER)),
    at=st.sampled_from((0.0, 0.1, 0.5, 0.999)),
)
"""Not those that make a shorter answer of its own: a file carries no mark of where it ends."""


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    sizes=st.lists(st.integers(0, 2000), min_size=1, max_size=6),
    runs=st.lists(st.dictionaries(st.integers(0, 8), FAULTS, min_size=1, max_size=3), max_size=3),
    knows=st.tuples(st.booleans(), st.booleans()),
)
def test_random_faults_end_with_every_photo(
    kobo: SmallKobo,
    proxy: FaultProxy,
    sizes: list[int],
    runs: list[dict[int, Fault]],
    knows: tuple[bool, bool],
) -> None:
    """Whatever befell the runs before: an undisturbed one leaves each photo whole, and no remains."""
    folder = Path(tempfile.mkdtemp())
    try:
        contents = [bytes([n + 1]) * size for n, size in enumerate(sizes)]
        etag = '"1"' if knows[0] else ""
        photographed(kobo, *(Kept(one, etag=etag, ranges=knows[1]) for one in contents))
        wanted = {f"root-{n}": one for n, one in enumerate(contents)}
        for faults in runs:
            proxy.play(faults)
            with suppress(Problem):
                fetched(kobo, proxy, folder, patience=0.2)
            assert here(folder).items() <= wanted.items()
        proxy.play({})
        assert not fetched(kobo, proxy, folder, tries=6).findings
        assert here(folder) == wanted
        assert list((folder / "files" / "incoming").iterdir()) == []
    finally:
        shutil.rmtree(folder)
