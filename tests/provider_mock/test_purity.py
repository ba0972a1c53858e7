"""What may import what: the core performs no I/O, reads no clock, draws no random number, and arrows point one way."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = [
    "provider_mock.contract",
    "provider_mock.wire",
    "provider_mock.history",
    "provider_mock.providers.commsease",
    "provider_mock.providers.rongcloud",
    "provider_mock.providers.tencent",
]
#: What the core may use of the standard library.
PURE = {
    "__future__",
    "abc",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "json",
    "re",
    "typing",
    "urllib",
}
#: What a module may use besides, and why.
BESIDES = {
    # Finds the providers that are installed.
    "provider_mock.providers": {"pkgutil", "importlib"},
    # Draws from a `Random` that it is given, and writes dates of a time that it is given.
    "provider_mock.traffic.identity": {"random", "datetime", "uuid"},
    "provider_mock.traffic.shape": set(),
    "provider_mock.traffic.generate": {"random"},
    "provider_mock.traffic.words": {"random", "faker"},
    "provider_mock.documents": set(),
    "provider_mock.delivery.disturbance": {"random"},
}
HEAVY = [
    "aiohttp", "click", "faker", "flask", "httpx", "locust", "pycurl", "pytest", "redis", "requests", "sqlalchemy",
    "urllib3", "waitress",
]  # fmt: skip


def path_of(module: str) -> Path:
    """Return the file of a module."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(file: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            found.add(str(node.module))
    return found


def tops(modules: set[str]) -> set[str]:
    """Return the packages that modules belong to."""
    return {module.partition(".")[0] for module in modules}


class TestCore:
    """The contract, the providers and the judge work with plain values."""

    @pytest.mark.parametrize("modules", [CORE, ["conformance.judge"]], ids=["contract", "judge"])
    def test_loads_nothing_heavy(self, modules: list[str]) -> None:
        """Importing them loads no web framework, no HTTP client, no database, no pytest, no Faker."""
        script = f"import json, sys\nfor name in {modules!r}: __import__(name)\nprint(json.dumps(sorted(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        loaded = tops(set(json.loads(done.stdout)))
        assert set() == loaded & set(HEAVY)
        assert "provider_mock" in loaded

    @pytest.mark.parametrize("module", [*CORE, *BESIDES])
    def test_allowed_imports(self, module: str) -> None:
        """Each module imports what the list allows: no socket, no clock, no randomness, no files."""
        allowed = PURE | BESIDES.get(module, set()) | {"provider_mock", "schemas"}
        assert set() == tops(imported(path_of(module))) - allowed

    @pytest.mark.parametrize("module", CORE)
    def test_core_stays_in_the_core(self, module: str) -> None:
        """The core uses nothing of ours that does I/O."""
        ours = {name for name in imported(path_of(module)) if name.startswith("provider_mock")}
        assert ours <= {"provider_mock.contract", "provider_mock.wire"}

    def test_providers_are_all_listed(self) -> None:
        """A provider that is added here is held to the same rules."""
        files = {
            f"provider_mock.providers.{file.stem}" for file in path_of("provider_mock.providers").parent.glob("*.py")
        }
        assert {name for name in CORE if ".providers." in name} == files - {"provider_mock.providers.__init__"}

    def test_no_clock(self) -> None:
        """Where dates are written, nobody asks what time it is."""
        text = path_of("provider_mock.traffic.identity").read_text(encoding="utf-8")
        assert "now(" not in text
        assert "today(" not in text


class TestDirections:
    """Arrows point from what is imported to who imports it, and nothing points back."""

    @pytest.mark.parametrize(
        ("package", "never"),
        [
            ("schemas", {"provider_mock", "conformance", "tests", "examples"}),
            ("provider_mock", {"conformance", "tests", "examples"}),
            ("conformance", {"tests", "examples"}),
        ],
    )
    def test_packages(self, package: str, never: set[str]) -> None:
        """No module of a package imports what lies further along."""
        files = sorted((ROOT / package).rglob("*.py"))
        assert files
        assert {} == {str(file): found for file in files if (found := tops(imported(file)) & never)}

    @pytest.mark.parametrize(
        ("package", "never"),
        [
            ("delivery", {"server", "load", "commands", "cli", "demo"}),
            ("server", {"load", "commands", "demo"}),
            ("load", {"server", "commands", "cli", "demo"}),
            ("traffic", {"delivery", "server", "load", "commands", "cli", "demo"}),
        ],
    )
    def test_inside(self, package: str, never: set[str]) -> None:
        """What delivers knows nothing of who has it deliver."""
        files = sorted((ROOT / "provider_mock" / package).rglob("*.py"))
        assert files
        for file in files:
            ours = {name.split(".")[1] for name in imported(file) if name.startswith("provider_mock.")}
            assert set() == ours & never, file

    def test_oracle_is_independent(self) -> None:
        """The second opinion in these tests borrows nothing."""
        assert {"__future__", "collections", "subprocess", "urllib"} == tops(
            imported(Path(__file__).with_name("oracle.py"))
        )
