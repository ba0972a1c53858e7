"""What imports what in the package, read off the sources: lazy imports too, those for types alone aside."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDERS = ("schemas", "provider_mock", "conformance")
PACKAGE = "im_callback"


def modules(root: Path) -> dict[str, Path]:
    """Return the files of the modules below the folders, by their names without the package's."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*.py")):
            name = ".".join(file.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


def arrows(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return for each module those of the modules that it imports."""
    return {
        name: {one for one in _imported(ast.parse(file.read_text(encoding="utf-8")), files) if one != name}
        for name, file in files.items()
    }


def _imported(tree: ast.AST, files: Mapping[str, Path]) -> Iterator[str]:
    for node in _run(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            # Each name is a module, or stands in one.
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for one in wanted:
            if one.startswith(f"{PACKAGE}."):
                name = one.removeprefix(f"{PACKAGE}.")
                yield name if name in files else name.rpartition(".")[0]


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that are run: not what stands under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from _run(other)
            continue
        yield node
        yield from _run(node)


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return modules each of which imports the next, and the last one the first; none where there is no circle."""
    through: set[str] = set()

    def look(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in through:
            return []
        found = next(filter(None, (look(one, [*path, name]) for one in sorted(arrows.get(name, ())))), [])
        through.add(name)
        return found

    return next(filter(None, (look(name, []) for name in sorted(arrows))), [])
