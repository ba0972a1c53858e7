"""Preflight: what can be judged at all, found out first and once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from im_callback.conformance import preflight
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import EffectsError, ReadEffects
from im_callback.conformance.judge import Occurrence
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import CouldNotRun, Failed, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, LittleServer, serving, unused_url

OK = (200, "application/json", b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}')
LATER_STAGES = ("accepts_valid", "effects_answer", "effects_show_delivery", "records")


class Receiver:
    """A receiver that keeps what it takes; `refused` are the event types that it refuses."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.records: list[Any] = []
        self.status = 401

    def __call__(self, request: Request) -> Answer:
        payload = json.loads(request.body)
        if "all" in self.refused or payload["eventType"] in self.refused:
            return self.status, "text/plain", b""
        self.records.append(payload)
        return OK


@pytest.fixture
def receiver() -> Receiver:
    """Return a receiver that takes everything."""
    return Receiver()


@pytest.fixture
def server(receiver: Receiver) -> Iterator[LittleServer]:
    """Return the receiver's server."""
    with serving(receiver) as little:
        yield little


def a_run(url: str, read: ReadEffects | None = None, handles: tuple[str, ...] | None = None) -> Run:
    """Return a run against a CommsEase receiver."""
    provider = providers.load("commsease")
    return Run(Settings(url, provider, provider.defaults, seed=1, settle=0, handles=handles), read)


def codes(run: Run, *names: str) -> set[str]:
    """Return the codes of event types: those named, or all that have samples."""
    return {one.code for one in run.documented if not names or one.name in names}


class TestReachable:
    """Tests for `reachable`."""

    def test_nobody(self) -> None:
        """Nobody listening is a failure that names the address; everything later could not run."""
        url = unused_url()
        run = a_run(url, list)
        with pytest.raises(Failed) as caught:
            Preflight(run).reachable()
        assert f"an HTTP answer from {url}" == caught.value.expected
        assert "unreachable" in caught.value.actual
        assert 1 == len(caught.value.attempts)
        for stage in LATER_STAGES:
            with pytest.raises(CouldNotRun, match=r"preflight\.reachable failed: "):
                getattr(Preflight(run), stage)()
        assert 1 == len(run.history)

    def test_any_answer(self, server: LittleServer, receiver: Receiver) -> None:
        """Any answer will do, and one event of each variant of each type is sent, once."""
        receiver.refused.add("all")
        receiver.status = 500
        run = a_run(server.url)
        Preflight(run).reachable()
        Preflight(run).reachable()
        assert codes(run) == {json.loads(request.body)["eventType"] for request in server.got}
        assert sum(len(one.variants) or 1 for one in run.documented) == len(server.got)


class TestAcceptsValid:
    """Tests for `accepts_valid`."""

    def test_refuses_everything(self, server: LittleServer, receiver: Receiver) -> None:
        """A receiver that refuses everything fails here, with the options to look at."""
        receiver.refused.add("all")
        run = a_run(server.url, lambda: receiver.records)
        with pytest.raises(Failed, match="signed with another secret gets the same answer") as caught:
            Preflight(run).accepts_valid()
        assert "--receiver-provider, --receiver-app-key and --receiver-app-secret" in caught.value.fix
        assert "status 401" in caught.value.actual
        with pytest.raises(CouldNotRun, match=r"preflight\.accepts-valid failed"):
            Preflight(run).require(effects=False)
        with pytest.raises(CouldNotRun):
            Preflight(run).effects_answer()

    def test_one_is_enough(self, server: LittleServer, receiver: Receiver) -> None:
        """One type that is taken shows that deliveries can be accepted."""
        run = a_run(server.url)
        receiver.refused |= codes(run) - codes(run, "commsease.login")
        Preflight(run).accepts_valid()
        Preflight(run).require(effects=False)


