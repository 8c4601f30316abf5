"""`tests/system-packages.sh` leaves a machine's services as it found them.

Debian's tools are stood in for by scripts that write down what they were asked and what they would have
been told; everything happens below a folder (`DPKG_ROOT`). Nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from office import ROOT

SCRIPT = ROOT / "tests" / "system-packages.sh"
# what the packages' own scripts do with policy-rc.d is what invoke-rc.d documents: run it, 101 forbids
APT = """#!/bin/sh
echo "apt-get $*" >>"$SAID"
policy=$DPKG_ROOT/usr/sbin/policy-rc.d
case "$*" in
*nginx-light*)
	code=0
	[ ! -x "$policy" ] || "$policy" nginx start || code=$?
	echo "nginx may start: $code" >>"$SAID"
	grep create_main_cluster "$DPKG_ROOT/etc/postgresql-common/createcluster.conf" >>"$SAID"
	exit "${FAILS:-0}"
	;;
*postgresql-common*)
	mkdir -p "$DPKG_ROOT/etc/postgresql-common"
	echo "#create_main_cluster = true" >"$DPKG_ROOT/etc/postgresql-common/createcluster.conf"
	;;
esac
"""


class Machine:
    """A folder that stands for a machine without any of the packages."""

    def __init__(self, folder: Path) -> None:
        self.root, self.said = folder / "root", folder / "said"
        self.programs = folder / "bin"
        for one in (self.programs, self.root / "usr" / "sbin"):
            one.mkdir(parents=True)
        for name in ("sh", "ls", "rm", "chmod", "sed", "grep", "mkdir"):
            (self.programs / name).symlink_to(str(shutil.which(name)))
        for name, text in (
            ("apt-get", APT),
            ("id", "#!/bin/sh\necho 0\n"),
            ("update-rc.d", '#!/bin/sh\necho "update-rc.d $*" >>"$SAID"\n'),
        ):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)
        self.policy = self.root / "usr" / "sbin" / "policy-rc.d"
        self.clusters = self.root / "etc" / "postgresql-common" / "createcluster.conf"

    def run(self, fails: int = 0) -> tuple[int, list[str]]:
        """The exit code, and what Debian's tools were asked."""
        done = subprocess.run(
            ["sh", str(SCRIPT)],
            env={
                "PATH": str(self.programs),
                "DPKG_ROOT": str(self.root),
                "SAID": str(self.said),
                "FAILS": str(fails),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "installing" in done.stdout
        return done.returncode, self.said.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fresh machine."""
    return Machine(tmp_path)


@pytest.mark.parametrize("fails", [0, 100])
def test_nothing_is_started(machine: Machine, fails: int) -> None:
    """While packages are installed no service may start, and PostgreSQL makes no cluster; afterwards,
    also when the installation failed, the machine's rule is gone again, and nginx does not come up at
    the next boot."""
    code, said = machine.run(fails)
    assert code == fails
    assert "nginx may start: 101" in said
    assert "create_main_cluster = false" in said
    assert not machine.policy.exists()
    assert ("update-rc.d nginx disable" in said) is (not fails)


def test_what_somebody_set_stays(machine: Machine) -> None:
    """A policy-rc.d and a configuration of clusters that are there are neither changed nor removed."""
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    machine.policy.chmod(0o755)
    machine.clusters.parent.mkdir(parents=True)
    machine.clusters.write_text("create_main_cluster = true\n")
    code, said = machine.run()
    assert code == 0
    assert "nginx may start: 104" in said
    assert machine.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert machine.clusters.read_text() == "create_main_cluster = true\n"
    assert not [line for line in said if line.endswith("postgresql-common")]
