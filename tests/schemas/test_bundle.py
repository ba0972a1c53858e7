"""The package of npm that the schemas are written as."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from im_callback import schemas
from im_callback.schemas import bundle

FOLDER = Path(schemas.__file__).parent
PROVIDERS = ("commsease", "rongcloud", "tencent")


@pytest.fixture(scope="module")
def package() -> dict[str, bytes]:
    """The files, by their paths."""
    return bundle.contents()


class TestContents:
    """Every schema, as it stands, and what npm needs; nothing else."""

    def test_files(self, package: dict[str, bytes]) -> None:
        """All schemas, byte for byte."""
        ours = {str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.rglob("*.schema.json")}
        assert len(ours) > 200
        assert ours == {name: content for name, content in package.items() if name.endswith(".schema.json")}
        more = {"README.md", "LICENSE", "package.json", "index.json", "index.js", "index.d.ts"}
        assert more == set(package) - set(ours)
        assert b"Apache License" in package["LICENSE"]

    def test_index(self, package: dict[str, bytes]) -> None:
        """The index has every event type, and every answer, with its file."""
        index = json.loads(package["index.json"])
        types = {one.name: one for provider in PROVIDERS for one in schemas.catalogue(provider)}
        assert set(types) == {one["name"] for one in index["eventTypes"]}
        for one in index["eventTypes"]:
            known = types[one["name"]]
            assert (known.provider, known.feed, known.code, known.status) == (
                one["provider"], one["feed"], one["code"], one["status"],
            )  # fmt: skip
            assert (None if known.identity is None else list(known.identity)) == one["identity"]
            assert one["name"] == json.loads(package[one["file"]])["x-event-type"]
        for one in index["answers"]:
            assert json.loads(package[one["file"]])["x-response-to"] == one["to"]
        assert len(index["eventTypes"]) + len(index["answers"]) + 1 == sum(
            name.endswith(".schema.json") for name in package
        )

    def test_description(self, package: dict[str, bytes]) -> None:
        """The version is the project's, and everything it names is there."""
        described = json.loads(package["package.json"])
        assert version("im-callback-conformance") == described["version"]
        named = [described["main"], described["types"], *described["exports"]["."].values()]
        assert {one.removeprefix("./") for one in named} <= set(package)


class TestCommand:
    """`python -m im_callback.schemas.bundle FOLDER`."""

    def test_written(self, package: dict[str, bytes], tmp_path: Path) -> None:
        """The package as a folder, and as the archive that npm installs; twice the same bytes."""
        command = [sys.executable, "-m", "im_callback.schemas.bundle", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        archive = tmp_path / f"im-callback-schemas-{version('im-callback-conformance')}.tgz"
        assert (f"{archive}\n", "") == (ran.stdout, ran.stderr)
        assert bundle.tarball(package) == archive.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as packed:
            found = {one.name: (packed.extractfile(one) or io.BytesIO()).read() for one in packed}
        assert {f"package/{name}": content for name, content in package.items()} == found
        written = tmp_path / "im-callback-schemas"
        assert package == {
            str(path.relative_to(written)): path.read_bytes() for path in written.rglob("*") if path.is_file()
        }

    @pytest.mark.parametrize("typed", [[], ["--help"], ["a", "b"]])
    def test_mistake(self, typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """One line says how it is called."""
        assert 2 == bundle.main(typed)
        said = capsys.readouterr()
        assert "" == said.out
        assert "error: give the folder to write to: python -m im_callback.schemas.bundle FOLDER\n" == said.err
