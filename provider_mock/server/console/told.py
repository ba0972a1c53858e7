"""A delivery as its page tells it: the timeline of its attempts, what became of it and why, a request for a shell."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from math import isfinite
from typing import Any, NamedTuple, cast, get_args

from im_callback.provider_mock.contract import MASK
from im_callback.provider_mock.delivery.engine import NOT_JUDGED, NOT_SENT
from im_callback.provider_mock.delivery.ledger import DeliveryRecord
from im_callback.provider_mock.delivery.ledger.records import ACKED, DECLINED, DROPPED, PARKED, WAITING
from im_callback.provider_mock.drawing.bars import Bar
from im_callback.provider_mock.drawing.columns import Column
from im_callback.provider_mock.drawing.timeline import Outcome, Shown, Step, Timeline
from im_callback.provider_mock.server import recent
from im_callback.provider_mock.server.exchange import Sent
from im_callback.provider_mock.server.models import AttemptView
from im_callback.provider_mock.server.scenarios import ScenarioView
from im_callback.provider_mock.visible import visible
from im_callback.schemas import jsontext

ENDS = {
    WAITING: "It is not over: the next attempt is to come.",
    ACKED: "The receiver has taken it.",
    DECLINED: "The provider takes it as received, but the receiver's own words say that it was not.",
    DROPPED: "It was given up, and is not sent again by itself.",
    PARKED: "Its retries are used up; it waits for manual synchronisation.",
}
OUTCOMES = {
    "acked": "The answer came in time and is what this provider takes as received.",
    "declined": "The answer counts as received, but what it says is an error.",
    "refused": "An answer came, and it is not what this provider takes as received.",
    "timed out": "No complete answer came before the deadline.",
    "unreachable": "The connection could not be made, or was closed without an answer.",
    NOT_SENT: "Nothing was sent: this is our own error, not the receiver's.",
    NOT_JUDGED: "An answer came that could not be judged: this is our own error, not the receiver's.",
}
_UNREPEATED = frozenset({"content-length", "host", "transfer-encoding", "connection"})
"""Headers that curl writes itself."""
_JOINED = " \\\n  "


def timeline(record: DeliveryRecord, views: Sequence[AttemptView], provider: str, deadline: float) -> Timeline:
    """Return what is drawn of a delivery's attempts; `deadline` is in seconds."""
    over = {ACKED: "due", WAITING: "plain"}.get(record.state, "wrong")
    end = Shown(f"{record.state}. {ENDS[record.state]}", cast("Any", over), head="what became of it")
    steps = tuple(_step(view, deadline) for view in views)
    return Timeline(steps, (end,) if steps else (), (provider, "receiver"), max(0, record.attempts - len(views)))


def _step(view: AttemptView, deadline: float) -> Step:
    one = view.record
    drawable = one.outcome if one.outcome in get_args(Outcome) else "unreachable"
    said = str(one.status) if one.status is not None else "no answer" if one.outcome == "timed out" else one.outcome
    wrong = "" if one.outcome == "acked" else visible(one.rule)
    return Step(
        one.sent_at, f"attempt {one.number}", cast("Outcome", drawable), said, one.seconds * 1000, deadline * 1000,
        wrong=wrong,
    )  # fmt: skip


def faults_of(record: DeliveryRecord) -> tuple[str, ...]:
    """Return the faults that a delivery was accepted with."""
    return () if record.plan is None else tuple(json.loads(record.plan)["faults"])


def moment(milliseconds: int) -> str:
    """Return a time to the second, as text."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, timezone.utc):%Y-%m-%d %H:%M:%S}"


def pretty(body: str) -> str | None:
    """Return a body that is JSON with a line for each value; None if it is none."""
    try:
        return json.dumps(jsontext.parse(body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None


def unseen(text: str) -> str:
    """Return a line of JSON to be copied: what could not be seen in it is escaped, as JSON has it."""
    return text if visible(text) == text else json.dumps(json.loads(text), separators=(",", ":"))


def text_of(body: bytes) -> str:
    """Return the bytes of a body as text, those that are none as escapes."""
    return body.decode("utf-8", "backslashreplace")


def curl(sent: Sent) -> str | None:
    """Return shell lines that send the same bytes again, to be pasted; None where these are not known any more."""
    if sent.body is None:
        return None
    headers = [f"{name}: {value}" for name, value in sent.headers if name.lower() not in _UNREPEATED]
    command = [f"curl -i -X {shlex.quote(sent.method)} {shlex.quote(sent.url)}"]
    command += [f"-H {shlex.quote(one)}" for one in headers]
    if not sent.body:
        return _JOINED.join(command)
    if _plain(sent.body):
        return _JOINED.join([*command, f"--data-binary {shlex.quote(sent.body.decode())}"])
    # What a terminal would take for a command, or could not take at all, is packed.
    packed = base64.b64encode(sent.body).decode()
    return f"echo {packed} | base64 -d | \\\n{_JOINED.join([*command, '--data-binary @-'])}"


def _plain(body: bytes) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return visible(text) == text and not text.startswith("@")


def masked(sent: Sent) -> bool:
    """Return whether something of a request is not shown, so that it cannot be sent again as it was."""
    return any(MASK in value for _, value in sent.headers) or MASK in sent.url


def bars(times: Sequence[tuple[float, int]], deadline: float) -> list[Bar]:
    """Return the times of acknowledgements as they are drawn: from the first that are there to the deadline at least."""
    found = [Bar(up_to * 1000 if isfinite(up_to) else deadline * 4000, count) for up_to, count in times]
    while found and not found[0].count and len(found) > 6:
        del found[0]
    while len(found) > 6 and not found[-1].count and found[-2].up_to >= deadline * 1000:
        del found[-1]
    return found


class Scenario(NamedTuple):
    """A scenario, and how many of its seconds are over, by the server's clock."""

    view: ScenarioView
    passed: int
    seconds: int


def scenario(view: ScenarioView, now: int) -> Scenario:
    """Return how far a scenario is at a time of the server's clock."""
    passed = 0.0
    for one in view.phases:
        if one.began_at is not None:
            passed += min(one.phase.seconds, ((one.ended_at or now) - one.began_at) / 1000)
    return Scenario(view, int(passed), max(1, round(sum(one.phase.seconds for one in view.phases))))


def columns(found: Sequence[recent.Column]) -> list[Column]:
    """Return the attempts of the last half an hour as they are drawn."""
    return [Column(one.outcomes.get("acked", 0), _others(one.outcomes)) for one in found]


def _others(outcomes: Mapping[str, int]) -> int:
    return sum(number for outcome, number in outcomes.items() if outcome != "acked")
