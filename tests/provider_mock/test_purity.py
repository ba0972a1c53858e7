"""What may import what: the core performs no I/O, reads no clock, draws no random number."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def modules_in(folder: str, *, below: str) -> list[str]:
    """Return the modules of a folder of ours, by their full names."""
    files = sorted((ROOT / folder).glob(below))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [f"im_callback.{name.removesuffix('.__init__')}" for name in names]


CONTRACT = modules_in("provider_mock/contract", below="*.py")
FEEDS = modules_in("provider_mock/providers", below="*/*.py")
CORE = [
    "im_callback.provider_mock.answer",
    "im_callback.provider_mock.wire",
    "im_callback.provider_mock.history",
    *CONTRACT,
    *FEEDS,
]
#: What the core may use of the standard library.
PURE = {
    "__future__",
    "abc",
    "codecs",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "json",
    "re",
    "typing",
    "urllib",
    "zlib",
}
#: What a module may use besides, and why.
BESIDES = {
    # Finds the providers that are installed.
    "im_callback.provider_mock.providers": {"pkgutil", "importlib"},
    # Draws from a `Random` that it is given, and writes dates of a time that it is given.
    "im_callback.provider_mock.traffic.identity": {"random", "datetime", "uuid"},
    "im_callback.provider_mock.traffic.shape": set(),
    "im_callback.provider_mock.traffic.composed": set(),
    "im_callback.provider_mock.traffic.build": {"random"},
    "im_callback.provider_mock.traffic.variants": set(),
    "im_callback.provider_mock.traffic.optional": set(),
    "im_callback.provider_mock.traffic.limits": set(),
    "im_callback.provider_mock.traffic.generate": {"random"},
    "im_callback.provider_mock.traffic.words": {"random", "faker"},
    "im_callback.provider_mock.commands.shared.documents": set(),
    "im_callback.provider_mock.delivery.disturbance": {"random"},
    # Draw from a `Random` that they are given.
    "im_callback.provider_mock.contract.server_api": {"random"},
    "im_callback.provider_mock.providers.commsease.server_api": {"uuid"},
    "im_callback.provider_mock.providers.rongcloud.talk": {"random"},
    # Unpacks a signature.
    "im_callback.provider_mock.providers.tencent.usersig": {"base64", "binascii"},
}
HEAVY = [
    "aiohttp", "click", "faker", "flask", "httpx", "locust", "pytest", "redis", "requests", "sqlalchemy",
    "urllib3", "waitress",
]  # fmt: skip


def path_of(module: str) -> Path:
    """Return the file of a module."""
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(file: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            if node.module == "im_callback":
                found.update(f"im_callback.{alias.name}" for alias in node.names)
            else:
                found.add(str(node.module))
    return found


def tops(modules: set[str]) -> set[str]:
    """Return the packages that modules belong to: of ours, the folder at the top."""
    return {module.removeprefix("im_callback.").partition(".")[0] for module in modules}


class TestCore:
    """The contract, the providers and the judge work with plain values."""

    @pytest.mark.parametrize("modules", [CORE, ["im_callback.conformance.judge"]], ids=["contract", "judge"])
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
        # A story writes dates of the moments that its stage gives it.
        dates = {"datetime"} if module.endswith(".story") else set()
        allowed = PURE | BESIDES.get(module, dates) | {"provider_mock", "schemas"}
        assert set() == tops(imported(path_of(module))) - allowed

    @pytest.mark.parametrize("module", CORE)
    def test_core_stays_in_the_core(self, module: str) -> None:
        """The core uses nothing of ours that does I/O."""
        ours = {name for name in imported(path_of(module)) if name.startswith("im_callback.provider_mock")}
        allowed = {
            f"im_callback.provider_mock.{name}" for name in ("answer", "wire", "traffic.stage", "traffic.composed")
        }
        # A provider uses its own package, and no other's.
        own = {name for name in FEEDS if name.split(".")[:4] == module.split(".")[:4]}
        assert ours <= {*allowed, *CONTRACT, *own}

    def test_no_clock(self) -> None:
        """Where dates are written, nobody asks what time it is."""
        text = path_of("im_callback.provider_mock.traffic.identity").read_text(encoding="utf-8")
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

    def test_oracle_is_independent(self) -> None:
        """The second opinion in these tests borrows nothing."""
        assert {"__future__", "collections", "subprocess", "urllib"} == tops(
            imported(Path(__file__).with_name("oracle.py"))
        )
