"""Runs in repositories that have tests, settings and a conftest.py of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.processes import Ended, options_for, pytest_in

pytestmark = pytest.mark.long

CHECKS = ["--receiver-check=*.preflight.*", "--receiver-check=*.rejects-wrong-*", "--receiver-check=*.acks-probe"]
HOSTILE = {
    "file patterns": "testpaths = spec\npython_files = spec_*.py\npython_functions = it_*\npython_classes = Describe",
    "everything ignored": "addopts = --ignore-glob=*/site-packages/* --ignore-glob=* --ignore=.\nnorecursedirs = *",
    "xdist": "addopts = -p xdist -n 2 --dist=loadfile --maxfail=3",
    "strict": "addopts = --strict-markers --strict-config -W error --import-mode=importlib\nxfail_strict = true",
    "paths in addopts": "addopts = spec --doctest-modules --import-mode=append -p no:cacheprovider",
    "last failed": "addopts = --lf --ff",
    "new first": "addopts = --nf",
    "all at once": "testpaths = spec\npython_files = spec_*.py\npython_functions = it_*\nnorecursedirs = *\n"
    "addopts = --ignore-glob=*/site-packages/* -p xdist -n 2 --strict-markers -W error --import-mode=importlib --ff spec",
}
CONFTEST = """
import pytest

collect_ignore_glob = ["*"]

def pytest_collection_modifyitems(items):
    items.reverse()

@pytest.fixture(autouse=True)
def everywhere(request):
    request.getfixturevalue("tmp_path")
"""


def repository(folder: Path, ini: str, conftest: str = CONFTEST) -> Path:
    """Return a repository with tests of its own, which fail if they are run."""
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n", encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "spec").mkdir()
    for name in ("spec_own.py", "test_own.py"):
        (folder / "spec" / name).write_text("def it_is(): assert 0\ndef test_is(): assert 0\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def usual(good: str, naive: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Return what the same checks come to in empty folders, by receiver."""
    return {
        base: pytest_in(tmp_path_factory.mktemp("empty"), "-v", *options_for(base), *CHECKS) for base in (good, naive)
    }


def ids(ended: Ended) -> list[str]:
    """Return the ids of the tests that ran, with how they ended."""
    # pytest shows ids as seen from the folder it was started in.
    lines = [line.removeprefix("../") for line in ended.output.splitlines()]
    return [" ".join(line.split()[:2]) for line in lines if line.startswith("conformance/") and "::" in line]


