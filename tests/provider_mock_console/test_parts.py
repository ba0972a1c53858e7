"""What the pages are made of: the form, the boxes of faults, curl, the streams, the last half an hour."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import MASK
from im_callback.provider_mock.delivery.ledger import Query
from im_callback.provider_mock.drawing import columns
from im_callback.provider_mock.server.app import create_app, front_of
from im_callback.provider_mock.server.console import changes, faults, form, told
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound
from im_callback.provider_mock.server.exchange import Sent
from im_callback.provider_mock.server.front import WATCHED
from im_callback.provider_mock.server.models import NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.recent import COLUMN_MILLIS, COLUMNS, Recent
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.serving import Serving

from tests.programs import needed
from tests.provider_mock.peers import answers, peer
from tests.provider_mock_server.waiting import until

SHOP = AppSettings("commsease", "http://127.0.0.1:9/cb")


def typed(fields: list[form.Field]) -> list[tuple[str, str]]:
    """Return a form as it is sent when nobody has changed anything."""
    return [(one.key, one.value) for one in fields]


class TestForm:
    """The form for an event."""

    @pytest.mark.parametrize("name", providers.names())
    def test_samples(self, name: str) -> None:
        """Every documented sample comes out of its form as it went in, in its order."""
        for event_type in providers.load(name).catalogue:
            for sample in event_type.examples:
                made = form.payload(typed(form.fields(event_type, sample)))
                assert (sample, list(sample)) == (made, list(made)), event_type.name

    def test_values(self) -> None:
        """Text is typed as it is; what could be something else is JSON, and text where it is none."""
        pairs = [("text:/a", "1"), ("json:/b", "1"), ("json:/c", '"1"'), ("json:/d", "x y"), ("json:/e", "NaN")]
        pairs += [("text:/f", '""'), ("text:/g", ""), ("json:/h/i", "[1]"), ("app", "shop"), ("json:x", "1")]
        expected: dict[str, Any] = {"a": "1", "b": 1, "c": "1", "d": "x y", "e": "NaN", "f": "", "h": {"i": [1]}}
        assert expected == form.payload(pairs)

    def test_made_up_keys(self) -> None:
        """A form that was not ours makes some payload, and no error."""
        assert {"a": {"b": "x"}} == form.payload([("json:/a", "1"), ("text:/a/b", "x")])

    def test_described(self) -> None:
        """Fields have what the schema knows: what they mean, whether they must be there, all values there are."""
        event_type = next(one for one in providers.load("commsease").catalogue if one.name == "commsease.conversation")
        found = {one.name: one for one in form.fields(event_type, event_type.examples[0])}
        assert found["convType"].required
        assert "TEAM" in found["convType"].choices
        assert "The text of a TEXT message." == found["body"].hint
        assert not found["ext"].required
        assert "" == found["ext"].value


class TestFaults:
    """Faults as boxes to tick."""

    def test_there_and_back(self, service: Service) -> None:
        """What is chosen is ticked, stands first, and is typed as before."""
        chosen = ("duplicate:times=3", "lose-ack")
        boxes = faults.boxes(service.faults(), chosen)
        assert {"duplicate", "lose-ack"} == {one.kind.name for one in boxes if one.ticked}
        assert all(one.ticked for one in boxes[:2])
        given = {f"{box.kind.name}:{one.name}": value for box in boxes for one, value in box.attributes}
        assert chosen == faults.typed(service.faults(), ["duplicate", "lose-ack"], given)

    def test_unknown(self, service: Service) -> None:
        """A fault that is not there is refused by its name."""
        assert ("nonsense",) == faults.typed(service.faults(), ["nonsense"], {})


class TestCurl:
    """Shell lines that send a request again."""

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b'{"a": "it\'s $HOME `id` \\n"}',
            "你好 -H 'x'".encode(),
            b"@/etc/passwd",
            b"\xff\x00\x1b[2J",
            b"a\nb\r\nc",
        ],
        ids=["empty", "quotes", "chinese", "file", "bytes", "lines"],
    )
    def test_same_bytes(self, body: bytes) -> None:
        """A shell sends the very bytes, whatever is in them."""
        needed("curl", "bash")
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as receiver:
            headers = (("Host", "x"), ("X-One", "it's -H two"), ("Content-Length", str(len(body))))
            line = told.curl(Sent("POST", f"{receiver.url}?a='b'&c=1", headers, body))
            assert line is not None
            assert line.isprintable() or "\n" in line
            subprocess.run([shutil.which("bash") or "bash", "-c", line], check=True, capture_output=True, timeout=60)
        head, _, got = receiver.requests[0].partition(b"\r\n\r\n")
        assert body == got
        assert b"X-One: it's -H two" in head
        assert b"?a='b'&c=1" in head

    def test_line(self) -> None:
        """A payload is copied as JSON, with what could not be seen in it escaped as JSON has it."""
        for payload in ({"a": "你好"}, {"a": "\x7f\u202e\u0085"}):
            text = told.unseen(json.dumps(payload, ensure_ascii=False))
            assert payload == json.loads(text)
            assert text.isprintable()
        assert '{"a":"你好"}' == told.unseen('{"a":"你好"}')

    def test_unknown(self) -> None:
        """What is not known any more cannot be sent, and what is masked is said."""
        assert told.curl(Sent("POST", "http://x/", (), None)) is None
        assert told.masked(Sent("POST", "http://x/", (("A", MASK),), b""))
        assert not told.masked(Sent("POST", "http://x/", (("A", "b"),), b""))


class TestChanges:
    """The streams that tell pages to look."""

    def test_change(self, service: Service) -> None:
        """A change is told, and the end of the server ends the stream."""
        stopping = threading.Event()
        stream = changes.Changes(service).stream(stopping)
        assert next(stream).startswith("retry:")
        service.apps.put("shop", SHOP)
        assert changes.CHANGED == next(stream)
        stopping.set()
        assert [] == list(stream)

    def test_too_many(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who comes when all places are taken is told once, and to come later; a place that is left is free."""
        monkeypatch.setattr(changes, "WATCHERS", 1)
        found, stopping = changes.Changes(service), threading.Event()
        first = found.stream(stopping)
        next(first)
        (late,) = found.stream(stopping)
        assert f"retry: {changes.LATER_MILLIS}" in late
        assert changes.CHANGED in late
        first.close()
        assert f"retry: {changes.AGAIN_MILLIS}\n\n" == next(found.stream(stopping))

    def test_served(self, service: Service) -> None:
        """More pages than there are places are all told, hold up nobody who asks for something else, and not the end."""
        app = create_app(service)
        serving = Serving(app, "127.0.0.1", 0, front_of(app))
        url = f"{serving.url}{WATCHED}"
        with ExitStack() as opened:
            streams = [
                opened.enter_context(requests.get(url, stream=True, timeout=60)) for _ in range(changes.WATCHERS + 4)
            ]
            lines = [next(stream.iter_lines()).decode() for stream in streams]
            assert changes.WATCHERS == lines.count(f"retry: {changes.AGAIN_MILLIS}")
            assert 4 == lines.count(f"retry: {changes.LATER_MILLIS}")
            assert 200 == requests.get(f"{serving.url}/api/v1/apps", timeout=60).status_code
            assert serving.drain(60)
        serving.close()

    def test_pulse(self, service: Service) -> None:
        """It changes with what is accepted, attempted and set, and with nothing else."""
        service.apps.put("shop", SHOP)
        before = service.pulse()
        assert before == service.pulse()
        service.set_faults("shop", ["lose-ack"])
        assert before != (after := service.pulse())
        service.intake.accept("shop", [NewEvent("login")], delay_seconds=3600)
        assert after != service.pulse()


