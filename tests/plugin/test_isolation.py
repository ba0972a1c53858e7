"""Other plugins, settings and hooks beside a run: verdicts and exit statuses stay what they are."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, serving, unused_url
from tests.plugin.processes import Ended, options_for, pytest_in

pytestmark = pytest.mark.long

CHECKS = ["--receiver-check=*.preflight.*", "--receiver-check=*.rejects-wrong-*", "--receiver-check=*.acks-probe"]
REACHABLE = "--receiver-check=*.reachable"

AGAIN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for time in range(3):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if all(report.passed for report in reports):
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
BLOCKED = """
import socket

class Guarded(socket.socket):
    def __new__(cls, *args, **kwargs):
        raise RuntimeError("no network in tests")

def pytest_runtest_setup():
    socket.socket = Guarded
"""
LAST_WORD = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    session.exitstatus = 1
"""
LAST_WORDS = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session):
    result = yield
    session.exitstatus = 1
    return result
"""
COVERAGE = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    result = yield
    session.testsfailed += 1
    return result
"""
DESELECTS = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=items[2:])
    del items[2:]
"""
FAILS = "def pytest_sessionfinish(): raise RuntimeError('the team\\'s own')"
LIMITED = """
import os

def pytest_runtest_setup(item):
    if item.ihook.pytest_timeout_set_timer(item=item, settings=None) is None:
        os._exit(1)

class Hooks:
    import pytest
    @pytest.hookspec(firstresult=True)
    def pytest_timeout_set_timer(item, settings): pass

def pytest_addhooks(pluginmanager):
    pluginmanager.add_hookspecs(Hooks)
