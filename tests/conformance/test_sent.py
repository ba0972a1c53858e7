"""What was sent, by how binding a check, and what of it nobody is to judge again."""

from __future__ import annotations

from im_callback.conformance.judge import Occurrence
from im_callback.conformance.sent import Sent
from im_callback.conformance.verdict import Level
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Judgement, Outcome, Reply, Request
from im_callback.provider_mock.history import Attempt, Shot

FEED = providers.load("commsease").feeds[0]

MUST, SHOULD, MAY = Level


def event(name: str) -> Event:
    """Return an event that is told from others by its name."""
    return Event("kind", {"name": name})


def of(name: str) -> Occurrence:
    """Return what the event of this name says happened."""
    return Occurrence("kind", (name,))


def memory() -> Sent:
    """Return an empty one."""
    return Sent(lambda *events: [of(one.payload["name"]) for one in events], lambda name: FEED, FEED)


def sent(to: Sent, binding: Level, *names: str, forged: bool = False) -> Attempt:
    """Send one request with these events, and return its attempt."""
    events = tuple(map(event, names))
    request = Request("http://127.0.0.1/", (), b"")
    shot = Shot(FEED, request, request, events, forged=forged)
    attempt = Attempt(shot, Reply(200, (), b"", 0.0), Judgement(Outcome.ACKED, "rule"), 0)
    to.leaving(events, binding, valid=shot.valid)
    to.came_back([attempt], binding)
    return attempt


class TestBinding:
    """What binds less cannot fail what binds more."""

    def test_valid(self) -> None:
        """A check looks back at what checks sent that bind as much."""
        to = memory()
        first, second, third = (sent(to, level, level.value) for level in Level)
        assert [first] == to.valid(MUST)
        assert [first, second] == to.valid(SHOULD)
        assert [first, second, third] == to.valid(MAY)
        assert {of("must")} == to.to_judge(MUST)
        assert {of("must"), of("should"), of("may")} == to.to_judge(MAY)

    def test_most_binding(self) -> None:
        """What several checks sent counts for the one that binds most."""
        to = memory()
        sent(to, MAY, "a")
        sent(to, MUST, "a")
        sent(to, SHOULD, "a")
        assert {of("a")} == to.to_judge(MUST)

    def test_forbidden(self) -> None:
        """What was also sent validly, by whomever, is not forbidden."""
        to = memory()
        for name in ("a", "b"):
            sent(to, MUST, name, forged=True)
        sent(to, SHOULD, "c", forged=True)
        sent(to, MAY, "b")
        assert {of("a")} == to.forbidden(MUST)
        assert {of("a"), of("c")} == to.forbidden(SHOULD)

    def test_refused(self) -> None:
        """Bad requests count as refused unless their effect was seen."""
        to = memory()
        one, other = (sent(to, MUST, name, forged=True) for name in ("a", "b"))
        sent(to, MUST, "c")
        late = sent(to, MAY, "d", forged=True)
        to.recorded([one])
        assert [other] == to.refused(MUST)
        assert [other, late] == to.refused(MAY)


class TestBlame:
    """What one check has blamed is not blamed again."""

    def test_blame(self) -> None:
        """Everything that a failed check has sent is left out; what was sent before is not."""
        to = memory()
        before = sent(to, MUST, "a")
        failing = to.at(to.feed)
        blamed = sent(failing, MUST, "b")
        sent(failing, MUST, "c", forged=True)
        assert [before, blamed] == to.valid(MUST)
        failing.blame()
        after = sent(to, MUST, "d")
        assert [before, after] == to.valid(MUST)
        assert [before, blamed, after] == to.valid(MUST, blamed=True)
        assert {of("a"), of("d")} == to.to_judge(MUST)
        assert set() == to.forbidden(MUST)

    def test_excuse(self) -> None:
        """What may be our own machine's doing is left out for everyone."""
        to = memory()
        kept, excused = sent(to, MUST, "a"), sent(to, MUST, "b")
        to.excuse([excused])
        assert [kept] == to.valid(MUST) == to.valid(MUST, blamed=True)
        assert [True, False] == [to.counts(kept), to.counts(excused)]
        assert {of("a")} == to.to_judge(MUST)

    def test_indistinct(self) -> None:
        """What cannot be told from others is not judged."""
        to = memory()
        sent(to, MUST, "a")
        to.indistinct |= {of("a"), of("never sent")}
        assert set() == to.to_judge(MUST)
