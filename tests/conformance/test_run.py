"""What a run sends and concludes: what it was told, what it may conclude, and when the receiver is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from im_callback.conformance import run as run_module
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import mapped
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Fixed, Settings
from im_callback.conformance.verdict import CouldNotRun, Failed, Gone, Level, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Credentials, Request
from im_callback.provider_mock.wire import Wire

from tests.conformance.little_server import Answer, serving, unused_url
from tests.conformance.running import OK, Keeper, running


def a_run(provider: str = "commsease", url: str = "", **settings: Any) -> Run:
    """Return a run that need not reach anybody."""
    chosen = providers.load(provider)
    return Run(Settings(url or unused_url(), chosen, chosen.defaults, seed=1, **settings))


class TestIdentities:
    """Runs do not touch each other."""

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_own(self, provider: str) -> None:
        """Two runs of one seed have no identity in common; what they choose at random is the same."""
        one, other = a_run(provider), a_run(provider)
        made = [{i for k in run.documented for i in run.occurrences(run.event(k))} for run in (one, other)]
        assert not made[0] & made[1]
        assert one.random.random() == other.random.random()

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_same_store(self, provider: str) -> None:
        """The same seed twice against one store comes to the same verdicts."""
        keeper = Keeper(provider)
        verdicts = []
        for _ in range(2):
            with running(keeper) as run:
                checks = [one for one in all_checks() if one.among(run.feeds)]
                chosen = [one for one in checks if one.preflight or one.family == "signature"]
                verdicts.append({one.slug: run_check(one, run).verdict for one in chosen})
        assert verdicts[0] == verdicts[1]
        assert Verdict.FAIL not in {verdicts[0][one] for one in ("rejects-wrong-secret", "no-phantoms", "records")}


class TestTold:
    """What the user says every event carries."""

    def test_fixed(self) -> None:
        """A field of one type, or of all that have it, has the value in every event, also where a check would vary it."""
        run = a_run("tencent", fixed=(Fixed(None, "/To_Account", "bot"), Fixed(None, "/nowhere", "x")))
        kind = run.subject
        for event in (run.event(), run.event(kind, values={"/To_Account": "other"})):
            assert "bot" == event.payload["To_Account"]
            assert "nowhere" not in event.payload
        assert run.is_fixed(kind, "/To_Account")
        assert not run.is_fixed(kind, "/From_Account")

    def test_of_one_type(self) -> None:
        """One that was given for a type is not in others."""
        run = a_run(fixed=(Fixed("commsease.login", "/accid", "bot"),))
        login, logout = (run.event(run.provider.catalogue[f"commsease.{name}"]) for name in ("login", "logout"))
        assert ("bot", False) == (login.payload["accid"], logout.payload["accid"] == "bot")

    def test_elements(self) -> None:
        """In a payload that reports several things every one of them has it."""
        run = a_run(fixed=(Fixed("commsease.sms-receipt", "/mobile", "100"),))
        event = run.event(run.provider.catalogue["commsease.sms-receipt"])
        assert {"100"} == {one["mobile"] for one in event.payload["objects"]}

    def test_accounts(self) -> None:
        """Accounts have the given names."""
        run = a_run("tencent", accounts=lambda n: f"user-{n}")
        payload = run.event().payload
        assert {"user-1", "user-2"} >= {payload["From_Account"]}
        assert payload["From_Account"] != payload["To_Account"]
        assert payload["To_Account"].startswith("user-")

    def test_wire(self) -> None:
        """The whole run speaks as it was told; a check's own variation comes on top."""
        run = a_run("rongcloud", wire=Wire(legacy_names=True, spaces=True))
        assert "signTimestamp=" in run.shot(run.event()).request.url
        assert run.wire(chunked=True) == Wire(legacy_names=True, spaces=True, chunked=True)
        assert "signTimestamp" == run.parameter("time").name
        body = run.raw(b"null")
        assert "signTimestamp=" in body.request.url