"""


def beside(folder: Path, plugin: str, *arguments: str, **env: str) -> Ended:
    """Run the checks beside a plugin."""
    (folder / "besides.py").write_text(plugin, encoding="utf-8")
    return pytest_in(folder, "-p", "besides", *arguments, PYTHONPATH=str(folder), **env)


class TestPlugins:
    """Plugins that have their own idea of how tests run."""

    @pytest.mark.parametrize(
        "plugin",
        [AGAIN, BLOCKED, LAST_WORD, LAST_WORDS, COVERAGE, LIMITED],
        ids="again block one two cov limit".split(),
    )
    def test_good(self, plugin: str, good: str, tmp_path: Path) -> None:
        """A good receiver passes."""
        ended = beside(tmp_path, plugin, *options_for(good), *CHECKS)
        assert 0 == ended.status, ended.output
        assert {"pass"} == set(ended.verdicts.values())
        assert "receiver verdict: PASS: 8 checks passed\n" in ended.output

    def test_fixture(self, good: str, tmp_path: Path) -> None:
        """The team's own fixture reads the effects, over the network too, where others' tests may not."""
        fixture = (
            "import json, urllib.request, pytest\n@pytest.fixture\ndef receiver_effects():\n"
            f"    urllib.request.urlopen('{good}/effects?provider=commsease').close()\n"
            f"    def read():\n        with urllib.request.urlopen('{good}/effects?provider=commsease') as answer:\n"
            "            return json.load(answer)\n    return read\n"
        )
        (tmp_path / "conftest.py").write_text(fixture, encoding="utf-8")
        ended = beside(tmp_path, BLOCKED, f"--receiver-url={good}/commsease", *CHECKS)
        assert 0 == ended.status, ended.output

    def test_again(self, naive: str, tmp_path: Path) -> None:
        """Items that are run again: each check has one result, and what failed stays failed."""
        ended = beside(tmp_path, AGAIN, *options_for(naive), *CHECKS)
        assert 1 == ended.status, ended.output
        assert ended.result is not None
        assert 8 == len(ended.result["checks"])
        assert "receiver verdict: FAIL: 2 causes (2 checks)\n" in ended.output

    def test_sent_once(self, tmp_path: Path) -> None:
        """A failure that happens every other time does not go away by being tried again."""
        probe = "--receiver-check=*.acks-probe"
        for plugin in (AGAIN, ""):
            statuses = iter([404, 200, 200])

            def answer(request: Request, statuses: Iterator[int] = statuses) -> Answer:
                return next(statuses) if request.body == b"{}" else 200, "text/plain", b""

            with serving(answer) as little:
                ended = beside(tmp_path, plugin, f"--receiver-url={little.url}", probe)
                assert ["fail"] == list(ended.verdicts.values()), ended.output
                assert 1 == len([request for request in little.got if request.body == b"{}"])

    def test_fails_at_the_end(self, good: str, tmp_path: Path) -> None:
        """A hook that fails is nobody's verdict."""
        ended = beside(tmp_path, FAILS, *options_for(good), REACHABLE)
        assert 3 == ended.status, ended.output
        assert (
            'a plugin, or a hook in a conftest.py, failed at the end: RuntimeError("the team\'s own")' in ended.output
        )

    def test_our_own_error_at_the_end(self, good: str, tmp_path: Path) -> None:
        """Neither is a fault of ours there; no half result is left."""
        plugin = (
            "def pytest_sessionfinish(): pass\ndef pytest_collection_finish():\n    from im_callback.conformance import gate\n"
            "    gate.document = lambda *all: 1 / 0\n"
        )
        ended = beside(tmp_path, plugin, *options_for(good), REACHABLE)
        assert (3, None) == (ended.status, ended.result), ended.output
        assert "our own error at the end: ZeroDivisionError('division by zero')" in ended.output

    @pytest.mark.parametrize("loud", [(), ("--showlocals", "--full-trace")])
    def test_internal_error(self, loud: tuple[str, ...], good: str, tmp_path: Path) -> None:
        """A plugin that fails in between ends the run with 3, and its traceback shows no secret."""
        plugin = (
            "def pytest_collection_modifyitems(config):\n"
            "    raise RuntimeError('no ' + config.getoption('--receiver-app-secret'))\n"
        )
        secret = "--receiver-app-secret=hush-4711"
        ended = beside(tmp_path, plugin, f"--receiver-url={good}/commsease", secret, REACHABLE, *loud)
        assert (3, None) == (ended.status, ended.result), ended.output
        assert re.search("INTERNALERROR> .*RuntimeError: no \\*\\*\\*", ended.output)
        assert "hush-4711" not in ended.output

    def test_no_terminal(self, naive: str, tmp_path: Path) -> None:
        """Without a terminal plugin the status is the same."""
        ended = pytest_in(tmp_path, "-p", "no:terminal", *options_for(naive), *CHECKS)
        assert (1, 2) == (ended.status, list(ended.verdicts.values()).count("fail")), ended.output


class TestSettings:
    """What a repository says of its own tests."""

    @pytest.mark.parametrize(
        "addopts",
        [
            "-k nothing_like_it",
            "-m nobody",
            "-x --maxfail=1",
            "--lf --sw",
            "--deselect conformance/preflight --ff",
            "-q -q --tb=no --no-header --junitxml=junit.xml",
        ],
    )
    def test_addopts(self, addopts: str, naive: str, tmp_path: Path) -> None:
        """Its choice of tests is none among the checks, and its haste does not end them early."""
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\naddopts = {addopts}\nmarkers = nobody\ntestpaths = tests\nfilterwarnings = error\n",
            encoding="utf-8",
        )
        (tmp_path / "tests").mkdir()
        # What failed in an earlier run plays a part in some of them.
        for _ in range(2 if "--lf" in addopts or "--ff" in addopts else 1):
            ended = pytest_in(tmp_path, *options_for(naive), *CHECKS)
            assert 1 == ended.status, ended.output
            verdicts = list(ended.verdicts.values())
            assert (6, 2) == (verdicts.count("pass"), verdicts.count("fail"))

    @pytest.mark.parametrize("typed", ["-kreachable", "-k reachable", "-vkreachable"])
    def test_typed(self, typed: str, good: str, tmp_path: Path) -> None:
        """What was typed for this run is a choice."""
        ended = pytest_in(tmp_path, *typed.split(), *options_for(good), *CHECKS)
        assert 0 == ended.status, ended.output
        assert ["commsease.preflight.reachable"] == list(ended.verdicts)


