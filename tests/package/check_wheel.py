"""Builds the wheel and installs it alone; checks what is in it and that both commands work from it.

Run as a program: it needs an environment of its own. Exit status 0 if all is well.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

from own_packages import OURS, PASSED, SETTINGS, write

ROOT = Path(__file__).parents[2]
OWN_TEST = """
import sys

def test_costs_nothing():
    heavy = {"flask", "faker", "jinja2", "sqlalchemy", "jsonschema", "requests"}
    ours = {"im_callback.schemas", "im_callback.provider_mock"}
    assert not (heavy | ours) & set(sys.modules)
"""
#: Of the checkout, what nobody needs who has an archive.
NOT_IN_ARCHIVE = {".gitignore"}
PACKAGES = {"schemas", "provider_mock", "conformance"}
#: Tests that need no other package.
FROM_ARCHIVE = (
    "tests/schemas/test_bundle.py",
    "tests/schemas/test_files.py",
    "tests/schemas/test_loader.py",
    "tests/provider_mock/test_providers.py",
)
NEEDED = {
    "im_callback/schemas/dialect.schema.json",
    "im_callback/schemas/README.md",
    "im_callback/schemas/py.typed",
    "im_callback/provider_mock/py.typed",
    "im_callback/conformance/py.typed",
    "im_callback/conformance/report/result.schema.json",
    "im_callback/conformance/report/html/page.html",
    "im_callback/conformance/report/html/page.css",
    "im_callback/conformance/report/html/page.js",
    "im_callback/provider_mock/drawing/drawing.css",
    "im_callback/provider_mock/server/console/static/console.css",
    "im_callback/provider_mock/server/console/static/console.js",
    "im_callback/provider_mock/server/console/static/htmx-2.0.11.min.js",
    "im_callback/provider_mock/server/console/static/htmx-LICENSE.txt",
    "im_callback/provider_mock/server/console/templates/base.html",
    "im_callback/provider_mock/demo_receivers/receiver.py",
    "im_callback/provider_mock/demo_receivers/naive.py",
}


def main(work: Path) -> None:
    """Build, look and try."""
    shutil.rmtree(work / "dist", ignore_errors=True)
    archive, wheel = build(ROOT, work / "dist")
    look_into_archive(archive)
    look_inside(wheel)
    direct = work / "checkout"
    shutil.rmtree(direct, ignore_errors=True)
    # A copy, because Setuptools builds a wheel from whatever an earlier build left in the folder.
    shutil.copytree(
        ROOT, direct, ignore=shutil.ignore_patterns(".*", "build", "dist", "site", "*.egg-info", "__pycache__")
    )
    _, other = build(direct, work / "dist" / "direct", "--wheel")
    assert contents(wheel) == contents(other), "the wheel from the source archive is not the one from the checkout"
    try_out(wheel, work)
    run_tests(archive, work)
    print(f"{wheel.name}: complete, and works where nothing else is installed")


def build(source: Path, out: Path, *options: str) -> tuple[Path, Path]:
    """Build the source archive and from it the wheel, or with `--wheel` it alone, by the installed Setuptools."""
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(out), str(source)]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = out.glob("*.whl")
    return next(out.glob("*.tar.gz"), wheel), wheel


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel; the record of them says nothing more."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def look_into_archive(source: Path) -> None:
    """Check the source archive: everything that belongs to the checkout, and nothing that a build left there."""
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    due = set(tracked.split("\0")) - {""} - NOT_IN_ARCHIVE
    more = {name for name in names - due if not name.startswith("im_callback_conformance.egg-info/")}
    assert not due - names, f"missing in the source archive: {sorted(due - names)}"
    assert more == {"PKG-INFO", "setup.cfg"}, f"more than the checkout in the source archive: {sorted(more)}"


def look_inside(wheel: Path) -> None:
    """Check the wheel's contents: everything that is tracked in the packages, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert licences, "the licence is missing"
    assert names >= NEEDED, f"missing: {sorted(NEEDED - names)}"
    assert {name.partition("/")[0] for name in names} == {"im_callback"}, "other top-level packages"
    tracked = {
        f"im_callback/{path.relative_to(ROOT)}"
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

    def run(*command: str, cwd: Path = empty) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(binaries / command[0]), *command[1:]], cwd=cwd, capture_output=True, text=True, check=False
        )

    def must(*command: str, cwd: Path = empty) -> str:
        ended = run(*command, cwd=cwd)
        assert ended.returncode == 0, f"{command}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    pip = ("python", "-m", "pip", "--disable-pip-version-check")
    must(*pip, "install", "--require-hashes", "--requirement", str(ROOT / "requirements" / "core.txt"))
    must(*pip, "install", "--no-deps", str(wheel))
    # The lock satisfies what the wheel asks for.
    must(*pip, "check")
    bare = f"import importlib.util as u; print([n for n in {OURS!r} if u.find_spec(n)], u.find_spec('im_callback.schemas'))"
    assert must("python", "-c", bare).startswith("[] ModuleSpec"), "something of ours has a bare name"
    assert "commsease.signature.rejects-tampered-body" in must("pytest", "--receiver-list")
    nobody = run("pytest", "--receiver-url=http://127.0.0.1:1/", "--receiver-json=out.json")
    assert nobody.returncode == 1, nobody.stdout + nobody.stderr
    assert json.loads((empty / "out.json").read_text())["verdict"] == "fail"
    (empty / "body.json").write_text(must("provider-mock", "sample", "rongcloud.chatroom-kv", "--generate"))
    must("provider-mock", "validate", "rongcloud", "body.json")
    must("python", "-m", "im_callback.provider_mock", "validate", "rongcloud", "body.json")
    (empty / "test_own.py").write_text(OWN_TEST)
    must("pytest", "test_own.py")

    for name, settings in SETTINGS.items():
        folder = work / "empty" / name
        folder.mkdir()
        write(folder, settings)
        for command in (("pytest",), ("python", "-m", "pytest")):
            assert PASSED in must(*command, cwd=folder), f"{name}: a repository's own tests"
            gate = run(*command, "--receiver-url=http://127.0.0.1:1/", "--receiver-json=out.json", cwd=folder)
            assert gate.returncode == 1, f"{name}: {gate.stdout}{gate.stderr}"
            assert json.loads((folder / "out.json").read_text())["verdict"] == "fail"


def run_tests(archive: Path, work: Path) -> None:
    """Run tests from the unpacked archive against the installed wheel: those that need nothing but the two."""
    folder = work / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    ran = subprocess.run(
        [work / "venv" / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *FROM_ARCHIVE],
        cwd=unpacked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]))
