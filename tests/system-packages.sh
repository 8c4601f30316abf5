#!/bin/sh
# Install what pip cannot bring, where that can be done unasked: as root on Debian or Ubuntu.
# Elsewhere name the packages in one line; the tests that need them are then skipped.
#
# The tests start servers of their own; none of what is installed here is started, now or at boot, and
# PostgreSQL gets no cluster.
set -eu

root=${DPKG_ROOT:-}
policy=$root/usr/sbin/policy-rc.d
clusters=$root/etc/postgresql-common/createcluster.conf

missing=""
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
	command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v pdftotext >/dev/null 2>&1 || missing="$missing poppler-utils"
command -v postgres >/dev/null 2>&1 || ls "$root"/usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 ||
	missing="$missing postgresql"
command -v nginx >/dev/null 2>&1 || [ -x "$root/usr/sbin/nginx" ] || missing="$missing nginx-light"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "not installed:$missing (tests that need them are skipped)"
	exit 0
fi

install() {
	apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive

# Debian asks policy-rc.d before a package starts its service; 101 means: do not. A file that is there
# is somebody else's, and stays as it is. (set -C: `>` never overwrites)
if (set -C && printf '#!/bin/sh\nexit 101\n' >"$policy") 2>/dev/null; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' HUP TERM
	chmod 755 "$policy"
fi

apt-get update -qq
case $missing in
*postgresql*)
	if [ ! -e "$clusters" ]; then
		install postgresql-common
		sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' "$clusters"
		grep -q '^create_main_cluster = false' "$clusters" ||
			echo 'create_main_cluster = false' >>"$clusters"
	fi
	;;
esac
# shellcheck disable=SC2086  # a list of package names
install $missing
case $missing in
*nginx*) update-rc.d nginx disable >/dev/null 2>&1 || true ;;
esac