def test_last_failed(naive: str, tmp_path: Path) -> None:
    """What failed here is nothing to the team's own --lf; the checks have one of their own, if it is typed."""
    (tmp_path / "test_own.py").write_text("def test_a(): assert 0\ndef test_b(): pass\n", encoding="utf-8")
    assert "1 failed, 1 passed" in pytest_in(tmp_path).output
    assert 1 == pytest_in(tmp_path, *options_for(naive), *CHECKS).status
    own = pytest_in(tmp_path, "--lf")
    assert "1 failed" in own.output
    assert "passed" not in own.output
    assert 8 == len(pytest_in(tmp_path, "--lf", *options_for(naive), *CHECKS).verdicts)
    assert 2 == len(pytest_in(tmp_path, "--lf", *options_for(naive), *CHECKS).verdicts)


class TestResultFile:
    """--receiver-json in whole runs."""

    @pytest.mark.parametrize(
        ("expected", "path"),
        [
            ("it is a folder; give a file in it", "."),
            ("there is no folder", "nowhere/result.json"),
            ("it cannot be written (Not a directory)", "file/result.json"),
            ("it cannot be written (Too many levels of symbolic links)", "loop"),
            ("nobody reads from this pipe; start its reader first", "pipe"),
            ("it cannot be written (No space left on device)", "/dev/full"),
        ],
    )
    def test_refused(self, expected: str, path: str, tmp_path: Path) -> None:
        """What cannot be written is a bad option, before anything is sent."""

        (tmp_path / "file").touch()
        (tmp_path / "loop").symlink_to("loop")
        os.mkfifo(tmp_path / "pipe")
        with serving(lambda request: (200, "text/plain", b"")) as little:
            ended = pytest_in(tmp_path, f"--receiver-url={little.url}", RECEIVER_JSON=path, written=False)
            assert [] == little.got
        assert 4 == ended.status, ended.output
        assert f"--receiver-json={path}: {expected}" in ended.output
        assert "\n\n" not in ended.output.strip()

    @pytest.mark.parametrize("earlier", [True, False])
    def test_full(self, earlier: bool, good: str, tmp_path: Path) -> None:
        """A disk that fills: our own trouble, the verdict is printed all the same, and nothing half is left."""
        if earlier:
            (tmp_path / "result.json").write_text('{"verdict": "pass"}', encoding="utf-8")
        full = "import os\ndef fails(file): raise OSError(28, 'No space left on device')\nos.fsync = fails\n"
        ended = beside(tmp_path, full, *options_for(good), REACHABLE)
        assert 3 == ended.status, ended.output
        assert "receiver verdict: PASS: 1 check passed\n" in ended.output
        (said,) = ended.lines("our own trouble: ")
        assert said.endswith("result.json could not be written (No space left on device); what is printed here stands")
        assert {"besides.py"} == {file.name for file in tmp_path.iterdir() if file.is_file()}

    def test_standard_output(self, good: str, tmp_path: Path) -> None:
        """It can go to standard output, where it stands whole between the lines of the run."""
        ended = pytest_in(tmp_path, *options_for(good), REACHABLE, RECEIVER_JSON="/dev/stdout", written=False)
        assert 0 == ended.status, ended.output
        start = ended.output.index("{\n")
        result, _ = json.JSONDecoder().raw_decode(ended.output[start:])
        assert "pass" == result["verdict"]
        assert ended.output.index("receiver verdict: ") > start

    def test_collect_only(self, good: str, tmp_path: Path) -> None:
        """Where nothing is run, nothing is taken away."""
        (tmp_path / "result.json").write_text("{}", encoding="utf-8")
        ended = pytest_in(tmp_path, "--collect-only", *options_for(good), REACHABLE)
        assert (0, {}) == (ended.status, ended.result)


