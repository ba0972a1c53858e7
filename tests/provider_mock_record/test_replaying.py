"""Plans of recordings: order and pauses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Feed, Stamp
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.make import Maker
from im_callback.provider_mock.delivery.perform import perform
from im_callback.provider_mock.delivery.plan import plan
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.recording import replaying
from im_callback.provider_mock.recording.exchange import Exchange, to_line
from im_callback.provider_mock.recording.keeping import kept
from im_callback.provider_mock.recording.replaying import Delivery, Part, parts
from im_callback.provider_mock.recording.rewriting import Rewriting
from im_callback.provider_mock.traffic.world import tell

from tests.commands import Run
from tests.conformance.little_server import serving
from tests.plugin_provider.inbody.provider import PROVIDER as INBODY
from tests.provider_mock_record.between import SECONDS, between
from tests.receivers.good import Good
from tests.receivers.serving import serve

NAMES = ("commsease", "rongcloud", "tencent")
EACH = 6
"""Deliveries of a feed."""
ANSWER = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"pass":1,"code":200}'
Times = list[tuple[int, int]]


def planned(times: Times, speed: float | None) -> list[Part]:
    """Return the parts of a recording of requests that began and ended at these milliseconds."""
    found = [Delivery((Event("a.b", {}),), b"", began, ended) for began, ended in times]
    return list(parts(found, speed))


def starts(times: Times, speed: float | None) -> list[tuple[int, float]]:
    """Return turn and seconds of each step, of one part."""
    (part,) = planned(times, speed)
    return [(step.turn, step.at) for step in part.plan]


@pytest.mark.parametrize(
    ("expected", "times", "speed"),
    [
        ([(0, 0.0), (1, 0.5), (2, 0.0)], [(100, 200), (700, 900), (900, 950)], 1.0),
        ([(0, 0.0), (1, 0.25), (2, 0.0)], [(100, 200), (700, 900), (900, 950)], 2.0),
        ([(0, 0.0), (1, 0.0), (2, 0.0)], [(100, 200), (700, 900), (900, 950)], None),
        # What overlaps begins in the same turn, as far apart as it did.
        ([(0, 0.0), (0, 0.05), (0, 0.15), (1, 0.1)], [(100, 200), (150, 300), (250, 400), (500, 501)], 1.0),
        # Without pauses: at once only what overlapped all others.
        ([(0, 0.0), (0, 0.0), (1, 0.0), (2, 0.0)], [(100, 200), (150, 300), (250, 400), (500, 501)], None),
    ],
)
def test_turns(expected: list[tuple[int, float]], times: Times, speed: float | None) -> None:
    """The pause before a request counts from the end of those before it."""
    assert expected == starts(times, speed)


SPANS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), min_size=1, max_size=40)


@settings(derandomize=True, deadline=None)
@given(SPANS, st.sampled_from([1.0, None]))
def test_never_earlier(spans: Times, speed: float | None) -> None:
    """What followed the end of another never begins in the same turn as that, unless it is its time that says when."""
    times = sorted((began, began + length) for began, length in spans)
    (part,) = planned(times, speed)
    assert len(times) == len(part.plan)
    for one in part.plan:
        for other in part.plan:
            if times[other.index][0] >= times[one.index][1] and times[one.index][0] < times[other.index][0]:
                assert other.turn > one.turn or (speed is not None and other.at >= one.at)


def test_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long recording is sent in parts; the pause between two is kept."""
    monkeypatch.setattr(replaying, "CHUNK", 2)
    times = [(1000 * n, 1000 * n + 400) for n in range(5)]
    found = planned(times, 1.0)
    assert [2, 2, 1] == [len(part.plan) for part in found]
    assert [[0.0, 0.6], [0.6, 0.6], [0.6]] == [[step.at for step in part.plan] for part in found]
    assert [0, 1] == [step.index for step in found[1].plan]


def passed(name: str, url: str, feeds: Sequence[Feed], rewriting: Rewriting | None) -> bytes:
    """Send some of each feed's traffic, one after the other, through the recorder; return the recording."""
    provider = providers.load(name)
    told = [islice(tell(provider, Random(5), utc_millis(), 20.0, [feed]), EACH) for feed in feeds]
    events = [delivery for deliveries in zip(*told, strict=True) for delivery in deliveries]
    with between(url) as proxy:
        maker = Maker(provider, provider.defaults, proxy.url, events, lambda: "77")
        list(perform(plan(len(events)), maker, Courier(Client(SECONDS))))
        exchanges = proxy.wait_for(len(events))
    return "".join(f"{to_line(kept(one, [provider], rewriting))}\n" for one in exchanges).encode()


class TestEveryProvider:
    """A recording of any provider's traffic, replayed."""

    @pytest.mark.parametrize("name", NAMES)
    def test_effects(self, name: str, run: Run) -> None:
        """Another receiver shows the same, to the last byte."""
        first, other = Good(name), Good(name)
        with serve(first) as url:
            lines = passed(name, url, list(providers.load(name).usual_feeds)[:1], None)
        with serve(other) as url:
            ran = run("replay", "-", "--to", url, "--speed", "max", stdin=lines)
        assert (0, "") == (ran.status, ran.err)
        assert first.effects() == other.effects()
        assert first.effects()

    @pytest.mark.parametrize("name", NAMES)
    def test_every_feed(self, name: str, run: Run) -> None:
        """Requests of every feed arrive again, byte for byte but for the signature; what was recorded is valid, without people too."""
        provider = providers.load(name)
        with serving(lambda _: (200, "application/json", ANSWER)) as there:
            lines = passed(name, f"{there.url}/cb", provider.feeds, None)
            ran = run("validate", name, "--recording", "-", stdin=lines)
            assert (0, "") == (ran.status, ran.err)
            recorded = [one.body for one in there.got]
            there.got.clear()
            ran = run("replay", "-", "--to", f"{there.url}/cb", "--speed", "max", stdin=lines)
            assert "" == ran.err
            assert recorded == [one.body for one in there.got]
            scrubbed = passed(name, f"{there.url}/cb", provider.feeds, Rewriting(b"k" * 32))
        ran = run("validate", name, "--recording", "-", stdin=scrubbed)
        assert (0, "") == (ran.status, ran.err)

    def test_signature_in_the_body(self) -> None:
        """A signature that travels in the body is taken out of it, and made afresh."""
        (feed,) = INBODY.feeds
        name = feed.event_types[0].name
        events = [Event(name, dict(feed.event_types[0].examples[0]))]
        request = feed.request(events, "http://h/cb", INBODY.defaults, Stamp(1000, "1"))
        ((one,), left) = replaying.deliveries([Exchange(request, 1, replied_at=2)], INBODY)
        assert not left
        assert events == list(one.events)
        again = feed.sign(one.body, "", "http://h/cb", INBODY.defaults, Stamp(2000, "2"))
        assert feed.verify(again, INBODY.defaults, 2000) is None
        assert again.body != request.body
