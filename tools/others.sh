#!/bin/sh
# Run the quick suite on other Pythons: PYTHONS="3.12 3.13" JOBS=3 sh tools/others.sh tests/domain tests/contracts
#
# An interpreter is looked for on PATH and under ~/.pyenv; one that is missing is said aloud, at the very end.
set -eu
[ $# -gt 0 ] || { echo "SKIPPED: none of the quick suites is here" && exit 0; }

# is this command there, does it run (a pyenv shim may not), and is it of that version?
fits() { "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1; }

find_python() {
    for candidate in "python$1" "$HOME"/.pyenv/versions/"$1"*/bin/python; do
        if fits "$candidate" "$1"; then
            echo "$candidate"
            return
        fi
    done
}

missing=""
for version in $PYTHONS; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        missing="$missing $version"
        continue
    fi
    echo "== Python $version: $*"
    "$python" tools/venv.py ".venv-$version"
    ".venv-$version/bin/python" -m pytest -q -p no:cacheprovider -n "${JOBS:-1}" --dist loadfile "$@"
done
for version in $missing; do
    echo "SKIPPED: there is no Python $version on this machine, so $* did not run on it"
done
