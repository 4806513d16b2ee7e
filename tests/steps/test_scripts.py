"""run_all.sh, and the environment that both shell scripts make."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# A stand-in for python3: knows its version, has a venv module, and its pip installs nothing.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
*platform*) echo {version} ;;
*version_info*) exit {too_old} ;;
*ensurepip*) exit {no_venv} ;;
"-m venv "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*"pip --version"*) ;;
*pip*)
    echo "ERROR: no matching distribution" >&2
    echo "$*" >>"{folder}/pip-calls"
    exit {no_network}
    ;;
esac
"""
SOUND = {"version": "3.11.7", "too_old": 0, "no_venv": 0, "no_network": 0}


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def use_environment(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Sources tools/environment.sh as a script in `folder` would."""
    (folder / "requirements.txt").write_text("torch\n")
    (folder / "constraints.txt").touch()
    script = f"set -euo pipefail; here={folder}; . {REPOSITORY}/tools/environment.sh; "
    return subprocess.run(
        ["bash", "-c", script + 'use_environment requirements.txt; echo "$python"'],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{folder}/bin:/usr/bin:/bin", **environment},
    )


def fake_python(folder: Path, **changes: object) -> None:
    text = FAKE_PYTHON.format(folder=folder, **{**SOUND, **changes})
    executable(folder / "bin" / "python3", text)


FAILURES = [
    ({"version": "3.9.2", "too_old": 1}, "Python 3.11 or newer is needed, this one is 3.9.2"),
    ({"no_venv": 1}, "has no venv module: install it"),
    ({"no_network": 1}, "could not be installed: is there a network?"),
]


@pytest.mark.parametrize(("changes", "message"), FAILURES)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    fake_python(tmp_path, **changes)
    result = use_environment(tmp_path, PYTHON="python3")
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_python_at_all_is_said_in_one_line(tmp_path: Path) -> None:
    result = use_environment(tmp_path, PYTHON="/no/such/python3")
    assert result.returncode == 1
    assert result.stderr.startswith("/no/such/python3 was not found: install Python 3.11 or newer")


def test_too_little_disk_is_said_in_one_line(tmp_path: Path) -> None:
    fake_python(tmp_path)
    executable(tmp_path / "bin" / "df", '#!/bin/sh\nprintf "a b c d\\n/ 9 9 3145728 9%% /\\n"\n')
    result = use_environment(tmp_path)
    assert result.returncode == 1
    assert "has 3 GiB of free disk space, and the packages need 8" in result.stderr


def test_packages_are_installed_once_and_again_when_a_requirement_or_a_version_changes(
    tmp_path: Path,
) -> None:
    fake_python(tmp_path)
    calls = tmp_path / "pip-calls"
    assert use_environment(tmp_path).stdout.endswith(f"{tmp_path}/.venv/bin/python\n")
    assert len(calls.read_text().splitlines()) == 1
    assert use_environment(tmp_path).stdout == f"{tmp_path}/.venv/bin/python\n"
    assert len(calls.read_text().splitlines()) == 1
    (tmp_path / "requirements-dev.txt").write_text("pytest\n")
    use_environment(tmp_path)
    assert len(calls.read_text().splitlines()) == 2
    (tmp_path / "constraints.txt").write_text("torch==2.14.1\n")
    use_environment(tmp_path)
    *_, last = calls.read_text().splitlines()
    assert len(calls.read_text().splitlines()) == 3
    assert last.endswith(f"-r {tmp_path}/requirements.txt -c {tmp_path}/constraints.txt")


def test_pytorch_without_cuda_where_that_is_asked_for(tmp_path: Path) -> None:
    fake_python(tmp_path)
    executable(tmp_path / "bin" / "df", '#!/bin/sh\nprintf "a b c d\\n/ 9 9 5242880 9%% /\\n"\n')
    result = use_environment(tmp_path)
    assert "5 GiB of free disk space, and the packages need 8" in result.stderr
    assert "CPU=1" in result.stderr
    assert "about 2 GB" in use_environment(tmp_path, CPU="1").stdout
    index = "--extra-index-url https://download.pytorch.org/whl/cpu -r"
    assert index in (tmp_path / "pip-calls").read_text()


def test_an_installation_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    fake_python(tmp_path, no_network=1)
    assert use_environment(tmp_path).returncode == 1
    fake_python(tmp_path)
    (tmp_path / ".venv/bin/python").write_text((tmp_path / "bin/python3").read_text())
    assert use_environment(tmp_path).returncode == 0


def run_all(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs run_all.sh in `folder`, with a phantom of four people where it draws one."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    few = "--subjects 4 --frames 4 --test-subjects 1 --test-frames 1"
    return subprocess.run(
        ["bash", str(REPOSITORY / "run_all.sh"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "PHANTOM": few},
    )


def test_run_all_without_data_makes_a_phantom_and_ends_with_scores(tmp_path: Path) -> None:
    small = [
        "backbone=tu-test_efficientnet",
        "pretrained=false",
        "epochs=1",
        "image_height=32",
        "image_width=64",
        "n_folds=2",
        "folds=[0, 1]",
        "number_of_workers=0",
    ]
    result = run_all(tmp_path, *small)
    assert result.returncode == 0, result.stdout + result.stderr
    quoted = [line for line in result.stdout.splitlines() if line.startswith("out-of-fold IoU")]
    assert "images with a nerve" in quoted[1]
    assert all(line.endswith("PHANTOM") for line in quoted)
    assert (tmp_path / "data/phantom/train/1_1.tif").is_file()
    for name in ("oof_iou.csv", "submission.csv"):
        assert (tmp_path / "runs/demo" / name).is_file()
        assert f"runs/demo/{name}" in result.stdout


def test_run_all_on_real_data_takes_the_data_and_stops_at_a_wrong_word(
    tmp_path: Path, data: Path
) -> None:
    result = run_all(tmp_path, f"data={data}", "pretrained=false", "image_hight=64")
    assert result.returncode == 1
    assert "did you mean image_height?" in result.stderr
    assert not (tmp_path / "data/phantom").exists()


def test_run_all_tells_how_it_is_used(tmp_path: Path) -> None:
    result = run_all(tmp_path, "--help")
    assert result.returncode == 0
    assert "bash run_all.sh data=PATH" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_01_does_without_pytorch_which_takes_long_to_load() -> None:
    code = "import sys, importlib; importlib.import_module('01_prepare_folds')"
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "False\n"