class TestMustAck:
    """Tests for `must_ack`."""

    def test_names_all(self) -> None:
        """Whatever was not acknowledged is named, and shown, with the receiver's own words."""
        keeper = Keeper("commsease")
        keeper.refuses = lambda request, payload: (403, "text/plain", b"who are you?")
        with running(keeper) as run:
            attempts = run.send_each(run.shot(run.event(), note=note) for note in ("one", "two", "three"))
            with pytest.raises(Failed, match=r"refused \(one\).*who are you\?.*\(and 2 more: two, three\)") as caught:
                run.must_ack(attempts, "a delivery")
        assert 3 == len(caught.value.attempts)

    @pytest.mark.parametrize(
        ("provider", "body"),
        [
            ("tencent", b'{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":"invalid callback sign"}'),
            ("commsease", b'{"code":500,"msg":"NullPointerException"}'),
            ("rongcloud", b'{"code":414,"msg":"bad sign"}'),
            ("tencent", b""),
        ],
    )
    def test_declined(self, provider: str, body: bytes) -> None:
        """What the receiver's own words decline is not accepted, and its words are quoted."""
        keeper = Keeper(provider)
        keeper.refuses = lambda request, payload: (200, "application/json", body)
        with running(keeper) as run:
            attempts = run.send(run.shot(run.event()))
            with pytest.raises(Failed) as caught:
                run.must_ack(attempts, "a delivery")
        words = [
            word for word in ("invalid callback sign", "NullPointerException", "bad sign") if word in body.decode()
        ]
        assert all(word in caught.value.actual for word in words)

    @pytest.mark.parametrize("level", [Level.MUST, Level.SHOULD])
    def test_late(self, level: Level, hanging: str) -> None:
        """What came too late is left to `within-deadline`, as far as that looks at it."""
        provider = providers.load("tencent")
        run = Run(Settings(hanging, provider, provider.defaults, seed=1))
        object.__setattr__(run.courier.client, "deadline", 0.05)
        run.binding = level
        attempts = run.send(run.shot(run.event(), note="a late one"))
        with pytest.raises(CouldNotRun if level is Level.MUST else Failed, match="a late one"):
            run.must_ack(attempts, "a delivery")