class TestRecent:
    """The attempts of the last half an hour."""

    def test_columns(self) -> None:
        """What was added falls into the column of its time; what is old is let go."""
        totals: dict[tuple[str, str], int] = {}
        recent, now = Recent(lambda: dict(totals)), 100 * COLUMN_MILLIS
        totals[("shop", "acked")] = 3
        recent.look(now)
        totals |= {("shop", "acked"): 5, ("other", "refused"): 1}
        recent.look(now + COLUMN_MILLIS)
        recent.look(now + COLUMN_MILLIS + 1)
        found = recent.columns(now + COLUMN_MILLIS)
        assert COLUMNS == len(found)
        assert [{"acked": 3}, {"acked": 2, "refused": 1}] == [dict(one.outcomes) for one in found[-2:]]
        assert now == found[-2].since
        assert {"acked": 2} == recent.columns(now + COLUMN_MILLIS, "shop")[-1].outcomes
        recent.look(now + COLUMN_MILLIS * (COLUMNS + 5))
        assert not any(one.outcomes for one in recent.columns(now + COLUMN_MILLIS * (COLUMNS + 5)))

    def test_drawn(self) -> None:
        """The picture has a part for each kind of a column, and says in words what it shows."""
        counted = [columns.Column(0, 0), columns.Column(3, 0), columns.Column(1, 1)]
        text = columns.columns(counted, 30_000, "x", "Attempts")
        assert (2, 1) == (text.count('class="dr-bar"'), text.count('class="dr-bar-late"'))
        assert "In the last 90 s, 4 went well and 1 did not." in text
        assert "0 at most" in columns.columns([columns.Column(0, 0)], 30_000, "x", "Attempts")