class TestEffectsAnswer:
    """Tests for `effects_answer`."""

    def test_none_given(self, server: LittleServer) -> None:
        """Without effects it could not run, and says how to give them."""
        with pytest.raises(CouldNotRun) as caught:
            Preflight(a_run(server.url)).effects_answer()
        assert ("no effects given", True) == (caught.value.reason, "--receiver-effects=" in caught.value.fix)

    def test_unreadable(self, server: LittleServer) -> None:
        """The reason and the way out of a source that cannot be read are passed on."""

        def read() -> list[Any]:
            raise EffectsError("status 500", "mend it")

        run = a_run(server.url, read)
        with pytest.raises(CouldNotRun) as caught:
            Preflight(run).effects_answer()
        assert ("the effects could not be read: status 500", "mend it") == (caught.value.reason, caught.value.fix)
        with pytest.raises(CouldNotRun, match="status 500"):
            Preflight(run).require(effects=True)
        # Without effects the rest can still be judged.
        Preflight(run).require(effects=False)

    def test_slow(self, server: LittleServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Effects that take too long fail."""
        monkeypatch.setattr(preflight, "EFFECTS_DEADLINE", -1.0)
        with pytest.raises(Failed, match="they took"):
            Preflight(a_run(server.url, list)).effects_answer()


class TestEffectsShowDelivery:
    """Tests for `effects_show_delivery`."""

    def test_discovered(self, server: LittleServer, receiver: Receiver) -> None:
        """The types whose samples show are noted as recorded."""
        kept = {"2", "42"}
        run = a_run(server.url, lambda: [one for one in receiver.records if one["eventType"] in kept])
        Preflight(run).require(effects=True)
        assert ["commsease.login", "commsease.heartbeat"] == [one.name for one in run.handled]

    @pytest.mark.parametrize(
        ("expected", "records"),
        [
            ("the effects are empty", []),
            ("turns up among 1 record; the last record has the fields who, 7", [{"who": "ann", 7: 7}]),
        ],
    )
    def test_nothing_shows(self, expected: str, records: list[Any], server: LittleServer) -> None:
        """Where no sample shows, the failure says what was there instead."""
        run = a_run(server.url, lambda: records)
        with pytest.raises(Failed) as caught:
            Preflight(run).effects_show_delivery()
        assert caught.value.actual.endswith(expected)
        assert () == run.handled

    def test_unacknowledged(self, server: LittleServer, receiver: Receiver) -> None:
        """A type that was refused is not counted as recorded, even if it shows."""
        receiver.refused.add("2")
        run = a_run(server.url, lambda: [json.loads(request.body) for request in server.got])
        Preflight(run).effects_show_delivery()
        assert "commsease.login" not in [one.name for one in run.handled]
        assert "commsease.logout" in [one.name for one in run.handled]

    def test_ambiguous(self, server: LittleServer) -> None:
        """Records that could stand for several samples leave it undecided, for whoever asks."""
        times: list[dict[str, Any]] = []
        run = a_run(server.url, lambda: times)
        Preflight(run).accepts_valid()
        # The same time for two types with the same fields.
        for name in ("commsease.login", "commsease.logout"):
            run.deliver(run.event(run.provider.catalogue[name], values={"/timestamp": "5"}))
        first = run.found.attempts  # to make the samples themselves indistinct
        del first[:]
        first += list(run.history)[-2:]
        times.append({"timestamp": "5"})
        for _ in range(2):
            with pytest.raises(CouldNotRun, match="fields timestamp fits several events"):
                Preflight(run).effects_show_delivery()
        with pytest.raises(CouldNotRun, match="fits several events"):
            Preflight(run).require(effects=True)

    def test_broke_off(self, server: LittleServer) -> None:
        """A stage that broke off through our own error has not ended well for the next one who asks."""

        def read() -> list[Any]:
            raise RuntimeError("ours")

        run = a_run(server.url, read)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                Preflight(run).effects_answer()
            with pytest.raises(RuntimeError):
                Preflight(run).require(effects=True)


class TestRecords:
    """Tests for `records` and --receiver-handles."""

    def test_handled(self, server: LittleServer, receiver: Receiver) -> None:
        """Only the named types are judged."""
        run = a_run(server.url, lambda: receiver.records, ("commsease.login",))
        Preflight(run).records()
        assert ["commsease.login"] == [one.name for one in run.handled]

    def test_missing(self, server: LittleServer, receiver: Receiver) -> None:
        """A named type that is not recorded fails, and is named; its delivery is shown."""
        names = ("commsease.login", "commsease.signal")
        run = a_run(server.url, lambda: [one for one in receiver.records if one["eventType"] == "2"], names)
        with pytest.raises(Failed, match=r"none for commsease\.signal") as caught:
            Preflight(run).records()
        assert {"commsease.signal"} == {a.shot.events[0].type for a in caught.value.attempts}

    def test_refused(self, server: LittleServer, receiver: Receiver) -> None:
        """A named type that was refused is missing as well."""
        receiver.refused.add("2")
        run = a_run(server.url, lambda: receiver.records, ("commsease.login", "commsease.logout"))
        with pytest.raises(Failed, match=r"none for commsease\.login"):
            Preflight(run).records()


class Slow(Receiver):
    """Shows what it took later, by event type; its clock passes when somebody waits."""

    def __init__(self, **after: float) -> None:
        super().__init__()
        self.now, self.after = 0.0, after
        self.refused |= codes(a_run("http://127.0.0.1/")) - codes(a_run("http://127.0.0.1/"), *map(full, after))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def shown(self) -> list[Any]:
        run = a_run("http://127.0.0.1/")
        at = {run.provider.catalogue[full(name)].code: seconds for name, seconds in self.after.items()}
        return [one for one in self.records if at[one["eventType"]] <= self.now]

    def run(self, url: str, settle: float = 20, handles: tuple[str, ...] | None = None) -> Run:
        run = a_run(url, self.shown, handles)
        run.settings = replace(run.settings, settle=settle)
        run.shared.now, run.shared.pause = lambda: self.now, self.sleep
        return run


def full(name: str) -> str:
    """Return the name of a CommsEase event type."""
    return f"commsease.{name.replace('_', '-')}"


class TestWaiting:
    """How long preflight waits: for what is due, not for what never comes."""

    @pytest.mark.parametrize(
        ("after", "found", "seconds", "handles"),
        [
            # At once, and the other never: no longer than a moment.
            ({"login": 0, "sms_receipt": 99}, {"login"}, (1.5, 2), None),
            # The slower the receiver is, the longer.
            ({"login": 0.1, "sms_receipt": 1.2, "sms_uplink": 99}, {"login", "sms_receipt"}, (6, 9), None),
            ({"login": 3, "sms_receipt": 14, "sms_uplink": 99}, {"login", "sms_receipt"}, (20, 21), None),
            # What the user says is recorded is waited for as long as may be.
            (
                {"login": 0, "sms_receipt": 19},
                {"login", "sms_receipt"},
                (19, 20),
                ("commsease.login", "commsease.sms-receipt"),
            ),
            ({"login": 0, "sms_receipt": 99}, {"login"}, (20, 21), ("commsease.login", "commsease.sms-receipt")),
            # All there: not a moment.
            ({"login": 0, "sms_receipt": 0}, {"login", "sms_receipt"}, (0, 0), None),
        ],
    )
    def test_table(
        self,
        after: dict[str, float],
        found: set[str],
        seconds: tuple[float, float],
        handles: tuple[str, ...] | None,
    ) -> None:
        """Which types are found, and in how many seconds."""
        receiver = Slow(**after)
        with serving(receiver) as server:
            run = receiver.run(server.url, handles=handles)
            Preflight(run).effects_show_delivery()
        assert set(map(full, found)) == set(run.models)
        assert seconds[0] <= receiver.now <= seconds[1]

    @pytest.mark.parametrize(("there", "seconds"), [(3, (3, 3.5)), (99, (20, 20.5))])
    def test_no_store_yet(self, there: float, seconds: tuple[float, float]) -> None:
        """A store that the first delivery makes is waited for as effects are, and no longer."""
        receiver = Slow(login=0)

        def read() -> list[Any]:
            if receiver.now < there:
                raise EffectsError("there is no file", "Is it right?")
            return receiver.records

        with serving(receiver) as server:
            run = receiver.run(server.url)
            run.read_effects = read
            if there < 20:
                Preflight(run).effects_answer()
            else:
                with pytest.raises(CouldNotRun, match="there is no file"):
                    Preflight(run).effects_answer()
        assert seconds[0] <= receiver.now <= seconds[1]

    def test_another_feed(self) -> None:
        """How slow the receiver is, is known from another feed: one of which nothing shows is not waited for longer."""
        receiver = Slow(login=0.4)
        with serving(receiver) as server:
            run = receiver.run(server.url)
            Preflight(run).effects_show_delivery()
            found = receiver.now
            enough = Preflight(run.at(run.provider.feed("rtc")))._enough({Occurrence("commsease.login", ("nobody",))})
            run.settle(enough)
        assert 0.4 <= found <= 0.7
        assert 5 * 0.4 <= receiver.now - found <= 5 * 0.7 + 0.5

    def test_late(self) -> None:
        """What shows after all is said, with the option to give: it was not judged."""
        receiver = Slow(login=0, sms_receipt=7)
        with serving(receiver) as server:
            run = receiver.run(server.url)
            lost = next(one for one in all_checks() if one.slug == "nothing-acked-is-lost")
            first = run_check(lost, run)
            receiver.now = 7
            second = run_check(lost, run)
        assert (Verdict.PASS, Verdict.COULD_NOT_RUN) == (first.verdict, second.verdict)
        assert "commsease.sms-receipt showed later" in second.reason
        assert second.fix.endswith("--receiver-handles=commsease.login,commsease.sms-receipt")
