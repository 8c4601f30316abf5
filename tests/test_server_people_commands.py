"""`watphon user`, `watphon key` and `watphon audit` on the server's machine, while the server runs."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
import requests
from command import watphon
from office import RunningServer
from visitors import PASSWORD, add_account, in_store, sign_in

from forms.problems import Problem
from server.people import accounts, audit, keys, roster
from server.people.audit import Action
from server.times import utc_now


def run(server: RunningServer, *words: str, typed: str | None = None) -> str:
    """What a command printed; it must not fail."""
    done = watphon(*words, "--data", str(server.data), typed=typed)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(server: RunningServer, *words: str) -> str:
    """The words of a command that must fail."""
    done = watphon(*words, "--data", str(server.data))
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_persons_whole_life(running_server: RunningServer) -> None:
    """Added with a one-time password, given another role, disabled, enabled, given a password of
    its own, removed; each step counts at once."""
    said = run(
        running_server,
        "user", "add", "mali", "--role", "province", "--province", "51", "--province", "50",
    )  # fmt: skip
    once = said.split()[-1]
    browser = sign_in(running_server, "mali", once)
    assert "mali" in browser.get(f"{running_server.url}/me", timeout=10).text
    listed = run(running_server, "user")
    assert re.search(r"^mali +province +50 51 +password$", listed, re.M)
    assert re.search(r"^admin +admin +- +1 token$", run(running_server, "user", "list"), re.M)
    run(running_server, "user", "role", "mali", "evaluator")
    assert re.search(r"^mali +evaluator +- ", run(running_server, "user"), re.M)
    run(running_server, "user", "disable", "mali")
    assert "disabled" in run(running_server, "user")
    with pytest.raises(AssertionError):
        sign_in(running_server, "mali", once)
    run(running_server, "user", "enable", "mali")
    sign_in(running_server, "mali", once)
    run(running_server, "user", "password", "mali", typed=f"{PASSWORD}\n")
    sign_in(running_server, "mali")
    new = run(running_server, "user", "password", "mali", "--new").split()[-1]
    sign_in(running_server, "mali", new)
    run(running_server, "user", "remove", "mali")
    assert "mali" not in run(running_server, "user")


def test_tokens_are_made_counted_and_revoked(running_server: RunningServer) -> None:
    """A token signs in until all of the account's are revoked."""
    add_account(running_server, "robot", "evaluator")
    token = run(running_server, "user", "tokens", "robot", "--new").split()[-1]
    headers = {"Authorization": f"Token {token}"}
    address = f"{running_server.url}/me/"
    assert requests.get(address, headers=headers, timeout=10).status_code == 200
    assert re.search(r"^robot +1$", run(running_server, "user", "tokens"), re.M)
    assert "1 token of robot" in run(running_server, "user", "tokens", "robot", "--revoke")
    assert requests.get(address, headers=headers, timeout=10).status_code == 401
    assert "name the account" in refused(running_server, "user", "tokens", "--revoke")


def test_a_new_password_tells_of_tokens_and_ends_them_on_request(
    running_server: RunningServer,
) -> None:
    """`watphon user password` says how many tokens work on and how to end them; with --end-tokens
    they are worthless, which is a line of the audit trail."""
    add_account(running_server, "robot", "evaluator")
    words = ("user", "tokens", "robot", "--new")
    _, token = (run(running_server, *words).split()[-1] for _ in range(2))
    headers = {"Authorization": f"Token {token}"}
    address = f"{running_server.url}/me/"
    data = ("--data", str(running_server.data))
    done = watphon("user", "password", "robot", *data, typed=f"{PASSWORD}\n")
    assert done.returncode == 0
    assert "2 tokens work still" in done.stderr
    assert "watphon user tokens robot --revoke" in done.stderr
    assert requests.get(address, headers=headers, timeout=10).status_code == 200
    done = watphon("user", "password", "robot", "--new", "--end-tokens", *data)
    assert done.returncode == 0
    assert "token" not in done.stderr
    sign_in(running_server, "robot", done.stdout.split()[-1])
    assert requests.get(address, headers=headers, timeout=10).status_code == 401
    assert re.search(r",revoked tokens,robot$", run(running_server, "audit"), re.M)


def test_what_cannot_be_is_told_with_a_remedy(running_server: RunningServer) -> None:
    """The last admin stays; a role without its provinces, a weak password, a name that is not
    there: words and exit code, nothing changed."""
    for words in (("remove", "admin"), ("disable", "admin"), ("role", "admin", "manager")):
        assert "last admin" in refused(running_server, "user", *words)
    assert "provinces" in refused(running_server, "user", "add", "nok")
    assert "unknown role" in refused(running_server, "user", "add", "nok", "--role", "king")
    assert "is not there" in refused(running_server, "user", "password", "nobody", "--new")
    weak = watphon(
        "user", "password", "admin", "--data", str(running_server.data),
        typed="1234567890\n",
    )  # fmt: skip
    assert weak.returncode == 1
    assert "stranger tries" in weak.stderr
    assert re.search(r"^admin +admin +- +1 token$", run(running_server, "user"), re.M)