class TestSecrets:
    """Secrets in addresses and headers, in everything that a run leaves behind."""

    LOUD = ("-vv", "-rA", "--showlocals", "--log-level=DEBUG", "--junitxml=junit.xml", "--full-trace")

    @pytest.mark.parametrize("up", [True, False])
    def test_addresses(self, up: bool, good: str, tmp_path: Path) -> None:
        """Neither those of the effects nor those of the receiver show anywhere."""
        host = (good if up else unused_url()).removeprefix("http://")
        conftest = "import pytest\n@pytest.fixture(autouse=True)\ndef loud(request):\n"
        conftest += (
            "    config, url = request.config, request.config.getoption('--receiver-effects')\n    assert 0, url\n"
        )
        ended = pytest_in(
            tmp_path,
            *self.LOUD,
            f"--receiver-url={good}/commsease?access_token=t0ken-4711",
            f"--receiver-effects=http://me:pa55word@{host}/effects?provider=commsease&token=abc",
            "--receiver-settle=0.2",
            *CHECKS,
        )
        assert ended.result is not None, ended.output
        (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
        failing = pytest_in(
            tmp_path,
            *self.LOUD,
            f"--receiver-url={good}/commsease",
            f"--receiver-effects=http://me:pa55word@{host}/effects?token=abc",
            REACHABLE,
        )
        assert 8 == failing.status, failing.output
        written = [(tmp_path / name).read_text(encoding="utf-8") for name in ("result.json", "junit.xml")]
        for text in (ended.output, failing.output, *written):
            assert "pa55word" not in text
            assert "t0ken-4711" not in text
            assert "token=abc" not in text
        assert "***" in ended.output

    def test_usage_error(self, tmp_path: Path) -> None:
        """Neither do they where the address cannot be used."""
        for url in ("me:pa55word@host:80/x", "ftp://me:pa55word@host/", "http://me:pa55word@host:port/"):
            ended = pytest_in(tmp_path, f"--receiver-url={url}")
            assert (4, False) == (ended.status, "pa55word" in ended.output), ended.output
        ended = pytest_in(tmp_path, "--receiver-url=http://h/", "--receiver-effects=ftp://me:pa55word@host/")
        assert (4, False) == (ended.status, "pa55word" in ended.output), ended.output

    def test_short_header(self, good: str, tmp_path: Path) -> None:
        """A header of one character hides nothing else."""
        ended = pytest_in(tmp_path, *options_for(good), REACHABLE, "--receiver-header=X-Env:1")
        assert 0 == ended.status, ended.output
        assert f"receiver: {good}/commsease" in ended.output
        assert "***" not in ended.output + json.dumps(ended.result)


def test_hostile_reply(tmp_path: Path) -> None:
    """A reply of control characters reaches no terminal, and JUnit XML and JSON stay valid."""
    content = b"\x1b[2J\x00\x07\xff\xed\xa0\x80" + "\u202e\u2028".encode()
    with serving(lambda request: (403, "text/plain", content)) as little:
        ended = pytest_in(
            tmp_path,
            f"--receiver-url={little.url}",
            "--junitxml=junit.xml",
            "--receiver-check=*.accepts-valid",
            "--color=no",
            "-v",
        )
    assert 1 == ended.status, ended.output
    assert not {"\x1b", "\x00", "\x07", "\u202e", "\u2028"} & set(ended.output)
    assert r"\x1b[2J\x00\x07\xff\xed\xa0\x80\u202e\u2028" in ended.output
    ET.parse(tmp_path / "junit.xml")
    assert ended.result is not None