@pytest.fixture
def hanging() -> Iterator[str]:
    """Return the address of a receiver that takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


class TestMustShow:
    """Tests for `must_show` and what may be concluded."""

    def test_names_all(self) -> None:
        """Whatever is missing is named, and shown."""
        keeper = Keeper("commsease")
        with running(keeper) as run:
            Preflight(run).require(effects=True)
            keeper.keeps = lambda payload: False
            attempts = run.send_each(run.shot(run.event(), note=note) for note in ("one", "two"))
            with pytest.raises(Failed, match=r"acknowledged \(one\), but no effect of .*\(and 1 more: two\)") as caught:
                run.must_show(attempts, "a delivery")
        assert list(caught.value.attempts) == attempts

    def test_variants(self) -> None:
        """Only variants that were found to be recorded must show."""
        keeper = Keeper("commsease")
        keeper.keeps = lambda payload: payload.get("msgType") == "TEXT"
        with running(keeper) as run:
            Preflight(run).require(effects=True)
            kind = run.provider.catalogue["commsease.conversation"]
            samples = {kind.variant_of(one): one for one in kind.examples}
            text, audio = run.event(kind, samples["PERSON/TEXT"]), run.event(kind, samples["PERSON/AUDIO"])
            assert run.keeps(text)
            assert not run.keeps(audio)
            assert [text] == run.recorded([text, audio])

    def test_sight(self) -> None:
        """Effects that were not given, that show nothing, and that show."""
        keeper = Keeper("commsease")
        with running(keeper, effects=False) as run:
            assert "none" == run.sight
            run.must_not_be_blind()
        with running(keeper) as run:
            assert "blind" == run.sight
            with pytest.raises(CouldNotRun, match="nothing can be concluded"):
                run.must_not_be_blind()
            Preflight(run).require(effects=True)
            assert "clear" == run.sight
            run.must_not_be_blind()


class TestControl:
    """Tests for `control`."""

    def test_passes(self) -> None:
        """What is accepted can be compared with."""
        with running(Keeper("commsease")) as run:
            Preflight(run).require(effects=True)
            assert run.control(run.event(), "the event", "somewhere").acked

    def test_refused(self) -> None:
        """Where the control is refused nothing is said about the variation."""
        keeper = Keeper("commsease")
        with running(keeper) as run:
            Preflight(run).require(effects=True)
            keeper.refuses = lambda request, payload: (403, "text/plain", b"no more")
            with pytest.raises(CouldNotRun, match=r"the event is not accepted either .*no more"):
                run.control(run.event(), "the event", "somewhere")

    def test_dropped(self) -> None:
        """Nor where it is dropped."""
        keeper = Keeper("commsease")
        with running(keeper) as run:
            Preflight(run).require(effects=True)
            keeper.keeps = lambda payload: False
            with pytest.raises(CouldNotRun, match="leaves no effect either"):
                run.control(run.event(), "the event", "somewhere")


class TestGone:
    """A receiver that goes away is said once, and ends the run."""

    @pytest.fixture(autouse=True)
    def _no_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run_module, "GONE_SECONDS", 0.05)
        monkeypatch.setattr(run_module, "LONGEST_PAUSE", 0.01)

    def test_said_once(self) -> None:
        """The check in which it happens fails; the others could not run, for that reason; nothing more is sent."""
        with serving(lambda request: OK) as little:
            run = a_run("tencent", little.url)
            Preflight(run).require(effects=False)
        checks = {one.slug: one for one in all_checks() if one.among(run.feeds)}
        first = run_check(checks["accepts-chunked"], run)
        assert (Verdict.FAIL, "gone") == (first.verdict, first.cause)
        assert "it went away" in first.actual
        assert first.id == run.shared.gone
        count = len(run.history)
        for slug in ("still-alive", "acks-every-type", "rejects-wrong-secret"):
            result = run_check(checks[slug], run)
            assert Verdict.COULD_NOT_RUN == result.verdict
            assert result.reason.endswith(f"the receiver went away during {first.id}")
        assert count == len(run.history)

    def test_one_lost_connection(self) -> None:
        """A connection that is lost while somebody still listens is no end."""
        broken = iter([True])

        def answer(request: Request) -> Answer:
            if next(broken, False):
                raise ConnectionAbortedError
            return OK

        with serving(answer) as little:
            run = a_run("tencent", little.url)
            run._answered = True
            (attempt,) = run.send(run.shot(run.event()))
            assert attempt.status is None
            assert run.deliver(run.event()).acked

    def test_never_there(self) -> None:
        """Nobody there from the beginning is what preflight says, not an end."""
        run = a_run()
        (attempt,) = run.send(run.shot(run.event()))
        assert attempt.status is None
        assert "" == run.shared.gone

    def test_kind(self) -> None:
        """It is a failure of the receiver."""
        assert issubclass(Gone, Failed)


class TestSharedScope:
    """Accounts and fields that recur put states into one scope: a newer one replaces an older one."""

    def test_replaced(self) -> None:
        """With one account for everyone a store that keeps the newest state alone is not blamed."""
        keeper = Keeper("commsease")
        fixed = (Fixed("commsease.login", "/accid", "bob"),)
        with running(keeper, fixed=fixed) as run:
            run.read_effects = mapped(lambda: newest_logins(keeper.records), None)
            checks = [one for one in all_checks() if one.among(run.feeds) and one.family in ("payloads", "signature")]
            found = [run_check(one, run) for one in checks]
        wrong = {one.id: one.actual or one.reason for one in found if one.verdict is Verdict.FAIL}
        assert {} == {name: said for name, said in wrong.items() if "login" in said}

    def test_does_not_fit(self) -> None:
        """A value that does not fit one payload is left out there."""
        run = a_run(fixed=(Fixed("commsease.conversation", "/to", "bot"),))
        kind = run.provider.catalogue["commsease.conversation"]
        assert "bot" == run.event(kind).payload["to"]
        team = {**run.event(kind).payload, "convType": "TEAM", "to": "123"}
        assert kind.valid(run.event(kind, team).payload)


def newest_logins(records: list[Any]) -> list[Any]:
    """Return the records, of logins only the newest of each account."""
    newest: dict[str, Any] = {}
    for one in records:
        if one["eventType"] == "2":
            old = newest.get(one["accid"])
            if old is None or int(old["timestamp"]) <= int(one["timestamp"]):
                newest[one["accid"]] = one
    return [one for one in records if one["eventType"] not in ("2", "3")] + list(newest.values())


def test_words_hide_the_secret() -> None:
    """A receiver that says the secret in its answer does not get it into a failure, whole or cut off."""
    keeper = Keeper("tencent")
    secret = "an-own-and-long-secret"
    for before in (0, 70, 90, 100, 110, 120, 130, 140):
        words = ("x" * before + secret + " does not fit").encode()
        keeper.refuses = lambda request, payload, words=words: (403, "text/plain", words)
        with running(keeper, credentials=Credentials("1400000001", secret)) as run:
            attempts = run.send(run.shot(run.event()))
            with pytest.raises(Failed) as caught:
                run.must_ack(attempts, "a delivery")
        assert secret[:12] not in caught.value.actual