class TestSamples:
    """What the service makes up and objects to before anything is accepted."""

    def test_sample(self, service: Service) -> None:
        """A sample can be accepted as it is, of every variant."""
        service.apps.put("shop", SHOP)
        sample = service.intake.sample("shop", "conversation", "TEAM/TEXT")
        assert ("TEAM", "TEXT") == (sample["convType"], sample["msgType"])
        for payload in (sample, service.intake.sample("shop", "commsease.conversation")):
            assert [] == service.intake.problems("shop", [NewEvent("conversation", payload)])

    def test_unknown(self, service: Service) -> None:
        """What is not there is named."""
        service.apps.put("shop", SHOP)
        with pytest.raises(NotFound):
            service.intake.sample("shpo", "login")
        with pytest.raises(Invalid, match="no event type"):
            service.intake.sample("shop", "lgoin")
        with pytest.raises(Invalid, match="no variant 'TEAM'"):
            service.intake.sample("shop", "conversation", "TEAM")

    def test_problems(self, service: Service) -> None:
        """They are those that accepting would raise; nothing is accepted."""
        service.apps.put("shop", SHOP)
        cases: list[tuple[NewEvent, tuple[str, ...]]] = [
            (NewEvent("login", {"eventType": "2"}), ()),
            (NewEvent("nothing"), ()),
            (NewEvent("login"), ("duplicate:times=x",)),
            (NewEvent("login"), ("tamper-body", "nonsense")),
        ]
        for event, chosen in cases:
            found = service.intake.problems("shop", [event], chosen)
            with pytest.raises((Invalid, Conflict)) as refused:
                service.intake.accept("shop", [event], faults=chosen)
            assert refused.value.problems == tuple(found)
        assert [] == service.deliveries()


class TestFound:
    """Deliveries by a text, and their last attempts."""

    def test_last_attempts(self, service: Service) -> None:
        """The last attempt of each delivery that has one."""
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as receiver:
            service.apps.put("shop", AppSettings("commsease", receiver.url))
            one, other = service.intake.accept("shop", [NewEvent("login"), NewEvent("login")]).deliveries
            (late,) = service.intake.accept("shop", [NewEvent("login")], delay_seconds=3600).deliveries
            until(lambda: set(service.last_attempts([one, other, late])), {one, other})
            service.redeliver([one])
            until(lambda: service.last_attempts([one])[one].number, 2)
        assert [1] == [attempt.number for attempt in service.last_attempts([other]).values()]
        assert {} == service.last_attempts([])

    def test_id(self, service: Service) -> None:
        """A number is an id, too."""
        service.apps.put("shop", SHOP)
        (one,) = service.intake.accept("shop", [NewEvent("login")], delay_seconds=3600).deliveries
        assert one in [found.id for found in service.deliveries(Query(text=str(one)))]
        assert [] == service.deliveries(Query(text="9" * 40))
