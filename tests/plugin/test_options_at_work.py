"""Options and fixtures in whole runs: they do what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Credentials, Request, query_pairs
from im_callback.provider_mock.delivery.clock import utc_millis

from tests.conformance.little_server import Answer, serving
from tests.plugin.processes import options_for, pytest_in

pytestmark = pytest.mark.long

OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
FIRST = "--receiver-check=*.preflight.*"
PROBE = "--receiver-check=*.acks-probe"
FIXTURE = """
import json
import urllib.request

import pytest

@pytest.fixture{scope}
def receiver_effects():
    def read():
        with urllib.request.urlopen({url!r}) as answer:
            return [{{"payload": one}} for one in json.load(answer)]
    yield read
"""


class TestFixture:
    """The fixture `receiver_effects` in a conftest.py."""

    @pytest.mark.parametrize("scope", ["", "(scope='session')"])
    def test_overridden(self, scope: str, good: str, tmp_path: Path) -> None:
        """Its function is read, at either scope, and renamed by the option."""
        conftest = FIXTURE.format(scope=scope, url=f"{good}/effects?provider=commsease")
        (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
        ended = pytest_in(
            tmp_path,
            f"--receiver-url={good}/commsease",
            "--receiver-effects-map=payload",
            FIRST,
            "--receiver-check=*.deduplication.same-request-again",
        )
        assert 0 == ended.status, ended.output
        assert {"pass"} == set(ended.verdicts.values())

    @pytest.mark.parametrize(
        ("expected", "body"),
        [
            ("the fixture receiver_effects failed: OSError('no database')", "raise OSError('no database')"),
            ("the fixture receiver_effects gives list, not a function", "return [{'accid': 'ann'}]"),
            ("receiver_effects returns failed: ZeroDivisionError('division by zero')", "return lambda: 1 / 0"),
            ("they are dict, not a list", "return dict"),
        ],
    )
    def test_broken(self, expected: str, body: str, good: str, tmp_path: Path) -> None:
        """One that does not work is neither the receiver's fault nor ours: it could not run, and says why."""
        conftest = f"import pytest\n@pytest.fixture\ndef receiver_effects():\n    {body}\n"
        (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
        ended = pytest_in(tmp_path, f"--receiver-url={good}/commsease", FIRST)
        assert 8 == ended.status, ended.output
        assert expected in " ".join(ended.output.split())
        assert ["pass", "pass", *["could-not-run"] * 3] == list(ended.verdicts.values())

    def test_hidden(self, good: str, tmp_path: Path) -> None:
        """One in a folder's conftest.py would not be seen, which is said."""
        (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n", encoding="utf-8")
        (tmp_path / "tests").mkdir()
        conftest = "import pytest\n@pytest.fixture\ndef receiver_effects():\n    return list\n"
        (tmp_path / "tests" / "conftest.py").write_text(conftest, encoding="utf-8")
        ended = pytest_in(tmp_path, f"--receiver-url={good}/commsease", FIRST)
        assert 4 == ended.status, ended.output
        assert f"move it to {tmp_path / 'conftest.py'}, or give --rootdir={tmp_path / 'tests'}" in ended.output
        given = (f"--receiver-url={good}/commsease", "--receiver-check=*.effects-answer", "--rootdir=tests")
        assert 0 == pytest_in(tmp_path, *given).status


class TestHandles:
    """--receiver-handles."""

    def test_recorded(self, good: str, tmp_path: Path) -> None:
        """Only the named types are judged, and said to be recorded."""
        ended = pytest_in(tmp_path, *options_for(good), FIRST, "--receiver-handles=commsease.login,commsease.logout")
        assert 0 == ended.status, ended.output
        assert ["records: --receiver-handles=commsease.login,commsease.logout"] == ended.lines("records: ")
        assert ended.result is not None
        assert ["commsease.login", "commsease.logout"] == ended.result["handles"]

    def test_not_recorded(self, naive: str, tmp_path: Path) -> None:
        """A named type that is not recorded fails."""
        ended = pytest_in(tmp_path, *options_for(naive), FIRST, "--receiver-handles=commsease.login,commsease.signal")
        assert 1 == ended.status, ended.output
        assert "fail" == ended.verdicts["commsease.preflight.records"]
        assert "got none for commsease.signal within 0.5 s" in ended.output


class TestLevelAndBaseline:
    """--receiver-level and --receiver-baseline."""

    def test_level(self, naive: str, tmp_path: Path) -> None:
        """A failure below the level is shown and does not fail the run."""
        wrong = "--receiver-check=*.rejects-wrong-md5-header"
        ended = pytest_in(tmp_path, *options_for(naive), FIRST, wrong, "--receiver-level=must")
        assert 0 == ended.status, ended.output
        assert "fail" == ended.verdicts["commsease.signature.rejects-wrong-md5-header"]
        assert ended.result is not None
        assert "pass" == ended.result["verdict"]
        assert "1 excused" in ended.output
        assert ended.lines(
            "below the gate (should): signature.rejects-wrong-md5-header: A digest of the body that is wrong or missing "
        )
        assert ended.lines("receiver verdict: PASS: 5 checks passed; 1 finding below the gate")

    @pytest.mark.parametrize(
        ("status", "entries", "said"),
        [
            (
                0,
                {"commsease.acknowledgement.acks-probe": "ticket 7"},
                "known failure (ticket 7): acknowledgement.acks-probe: ",
            ),
            (
                1,
                {
                    "commsease.acknowledgement.acks-probe": "ticket 7",
                    "commsease.signature.rejects-wrong-secret": "once",
                },
                "baseline: commsease.signature.rejects-wrong-secret: it passes again; take it out",
            ),
            (
                1,
                {"commsease.acknowledgement.acks-probe": "ticket 7", "commsease.acks-probe": "typo"},
                "baseline: commsease.acks-probe: no check has this id",
            ),
        ],
    )
    def test_baseline(self, status: int, entries: dict[str, str], said: str, naive: str, tmp_path: Path) -> None:
        """A known failure is tolerated and shown; an entry that is not true any more fails the run."""
        (tmp_path / "known.json").write_text(json.dumps(entries), encoding="utf-8")
        secret = "--receiver-check=*.rejects-wrong-secret"
        ended = pytest_in(tmp_path, *options_for(naive), FIRST, PROBE, secret, "--receiver-baseline=known.json")
        assert status == ended.status, ended.output
        assert said in ended.output
        assert ended.result is not None
        reasons = {check["id"]: check["reason"] for check in ended.result["checks"]}
        assert "ticket 7" == reasons["commsease.acknowledgement.acks-probe"]


class TestFolded:
    """Failures of one cause."""

    CHOSEN = (FIRST, "--receiver-check=*.same-request-again", "--receiver-check=*.deduplication.concurrent")

    @pytest.mark.parametrize("option", ["-q", "-v"])
    def test_derived(self, option: str, naive: str, tmp_path: Path) -> None:
        """They are one cause; with -v each prints its block, with the records side by side and how they came about."""
        ended = pytest_in(tmp_path, option, *options_for(naive), *self.CHOSEN)
        assert 1 == ended.status, ended.output
        first, derived = "commsease.deduplication.same-request-again", "commsease.deduplication.concurrent"
        assert ended.result is not None
        (cause,) = ended.result["causes"]
        assert [first, derived] == cause["checks"]
        assert "1. should: The same request again has no second effect (2 checks)\n" in ended.output
        for name in (first, derived):
            assert (option == "-v") is (re.search(rf"(?m)^{name}: .*\nrequirement: ", ended.output) is not None)
        assert (option == "-v") is (re.search(r"effect 1 of 2 +effect 2 of 2\n", ended.output) is not None)
        assert (option == "-v") is ("\nhow it was delivered:\n  1.    0.000 s  " in ended.output)


class TestWorld:
    """What a receiver knows of its world: --receiver-wire, --receiver-accounts, --receiver-set."""

    def sent(self, tmp_path: Path, provider: str, *given: str) -> list[Request]:
        """Return what the first checks send to a receiver that takes everything."""
        with serving(lambda request: (200, "application/json", OK)) as little:
            chosen = (FIRST, "--receiver-check=*.signature.accepts-documented")
            ended = pytest_in(
                tmp_path, f"--receiver-url={little.url}", f"--receiver-provider={provider}", *chosen, *given
            )
            assert "harness-error" not in ended.verdicts.values(), ended.output
            assert "pass" == ended.verdicts[f"{provider}.signature.accepts-documented"]
        assert little.got
        return [request for request in little.got if request.method == "POST"]

    def messages(self, sent: list[Request]) -> list[dict[str, Any]]:
        """Return the messages among what was sent from one person to another."""
        payloads = [json.loads(request.body) for request in sent]
        return [one for one in payloads if one.get("CallbackCommand") == "C2C.CallbackAfterSendMsg"]

    def test_wire(self, tmp_path: Path) -> None:
        """The whole run speaks as it is told to."""
        sent = self.sent(tmp_path, "rongcloud", "--receiver-wire=legacy-names,ascii,charset")
        for request in sent:
            assert "signTimestamp" in dict(query_pairs(request.url))
            assert ("Content-Type", "application/json;charset=utf-8") in request.headers
            assert request.body.isascii()

    def test_accounts(self, tmp_path: Path) -> None:
        """Accounts come from the file."""
        (tmp_path / "accounts.txt").write_text("\ufeffann\n\nbob\n", encoding="utf-8")
        sent = self.sent(tmp_path, "tencent", "--receiver-accounts=file:accounts.txt")
        payloads = self.messages(sent)
        assert {"ann", "bob"} == {one["From_Account"] for one in payloads} | {one["To_Account"] for one in payloads}

    def test_set(self, tmp_path: Path) -> None:
        """Every event that has the field carries the value."""
        sent = self.sent(tmp_path, "tencent", "--receiver-set=/To_Account=bot", "--receiver-set=/UnreadMsgNum=3")
        payloads = self.messages(sent)
        assert {("bot", 3)} == {(one["To_Account"], one["UnreadMsgNum"]) for one in payloads}


class TestSeed:
    """--receiver-seed."""

    def test_again(self, good: str, tmp_path: Path) -> None:
        """The seed is printed, written, and taken."""
        ended = pytest_in(tmp_path, *options_for(good), FIRST)
        (line,) = ended.lines("checks: ")
        assert ended.result is not None
        assert re.fullmatch(
            rf"checks: 5, level should, seed {ended.result['seed']}, run [0-9]{{8}}, version [0-9.a-z+]+", line
        )
        seed = ended.result["seed"]
        again = pytest_in(tmp_path, *options_for(good), FIRST, f"--receiver-seed={seed}")
        assert again.result is not None
        assert (0, seed) == (again.status, again.result["seed"])


class TestSecrets:
    """Secrets in whole runs."""

    def test_masked(self, tmp_path: Path) -> None:
        """With a secret of its own a receiver is reached; nothing that is printed or written shows it."""
        provider = providers.load("tencent")
        credentials = Credentials("1400009999", "my-own-t0ken")

        def answer(request: Request) -> Answer:
            if ("X-Gateway", "let-me-1n") not in request.headers:
                return 407, "text/plain", b""
            wrong = provider.feeds[0].verify(request, credentials, utc_millis())
            return (401 if wrong else 200), "application/json", b'{"echo": "my-own-t0ken let-me-1n"}'

        with serving(answer) as little:
            ended = pytest_in(
                tmp_path,
                "-vv",
                "-rA",
                "--showlocals",
                "--junitxml=junit.xml",
                f"--receiver-url={little.url}",
                "--receiver-provider=tencent",
                "--receiver-app-key=1400009999",
                "--receiver-check=*.preflight.reachable",
                "--receiver-check=*.accepts-valid",
                "--receiver-check=*.answer-shape",
                RECEIVER_APP_SECRET="my-own-t0ken",
                RECEIVER_HEADER="X-Gateway: let-me-1n",
            )
        assert 1 == ended.status, ended.output
        assert ["pass", "pass", "fail"] == list(ended.verdicts.values())
        assert '    {"echo": "*** ***"}' in ended.output
        assert 'SECRET="${IM_APP_SECRET:?export it first: the app secret}"' in ended.output
        for text in (
            ended.output,
            *((tmp_path / name).read_text(encoding="utf-8") for name in ("result.json", "junit.xml")),
        ):
            assert "t0ken" not in text
            assert "let-me-1n" not in text
