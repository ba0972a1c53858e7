"""A provider's server API, as its SDKs call it: which calls there are, what each does, and what it causes.

Nothing here performs I/O, reads a clock or draws a random number of its own. A call is a generator: it is handed
the request, a `Moment` and the application's `State`, yields the events about which the team's server is asked first,
gets the answers, and returns what is answered to the SDK and which events follow. Two rules:

* Between two questions a call is alone with the state; while it asks, other calls change it.
* What a call writes counts once it has returned. One that raises `ApiError` has changed nothing.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any, ParamSpec, Protocol
from urllib.parse import parse_qsl

from im_callback.provider_mock.contract.values import Credentials, Event


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request as it came; names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def form(self) -> Fields:
        """Return the fields of a form, also of one whose values were not escaped; what is not UTF-8 is replaced."""
        return Fields(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def document(self) -> Any:
        """Return the body as JSON; raises ValueError."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


class Fields:
    """The fields of a form, in their order."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = pairs

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.pairs)

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a field, or the default."""
        return next((value for known, value in self.pairs if known == name), default)

    def all(self, name: str) -> list[str]:
        """Return all values of a field that is repeated; empty ones are left out."""
        return [value for known, value in self.pairs if known == name and value]


class State(Protocol):
    """What is known of an application: JSON objects, by their kind and their id."""

    def get(self, kind: str, one: str) -> dict[str, Any] | None:
        """Return what is known of one, or None; what is changed in it counts when it is put."""
        ...

    def put(self, kind: str, one: str, value: Mapping[str, Any], *, passing: bool = False) -> None:
        """Keep what is known of one. What is passing, such as messages, is forgotten with old deliveries."""
        ...

    def drop(self, kind: str, one: str) -> None:
        """Forget one."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """When a call is made, in UTC milliseconds, and the random numbers that it may draw."""

    millis: int
    random: Random

    @property
    def seconds(self) -> int:
        """The same in UTC seconds."""
        return self.millis // 1000


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a question: the word of the decision (as in `Decision`), the payload as the answer leaves it, the answer.

    A question that was not answered, or is not asked because the feed is switched off, is allowed where its feed
    lets happen what is not decided.
    """

    word: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether it must not happen."""
        return self.word == "refuse"


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the SDK is answered, and the events that follow: each tuple is one delivery."""

    body: Mapping[str, Any]
    events: Sequence[tuple[Event, ...]] = ()
    status: int = 200


class ApiError(Exception):
    """A call that the provider refuses: what it answers."""

    def __init__(self, body: Mapping[str, Any], status: int = 200) -> None:
        super().__init__(str(body))
        self.answer = ApiAnswer(body, (), status)


@dataclass(frozen=True, slots=True)
class Caller:
    """What a call gets besides its request: the application's credentials, the moment, the state."""

    credentials: Credentials
    moment: Moment
    state: State


Steps = Generator[Sequence[Event], Sequence[Said], ApiAnswer]
Call = Callable[[ApiRequest, Caller], Steps]
_Given = ParamSpec("_Given")


def quietly(call: Callable[_Given, ApiAnswer]) -> Callable[_Given, Steps]:
    """Return the call of a function that asks nothing."""

    def steps(*args: _Given.args, **kwargs: _Given.kwargs) -> Steps:
        yield from ()
        return call(*args, **kwargs)

    return steps


class ServerApi(ABC):
    """The server API of a provider. All methods are pure."""

    @cached_property
    @abstractmethod
    def calls(self) -> Mapping[str, Call]:
        """The calls that are played, by the path under which they are listed."""

    @abstractmethod
    def owns(self, path: str) -> bool:
        """Return whether a path can only be one of this provider's, played or not."""

    def call(self, request: ApiRequest) -> Call | None:
        """Return what a request asks for, or None if that is not played."""
        return self.calls.get(request.path)

    @abstractmethod
    def app_key(self, request: ApiRequest) -> str:
        """Return the key of the application that a request names; empty where it names none."""

    @abstractmethod
    def refusal(self, request: ApiRequest, credentials: Credentials, now_millis: int) -> ApiAnswer | None:
        """Return the answer to a request that is not signed with the secret, or None. Never contains the secret."""

    @abstractmethod
    def unknown_app(self, request: ApiRequest) -> ApiAnswer:
        """Return the answer to a request that names no application of the server's."""

    @abstractmethod
    def unusable(self, problem: str) -> ApiAnswer:
        """Return the answer to a request with a value that the provider does not take."""

    @abstractmethod
    def not_played(self, request: ApiRequest) -> ApiAnswer:
        """Return the answer to a call that is not played: 404, in a form that the SDKs read."""

    @abstractmethod
    def unavailable(self, problem: str) -> ApiAnswer:
        """Return the answer while nothing can be stored."""
