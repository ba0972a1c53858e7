"""What other packages add: one that cannot be loaded is told, passed over, and stops nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from im_callback.provider_mock import cli, providers
from im_callback.provider_mock.delivery import faults

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from im_callback.provider_mock.cli import entry; entry()")
BROKEN = {
    "raises": ("import not_there_anywhere", "ModuleNotFoundError: No module named 'not_there_anywhere'"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "escapes": ("class Gone(BaseException): pass\nraise Gone('far\\nout')", "Gone: far out"),
    "lacks": ("", "AttributeError: module 'lacks_package' has no attribute 'THING'"),
    "differs": ("THING = 7", "TypeError: it is no "),
    "babbles": ("raise ValueError('x' * 10_000)", f"ValueError: {'x' * 100}"),
}
HALF = """
from im_callback.provider_mock.providers.commsease import PROVIDER
class Half(type(PROVIDER)):
    name = "half"
THING = Half(*PROVIDER.feeds)
"""


def install(folder: Path, group: str, name: str, source: str) -> None:
    """Leave a package in a folder as an installer does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_package.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}_package:THING\n", encoding="utf-8")


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what the command says where the packages of a folder are installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with providers that cannot be loaded, each for a reason of its own."""
    folder = tmp_path_factory.mktemp("packages")
    for name, (source, _) in BROKEN.items():
        install(folder, providers.GROUP, name, source)
    install(folder, providers.GROUP, "half", HALF)
    return folder


class TestProviders:
    """A provider that cannot be loaded."""

    def test_passed_over(self, packages: Path) -> None:
        """The others are listed, and each that is missing is told once, with the reason, the package and the fix."""
        done = ran(packages, "events", "--json")
        assert 0 == done.returncode
        assert done.stdout == ran(ROOT, "events", "--json").stdout
        told = done.stderr.splitlines()
        for name, (_, why) in BROKEN.items():
            (line,) = [one for one in told if f"the provider '{name}' of the package {name}-package " in one]
            assert line.startswith("warning: ")
            assert f"cannot be loaded ({why}" in line
            assert line.endswith("; install what it needs, or uninstall the package")
            assert len(line) < 400
        # Its schemas are not there.
        assert any("'half'" in one for one in told)
        assert len(BROKEN) + 1 == len(told)

    @pytest.mark.parametrize("name", [*BROKEN, "half"])
    def test_asked_for(self, packages: Path, name: str) -> None:
        """It is one line, with the reason."""
        done = ran(packages, "events", name)
        assert (2, "") == (done.returncode, done.stdout)
        assert done.stderr.startswith(f"error: the provider '{name}' of the package {name}-package cannot be loaded (")
        assert 1 == done.stderr.count("\n")

    def test_not_imported_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A package that failed is not run once more for every question."""
        source = f"with open({str(tmp_path / 'runs')!r}, 'a') as file: file.write('.')\nraise SystemExit"
        install(tmp_path, providers.GROUP, "counted", source)
        monkeypatch.syspath_prepend(str(tmp_path))
        for _ in range(3):
            assert "counted" not in providers.names()
            assert "SystemExit" in str(providers.unusable()["counted"])
            with pytest.raises(providers.UnusableProvider):
                providers.load("counted")
        assert "." == (tmp_path / "runs").read_text()

    def test_interrupted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C is no mistake of the package."""
        install(tmp_path, providers.GROUP, "slow", "raise KeyboardInterrupt")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(KeyboardInterrupt):
            providers.load("slow")


class TestFaults:
    """A fault that cannot be loaded."""

    def test_passed_over(self, tmp_path: Path) -> None:
        """The catalogue is whole without it; asked for, it says why."""
        for name, (source, _) in BROKEN.items():
            install(tmp_path, faults.GROUP, name, source)
        done = ran(tmp_path, "faults")
        assert (0, ran(ROOT, "faults").stdout) == (done.returncode, done.stdout)
        assert sorted(BROKEN) == sorted(line.split("'")[1] for line in done.stderr.splitlines())
        sent = ran(tmp_path, "send", "commsease.login", "--to", "http://127.0.0.1:9/", "--fault", "exits:a=1")
        assert (2, "") == (sent.returncode, sent.stdout)
        assert sent.stderr.startswith("error: the fault 'exits' of the package exits-package cannot be loaded (System")


class TestCommands:
    """Commands that packages add."""

    GREET = """
import click
@click.command()
def THING():
    "Greet."
    click.echo("good morning")
"""

    def test_added(self, tmp_path: Path) -> None:
        """It is listed and runs, and none that is ours gives way to it."""
        install(tmp_path, cli.GROUP, "greet", self.GREET)
        install(tmp_path, cli.GROUP, "faults", "raise SystemExit")
        done = ran(tmp_path, "greet")
        assert (0, "good morning\n", "") == (done.returncode, done.stdout, done.stderr)
        helped = ran(tmp_path, "--help")
        assert 0 == helped.returncode
        assert "  greet " in helped.stdout
        assert ran(ROOT, "faults").stdout == ran(tmp_path, "faults").stdout

    def test_broken(self, tmp_path: Path) -> None:
        """One that cannot be loaded is told where commands are listed; asked for, it says why."""
        for name, (source, _) in BROKEN.items():
            install(tmp_path, cli.GROUP, name, source)
        helped = ran(tmp_path, "--help")
        assert (0, ran(ROOT, "--help").stdout) == (helped.returncode, helped.stdout)
        assert sorted(BROKEN) == sorted(line.split("'")[1] for line in helped.stderr.splitlines())
        done = ran(tmp_path, "exits")
        assert (2, "") == (done.returncode, done.stdout)
        assert done.stderr.startswith(
            "error: the command 'exits' of the package exits-package cannot be loaded (System"
        )

    def test_loaded_when_asked_for(self, tmp_path: Path) -> None:
        """What a package adds costs the other commands nothing."""
        install(tmp_path, cli.GROUP, "loud", "print('loaded')")
        assert "loaded" not in ran(tmp_path, "sample", "commsease.login").stdout
        assert "loaded" in ran(tmp_path, "loud").stdout