def test_people_come_from_a_file_as_often_as_it_is_read(
    running_server: RunningServer, tmp_path: Path
) -> None:
    """New names get a one-time password that works; known ones are brought up to date and keep
    theirs; a second time nothing changes; one wrong row and nothing is done."""
    add_account(running_server, "mali", "province", ["50"])
    path = tmp_path / "people.csv"
    path.write_text(
        'name,role,provinces\nmali,province,"51, 50"\nnok,facilitator,52;53\nboss,admin,\n', "utf-8"
    )
    first = run(running_server, "user", "import", str(path))
    rows = {line.split()[0]: line.split() for line in first.splitlines()}
    assert rows["mali"] == ["mali", "province", "50", "51", "changed"]
    assert rows["nok"][:-1] == ["nok", "facilitator", "52", "53", "made"]
    sign_in(running_server, "nok", rows["nok"][-1])
    sign_in(running_server, "boss", rows["boss"][-1])
    sign_in(running_server, "mali")
    again = run(running_server, "user", "import", str(path))
    assert again.count("as it was") == 3
    assert "made" not in again
    path.write_text("name,role,provinces\nlek,facilitator,50\nsom,king,\n_x,manager,\n", "utf-8")
    said = refused(running_server, "user", "import", str(path))
    assert "unknown role" in said
    assert "is no usable name" in said
    assert "lek" not in run(running_server, "user")
    path.write_text("name,role\nlek,manager\nLEK,manager\n", "utf-8")
    assert "twice" in refused(running_server, "user", "import", str(path))
    path.write_text("nome,role\nlek,manager\n", "utf-8")
    assert "column name is missing" in refused(running_server, "user", "import", str(path))


def test_a_file_cannot_demote_the_last_admin(running_server: RunningServer) -> None:
    """Nor does the rest of that file count."""
    people = (
        roster.Person(name="lek", role="manager"),
        roster.Person(name="admin", role="manager"),
    )

    def change() -> None:
        in_store(
            running_server,
            lambda c: roster.bring_in(c, people, roster.one_time(people, {"admin"}), now=utc_now()),
        )

    with pytest.raises(Problem, match="last admin"):
        change()
    names = in_store(running_server, lambda c: [a.name for a in accounts.list_users(c)])
    assert names == ["admin"]


def test_a_key_has_bounds(running_server: RunningServer) -> None:
    """`watphon key` takes forms, provinces, days and --link; the list shows them."""
    said = run(
        running_server,
        "key", "ฝาผนัง", "--link", "--form", "mne_pretest", "--province", "50", "--expires", "3",
    )  # fmt: skip
    secret = re.search(r"SERVER/key/(\S+)", said)
    assert secret
    found = in_store(running_server, lambda c: keys.key_of_secret(c, secret[1]))
    assert found
    assert (found.kind, found.forms, found.provinces) == ("link", ("mne_pretest",), ("50",))
    days = (found.expires_at > found.created_at, found.expires_at[:10])
    assert days[0]
    listed = run(running_server, "key")
    assert f"in use   ฝาผนัง  [link until {days[1]} mne_pretest 50]" in listed
    assert "is no province" in refused(running_server, "key", "x", "--province", "5")
    assert "never" in run(running_server, "key", "--change", "1")
    assert "[link mne_pretest 50]" in run(running_server, "key")
    assert re.search(r"on \d{4}", run(running_server, "key", "--change", "1", "--expires", "5"))
    assert "not there" in refused(running_server, "key", "--change", "9")


def test_the_trail_is_a_table_no_spreadsheet_runs(running_server: RunningServer) -> None:
    """`watphon audit`: CSV, oldest first, of one account or action; cells that look like formulas
    are made harmless."""
    run(running_server, "user", "add", "mali", "--role", "manager")
    in_store(
        running_server,
        lambda c: audit.log(c, who="=cmd()", action=Action.FORM_DELETED, what="@SUM(A1)"),
    )
    rows = list(csv.DictReader(io.StringIO(run(running_server, "audit"))))
    assert [(row["who"], row["action"], row["what"]) for row in rows] == [
        ("command line", "added an account", "mali: manager"),
        ("'=cmd()", "deleted a form", "'@SUM(A1)"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", rows[0]["at"])
    only = run(running_server, "audit", "--action", "added an account")
    assert len(only.splitlines()) == 2
