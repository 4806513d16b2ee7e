# Sourced by run_all.sh and run_tests.sh: `use_environment REQUIREMENTS` sets $python, the Python of the
# project's own .venv, and installs the packages of that file there. It takes the versions that the tests
# passed with (constraints.txt). It installs once, and again when a requirement or a version changes.
# PYTHON=/path/to/python3 chooses the Python that .venv is made with. CPU=1 takes PyTorch without CUDA,
# from its own index, where .venv is new: 2 GB in place of 6.
if [ -n "${CPU:-}" ]; then
    size=2 index=(--extra-index-url https://download.pytorch.org/whl/cpu)
else
    size=6 index=()
fi

stop() {
    echo "$*" >&2
    exit 1
}

# Prints the first Python of 3.11 or newer.
find_python() {
    local candidate found=""
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
    for candidate in "$@"; do
        command -v "$candidate" >/dev/null || continue
        found=$("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo "$candidate" && return
    done
    [ -n "$found" ] && stop "Python 3.11 or newer is needed, this one is $found: install python3.11, or set PYTHON=/path/to/a/newer/python3."
    stop "${PYTHON:-python3} was not found: install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv)."
}

make_environment() {
    local base=$1 free
    free=$(df -Pk "$here" | awk 'NR == 2 { print int($4 / 1024 / 1024) }')
    [ "$free" -ge $((size + 2)) ] || stop "$here has $free GiB of free disk space, and the packages need $((size + 2)): make room, or clone the project to a larger disk. CPU=1 takes PyTorch without CUDA, which needs 4."
    "$base" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "This Python has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)."
    "$base" -m venv --clear "$here/.venv" || stop "$here/.venv could not be made: see the lines above."
}

use_environment() {
    local requirements=$1 stamp base wanted
    python=$here/.venv/bin/python
    stamp=$here/.venv/installed-$requirements
    # The development file builds on the other, so either one's change counts.
    wanted=$(cat "$here"/requirements*.txt "$here/constraints.txt")
    if "$python" -c '' 2>/dev/null && [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ]; then return; fi
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        base=$(find_python) || exit 1
        make_environment "$base"
    fi
    echo "Installing the packages of $requirements into .venv, once (about $size GB; a minute or two) ..."
    "$python" -m pip install --quiet --disable-pip-version-check "${index[@]}" -r "$here/$requirements" -c "$here/constraints.txt" 2>"$here/.venv/install.log" ||
        stop "The packages could not be installed: is there a network? pip says: $(grep -m 1 ERROR "$here/.venv/install.log") (all of it: .venv/install.log)"
    echo "$wanted" >"$stamp"
}
