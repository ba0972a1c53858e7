"""A call of Tencent's server API: the fields that it brings, what refuses it, and the events that it causes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from im_callback.provider_mock.contract import ApiError, Caller, Event, Moment, Said, State, Steps

OK: Mapping[str, Any] = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
DISCARD = 2
"""What a team answers so that the sender sees a success, and nobody the message."""
NO_BEFORE, NO_AFTER = "ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback"


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: its JSON, who makes it, and with what."""

    body: dict[str, Any]
    admin: str
    caller: Caller
    wrong: int
    """The code of this service for a field that cannot be used."""

    @property
    def state(self) -> State:
        """What is known of the application."""
        return self.caller.state

    @property
    def moment(self) -> Moment:
        """When the call is made."""
        return self.caller.moment

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; refuses the call that lacks it and has no default."""
        value = self.body.get(name)
        if value in (None, "") and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise fail(self.wrong, f"{name} is missing or no text")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """Return a whole number, likewise."""
        value = self.body.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail(self.wrong, f"{name} is missing or no whole number")
        return value

    def array(self, name: str, *, needed: bool = True) -> list[Any]:
        """Return an array, likewise."""
        value = self.body.get(name)
        if value is None and not needed:
            return []
        if not isinstance(value, list) or (needed and not value):
            raise fail(self.wrong, f"{name} is missing or no array")
        return value

    def named(self, name: str, field: str, *, needed: bool = True) -> list[str]:
        """Return a field's text of each object of an array."""
        found = [one.get(field) if isinstance(one, dict) else None for one in self.array(name, needed=needed)]
        if any(not isinstance(one, str) or not one for one in found):
            raise fail(self.wrong, f"{name} holds something without a {field}")
        return [str(one) for one in found]

    def tick(self) -> int:
        """Return a time in ms that is later than that of every event before it."""
        last: int = (self.state.get("clock", "") or {"millis": 0})["millis"]
        millis = max(self.moment.millis, last + 1)
        self.state.put("clock", "", {"millis": millis})
        return millis


Does = Callable[[Asked], Steps]


def fail(code: int, text: str) -> ApiError:
    """Return the refusal of a call, to be raised."""
    return ApiError({"ActionStatus": "FAIL", "ErrorInfo": text, "ErrorCode": code})


def event_of(kind: str, command: str, **fields: Any) -> tuple[Event, ...]:
    """Return the event of a callback, as one delivery."""
    return (Event(f"tencent.{kind}", {"CallbackCommand": command, **fields}),)


def as_members(accounts: Sequence[str]) -> list[dict[str, str]]:
    """Return accounts as callbacks list members."""
    return [{"Member_Account": one} for one in accounts]


def must_allow(said: Said, forbidden: int) -> None:
    """Refuse the call that the team's server has refused: with a code of its own, or with the provider's."""
    code = said.answer.get("ErrorCode")
    if said.refused and code != DISCARD:
        raise fail(
            code if isinstance(code, int) and code > DISCARD else forbidden, str(said.answer.get("ErrorInfo", ""))
        )
