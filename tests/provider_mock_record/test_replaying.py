"""Plans of recordings: order and pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.recording import replaying
from im_callback.provider_mock.recording.replaying import Delivery, Part, parts

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