@pytest.mark.parametrize("ini", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile(ini: str, good: str, usual: dict[str, Ended], tmp_path: Path) -> None:
    """Whatever a repository's settings are, the same checks run in the same order, with the same ids and verdicts."""
    ended = pytest_in(repository(tmp_path, ini), "-v", *options_for(good), *CHECKS)
    assert 0 == ended.status, ended.output
    assert list(usual[good].verdicts.items()) == list(ended.verdicts.items())
    assert ids(usual[good]) == ids(ended)
    assert 8 == len(ids(ended))
    assert "own.py" not in ended.output


def test_hostile_and_naive(naive: str, usual: dict[str, Ended], tmp_path: Path) -> None:
    """Failures stay failures there."""
    ended = pytest_in(repository(tmp_path, HOSTILE["all at once"]), "-v", *options_for(naive), *CHECKS)
    assert 1 == ended.status == usual[naive].status, ended.output
    assert usual[naive].verdicts == ended.verdicts
    assert "fail" in ended.verdicts.values()
    assert ids(usual[naive]) == ids(ended)


def test_subfolder(good: str, usual: dict[str, Ended], tmp_path: Path) -> None:
    """From a folder inside the repository it is the same."""
    folder = repository(tmp_path, "addopts = -n 2") / "spec"
    ended = pytest_in(folder, "-v", *options_for(good), *CHECKS)
    assert usual[good].verdicts == ended.verdicts, ended.output
    assert ids(usual[good]) == ids(ended)


def test_without_url(tmp_path: Path) -> None:
    """Without --receiver-url a repository's own tests run, and none of ours."""
    (tmp_path / "test_own.py").write_text("def test_a(): pass\ndef test_b(): assert 0\n", encoding="utf-8")
    ended = pytest_in(tmp_path, "-v", "-p", "no:xdist", RECEIVER_PROVIDER="nobody", RECEIVER_LEVEL="nonsense")
    assert 1 == ended.status
    assert "1 failed, 1 passed" in ended.output
    assert ["test_own.py::test_a PASSED", "test_own.py::test_b FAILED"] == [
        " ".join(line.split()[:2]) for line in ended.lines("test_own.py::")
    ]
    assert "receiver" not in ended.output.replace("receiver-conformance", "").replace("rootdir", "").lower()


def test_not_switched_on(tmp_path: Path) -> None:
    """Installed and not switched on, the plugin costs nothing: what it needs is not imported."""
    (tmp_path / "test_own.py").write_text(
        """
import sys

HEAVY = "flask faker sqlalchemy jsonschema jmespath requests certifi click im_callback".split()

def test_loaded():
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] in HEAVY)
    ours = ("mock_fixtures", "option_table", "plugin")
    assert loaded == ["im_callback", "im_callback.conformance", *(f"im_callback.conformance.{name}" for name in ours)]
""",
        encoding="utf-8",
    )
    ended = pytest_in(tmp_path, "-W", "error", "--strict-config")
    assert 0 == ended.status, ended.output


class TestUnrun:
    """What was selected and did not run is never taken for passed."""

    @pytest.mark.parametrize(
        "conftest",
        [
            pytest.param(
                "import pytest\n@pytest.fixture(autouse=True)\ndef f(request):\n"
                "    if 'probe' in request.node.name: raise RuntimeError('no database')\n",
                id="a fixture fails",
            ),
            pytest.param(
                "import pytest\n@pytest.fixture(autouse=True)\ndef f(request):\n"
                "    if 'probe' in request.node.name: pytest.skip('not here')\n",
                id="a fixture skips",
            ),
            pytest.param(
                "import pytest\ndef pytest_collection_modifyitems(items):\n    for item in items:\n"
                "        if 'probe' in item.name: item.add_marker(pytest.mark.skip(reason='slow'))\n",
                id="a marker",
            ),
        ],
    )
    def test_one(self, conftest: str, good: str, tmp_path: Path) -> None:
        """A check that something of the repository's kept from running makes the run incomplete."""
        ended = pytest_in(repository(tmp_path, "", conftest), *options_for(good), *CHECKS)
        assert 8 == ended.status, ended.output
        undecided = [check for check, verdict in ended.verdicts.items() if verdict != "pass"]
        assert ["commsease.acknowledgement.acks-probe"] == undecided
        assert "could not run: acknowledgement.acks-probe: " in ended.output
        assert "kept it from running" in ended.output

    def test_all(self, good: str, tmp_path: Path) -> None:
        """Neither is a run in which nothing ran."""
        conftest = "import pytest\n@pytest.fixture(autouse=True)\ndef f(): pytest.skip('never')\n"
        ended = pytest_in(
            repository(tmp_path, "", conftest), *options_for(good), *CHECKS, "--receiver-allow-incomplete"
        )
        assert 8 == ended.status, ended.output
        assert (
            "receiver verdict: INCOMPLETE: nothing failed, and not everything could be judged; 8 checks could not run"
            in ended.output
        )

    def test_our_error(self, good: str, tmp_path: Path) -> None:
        """A check that breaks off by itself is our own error, with a status of its own."""
        conftest = (
            "from im_callback.conformance.checks.robustness import check_empty_body\n"
            "def boom(run): raise KeyError('ours')\n"
            "object.__setattr__(check_empty_body.check, 'function', boom)\n"
        )
        ended = pytest_in(repository(tmp_path, "", conftest), *options_for(good), "--receiver-check=*.empty-body")
        assert 3 == ended.status, ended.output
        assert "our own error, not the receiver's; please report it:" in ended.output
        assert "KeyError: 'ours'" in ended.output
        assert {"commsease.robustness.empty-body": "harness-error"} == ended.verdicts
        assert ended.result is not None
        assert ("error", 3) == (ended.result["verdict"], ended.result["exit_status"])
