"""Builds the wheel and installs it alone; checks what is in it and that both commands work from it.

Run as a program: it needs an environment of its own. Exit status 0 if all is well.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN_TEST = """
import sys

def test_costs_nothing():
    heavy = {"flask", "faker", "sqlalchemy", "jsonschema", "pycurl", "requests", "schemas", "provider_mock"}
    assert not heavy & set(sys.modules)
"""
PACKAGES = {"schemas", "provider_mock", "conformance"}
NEEDED = {
    "schemas/dialect.schema.json",
    "schemas/README.md",
    "schemas/py.typed",
    "provider_mock/py.typed",
    "conformance/py.typed",
    "conformance/report/result.schema.json",
    "provider_mock/demo_receivers/receiver.py",
    "provider_mock/demo_receivers/naive.py",
}


def main(work: Path) -> None:
    """Build, look and try."""
    shutil.rmtree(work / "dist", ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(work / "dist"), str(ROOT)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = (work / "dist").glob("*.whl")
    look_inside(wheel)
    try_out(wheel, work)
    print(f"{wheel.name}: complete, and works where nothing else is installed")


def look_inside(wheel: Path) -> None:
    """Check the wheel's contents: everything that is tracked in the packages, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert licences, "the licence is missing"
    assert names >= NEEDED, f"missing: {sorted(NEEDED - names)}"
    assert {name.partition("/")[0] for name in names} == PACKAGES, "other top-level packages"
    tracked = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    added = {name for name in NEEDED if "demo_receivers" in name}
    assert names - added == tracked, f"not as in the checkout: {sorted((names - added) ^ tracked)}"


def try_out(wheel: Path, work: Path) -> None:
    """Install the wheel without extras and run both commands in an empty directory."""
    environment, empty = work / "venv", work / "empty"
    venv.create(environment, with_pip=True, clear=True)
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    binaries = environment / "bin"
    pip = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(pip, check=True)

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binaries / command[0]), *command[1:]], cwd=empty, capture_output=True, text=True, check=False
        )

    listed = run("pytest", "--receiver-list")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "commsease.signature.rejects-tampered-body" in listed.stdout, listed.stdout
    nobody = run("pytest", "--receiver-url=http://127.0.0.1:1/", "--receiver-json=out.json")
    assert nobody.returncode == 1, nobody.stdout + nobody.stderr
    assert json.loads((empty / "out.json").read_text())["verdict"] == "fail"
    sample = run("provider-mock", "sample", "rongcloud.chatroom-kv", "--generate")
    assert sample.returncode == 0, sample.stderr
    (empty / "body.json").write_text(sample.stdout)
    (empty / "test_own.py").write_text(OWN_TEST)
    own = run("pytest", "test_own.py")
    assert own.returncode == 0, own.stdout + own.stderr
    valid = run("provider-mock", "validate", "rongcloud", "body.json")
    assert valid.returncode == 0, valid.stdout + valid.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]))
