"""The append-only record of what was sent and what came of it.

Every verdict and report is read off a `History`; nothing in it is changed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from im_callback.provider_mock.answer import QUOTED, quoted
from im_callback.provider_mock.contract import (
    TAKEN,
    Credentials,
    Event,
    Feed,
    Judgement,
    NoReply,
    Outcome,
    Reply,
    Request,
    Stamp,
)

Expected = Literal["acknowledgement", "refusal", "answer", "nothing"]


@dataclass(frozen=True, slots=True)
class Shot:
    """A request of a feed that is ready to leave, and how it came to be.

    `signed` is the request as it was signed; `request` differs from it where a disturbance
    changed it afterwards. A `forged` request must be refused: the provider never signed it, or not
    now. A `broken` one is signed, but its body is none that the provider sends. The events of
    both must leave no effect.
    """

    feed: Feed
    request: Request
    signed: Request
    events: tuple[Event, ...] = ()
    credentials: Credentials | None = None
    stamp: Stamp | None = None
    forged: bool = False
    broken: bool = False
    note: str = ""

    @property
    def valid(self) -> bool:
        """Whether the provider itself could have sent it."""
        return not (self.forged or self.broken)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request with its outcome. `sent_at` is in UTC milliseconds."""

    shot: Shot
    reply: Reply | NoReply
    judgement: Judgement
    sent_at: int

    @property
    def outcome(self) -> Outcome:
        """What the attempt came to."""
        return self.judgement.outcome

    @property
    def acked(self) -> bool:
        """Whether the provider takes the delivery as received, and the reply says nothing else."""
        return self.judgement.outcome is Outcome.ACKED

    @property
    def taken(self) -> bool:
        """Whether the provider takes the delivery as received, whatever the reply's own words are."""
        return self.judgement.outcome in TAKEN

    @property
    def expected(self) -> Expected:
        """What the receiver owes for it: some answer at least where the request is none that the provider sends."""
        return "refusal" if self.shot.forged else "answer" if self.shot.broken else "acknowledgement"

    @property
    def as_expected(self) -> bool:
        """Whether the receiver did what it owes."""
        match self.expected:
            case "acknowledgement":
                return self.acked
            case "refusal":
                return self.outcome in (Outcome.REFUSED, Outcome.DECLINED)
            case "answer":
                return self.outcome in (Outcome.ACKED, Outcome.DECLINED, Outcome.REFUSED)
            case _:
                return True

    @property
    def status(self) -> int | None:
        """The HTTP status, or None without an answer."""
        return self.reply.status if isinstance(self.reply, Reply) else None

    @property
    def words(self) -> str:
        """What the receiver said, in one line: its status and the beginning of the body; empty without an answer."""
        if not isinstance(self.reply, Reply):
            return ""
        status = str(self.reply.status)
        return f"{status} {quoted(self.reply.body, self.reply.headers, QUOTED - len(status) - 1)}".rstrip()


@dataclass(slots=True)
class History:
    """The attempts of a run, in the order in which their outcomes became known."""

    _attempts: list[Attempt] = field(default_factory=list)

    def append(self, attempt: Attempt) -> None:
        """Add one attempt."""
        self._attempts.append(attempt)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts)

    def __len__(self) -> int:
        return len(self._attempts)

    def since(self, mark: int) -> list[Attempt]:
        """Return the attempts after the first `mark` ones."""
        return self._attempts[mark:]
