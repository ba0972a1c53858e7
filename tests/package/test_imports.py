"""What may import what: no circle anywhere, and arrows between rooms that point one way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package.imports import arrows, circle, modules

ROOT = Path(__file__).parents[2]
FILES = modules(ROOT)
ARROWS = arrows(FILES)
#: By room, the rooms that it may import. What a room has is a folder, or a module of its own.
ALLOWED = {
    "schemas": set(),
    "answer": set(),
    "plugins": set(),
    "client": set(),
    "files": set(),
    "visible": set(),
    "drawing": set(),
    "wire": {"schemas"},
    "contract": {"answer", "schemas", "wire"},
    "addresses": {"contract"},
    "headers": {"contract"},
    "fields": {"schemas"},
    "history": {"answer", "contract"},
    "traffic": {"contract", "plugins", "schemas"},
    "providers": {"answer", "contract", "plugins", "schemas", "traffic", "wire"},
    "delivery": {"contract", "files", "history", "plugins", "schemas", "traffic", "wire"},
    "load": {"addresses", "contract", "delivery", "providers", "traffic"},
    "server": {
        *("addresses", "contract", "delivery", "drawing", "files"),
        *("headers", "providers", "recording", "schemas", "traffic", "visible"),
    },
    "recording": {"contract", "delivery", "schemas", "traffic", "wire"},
    "commands": {
        "addresses",
        "client",
        "contract",
        "delivery",
        "fields",
        "load",
        "providers",
        "recording",
        "schemas",
        "server",
        "traffic",
    },
    "cli": {"commands", "plugins"},
    "__main__": {"cli"},
}
#: What a provider may use of the traffic: where its story plays, and payloads that are put together.
FOR_PROVIDERS = {"provider_mock.traffic.stage", "provider_mock.traffic.composed"}


def room(name: str) -> str:
    """Return the room of a module: in the mock the folder or the module below it, else the folder at the top."""
    top, _, rest = name.partition(".")
    return rest.partition(".")[0] if top == "provider_mock" and rest else top


def between(one: str) -> set[str]:
    """Return the other rooms that a room imports."""
    return {room(other) for name, others in ARROWS.items() if room(name) == one for other in others} - {one}


class TestReading:
    """The reader of imports sees what there is."""

    def test_kinds(self, tmp_path: Path) -> None:
        """Imports at the top, in functions and of names, and not those for types alone."""
        folder = tmp_path / "provider_mock"
        folder.mkdir()
        for name in ("a", "b", "c", "d", "e"):
            (folder / f"{name}.py").write_text("", encoding="utf-8")
        (folder / "__init__.py").write_text(
            "import json\n"
            "import im_callback.provider_mock.a\n"
            "from im_callback.provider_mock import b\n"
            "if TYPE_CHECKING:\n    from im_callback.provider_mock.c import C\n"
            "else:\n    from im_callback.provider_mock.d import D\n"
            "def f():\n    from im_callback.provider_mock.e import E\n",
            encoding="utf-8",
        )
        expected = {f"provider_mock.{name}" for name in "abde"}
        assert expected == arrows(modules(tmp_path))["provider_mock"]

    @pytest.mark.parametrize(
        ("expected", "drawn"),
        [
            ([], {"a": {"b", "c"}, "b": {"c"}, "c": set()}),
            (["b", "c"], {"a": {"b"}, "b": {"c"}, "c": {"b"}}),
            (["a", "c", "b"], {"a": {"c"}, "b": {"a"}, "c": {"b"}}),
        ],
    )
    def test_circle(self, expected: list[str], drawn: dict[str, set[str]]) -> None:
        """A circle is found wherever it begins."""
        assert expected == circle(drawn)


def test_no_circle() -> None:
    """No module imports, now or later, what imports it."""
    assert len(ARROWS) > 200
    assert [] == circle(ARROWS)


@pytest.mark.parametrize("name", sorted({room(name) for name in ARROWS} - {"conformance", "provider_mock"}))
def test_rooms(name: str) -> None:
    """A room imports what the list allows, and nothing else of ours."""
    assert set() == between(name) - ALLOWED[name]


def test_order() -> None:
    """The list itself has no circle."""
    assert [] == circle(ALLOWED)


def test_checks_deliver() -> None:
    """The checks use what makes and sends deliveries, and nothing of the server, the load or the command line.

    The commands that they add speak as all commands do.
    """
    beyond = {"server", "load", "commands", "cli", "__main__", "provider_mock"}
    assert set() == between("conformance") & (beyond - {"commands"})
    speaking = {name for name in FILES if name.startswith("conformance.commands.")}
    for name in {name for name in FILES if room(name) == "conformance"} - speaking:
        assert "commands" not in {room(other) for other in ARROWS[name]}, name


def test_providers() -> None:
    """Of the traffic a provider knows where its story plays, and payloads that are put together."""
    used = {one for name, others in ARROWS.items() if room(name) == "providers" for one in others}
    assert {one for one in used if room(one) == "traffic"} <= FOR_PROVIDERS
