"""Drives a running server from tests: applications, events, and whether deliveries came about."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import requests

PATIENCE = 60.0
"""Seconds that an answer can take."""
LONGEST_WAIT = 30.0
"""Seconds that the server waits in one call."""
_PAUSE = 0.2
_MOST = 1000
"""What a page has at most."""


class Refused(ValueError):
    """The server does not do what it was asked; the message says why, and what to do.

    `answer` is the problem as in its API, or None where what answers is no such server.
    """

    def __init__(self, status: int, detail: str, answer: Mapping[str, Any] | None = None) -> None:
        self.status = status
        self.answer = answer
        super().__init__(detail)


class NotVerified(AssertionError):
    """Deliveries did not come about as expected. `answer` is the server's, as in its API."""

    def __init__(self, expected: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> None:
        self.answer = answer
        super().__init__("\n".join(_told(expected, answer)))


def pages(get: Callable[..., Any], path: str, limit: int | None = None, **parameters: Any) -> Iterator[Any]:
    """Yield the items of a list, page by page, or as many as the limit says; `get` returns what is at a path."""
    while limit is None or limit > 0:
        page = get(path, limit=_MOST if limit is None else min(limit, _MOST), **parameters)
        yield from page["items"]
        limit = None if limit is None else limit - len(page["items"])
        if page["next"] is None:
            return
        parameters["cursor"] = page["next"]


class MockServer:
    """The server at `url`, with its token if it has one.

    Every method raises `Refused` for what the server refuses, and `requests.RequestException` if it cannot be reached.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        # Neither a proxy nor credentials of the environment.
        self._session.trust_env = False
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def ask(self, method: str, path: str, body: Any = None, **parameters: Any) -> Any:
        """Return the answer to a request below `/api/v1`: a JSON value, None where there is none."""
        response = self._session.request(
            method, f"{self.url}/api/v1{path}", json=body, params=parameters, timeout=PATIENCE, allow_redirects=False
        )
        status = response.status_code
        if status == 204:
            return None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if 200 <= status < 300 and answer is not None:
            return answer
        if isinstance(answer, dict) and "detail" in answer:
            raise Refused(status, answer["detail"], answer)
        raise Refused(status, f"what answers at {self.url} is no server of provider-mock (status {status})")

    def app(self, name: str) -> MockApp:
        """Return the app of this name, which is there already."""
        return MockApp(self, name, self.ask("GET", f"/apps/{name}")["provider"])

    def add_app(self, provider: str, endpoint: str, *, name: str | None = None, **settings: Any) -> MockApp:
        """Return a new app, or this in the place of the one of its name; without a name one is made up.

        `settings` are those of the API, such as `endpoints`, `app_secret`, `policy` and `faults`.
        """
        name = name or f"test-{uuid.uuid4().hex}"
        self.ask("PUT", f"/apps/{name}", {"provider": provider, "endpoint": endpoint, **settings})
        return MockApp(self, name, provider)

    def advance(self, seconds: float) -> None:
        """Move the server's clock forward; what becomes due by that is sent."""
        self.ask("POST", "/clock/advance", {"seconds": seconds})

    def verify(
        self,
        *expected: Mapping[str, Any],
        in_order: bool = False,
        within_seconds: float = 10.0,
        since: int | None = None,
    ) -> list[list[int]]:
        """Return the ids of the deliveries that match each expectation, as soon as all of them hold.

        Expectations are those of the API. Raises NotVerified if they do not hold within the seconds.
        """
        body = {"expect": list(expected), "in_order": in_order} | ({} if since is None else {"since": since})
        deadline = time.monotonic() + within_seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                answer = self.ask("POST", "/verify", {**body, "within_seconds": min(left, LONGEST_WAIT)})
            except Refused as error:
                # Too many wait for the server; without waiting it always answers.
                if error.status != 503 or not left:
                    raise
                time.sleep(min(_PAUSE, left))
                continue
            if answer["holds"]:
                return [one["deliveries"] for one in answer["found"]]
            if time.monotonic() >= deadline:
                raise NotVerified(expected, answer)


class MockApp:
    """An app of a server. Event types can be given without the provider's name in front."""

    def __init__(self, server: MockServer, name: str, provider: str) -> None:
        self.server, self.name, self.provider = server, name, provider
        self._path = f"/apps/{name}"

    def send(
        self,
        event_type: str,
        payload: Any = None,
        *,
        faults: Sequence[str] = (),
        seed: int | None = None,
        delay_seconds: float = 0.0,
    ) -> int:
        """Have an event delivered, and return the delivery's id; without a payload one is made up."""
        event = {"type": self._full(event_type)} | ({} if payload is None else {"payload": payload})
        body: dict[str, Any] = {"events": [event], "faults": list(faults), "delay_seconds": delay_seconds}
        if seed is not None:
            body["seed"] = seed
        return int(self.server.ask("POST", f"{self._path}/events", body)["deliveries"][0])

    def verify(
        self,
        event_type: str | None = None,
        *,
        state: str | None = "acked",
        within_seconds: float = 10.0,
        **expected: Any,
    ) -> list[int]:
        """Return the ids of this app's deliveries that match, as soon as there are enough.

        They have to be acknowledged unless another `state` is given (None: any). `expected` is as in the API: `variant`,
        `fields`, `outcome`, `at_least`, `at_most`, `exactly`. Raises NotVerified.
        """
        return self.server.verify(self.expectation(event_type, state=state, **expected), within_seconds=within_seconds)[
            0
        ]

    def verify_order(self, *event_types: str, within_seconds: float = 10.0) -> None:
        """Return when a delivery of each type was acknowledged, sent in this order. Raises NotVerified."""
        expected = [self.expectation(one, state="acked") for one in event_types]
        self.server.verify(*expected, in_order=True, within_seconds=within_seconds)

    def expectation(self, event_type: str | None = None, **expected: Any) -> dict[str, Any]:
        """Return an expectation of this app's deliveries, for `MockServer.verify`."""
        full = None if event_type is None else self._full(event_type)
        found = {"app": self.name, "event_type": full, **expected}
        return {name: value for name, value in found.items() if value is not None}

    def deliveries(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield its deliveries, the newest first; filters are those of the API, such as `state`."""
        yield from pages(partial(self.server.ask, "GET"), "/deliveries", app=self.name, **filters)

    def attempts(self, delivery_id: int) -> list[dict[str, Any]]:
        """Return the first thousand attempts of a delivery, each with what was sent and answered."""
        return list(self.server.ask("GET", f"/deliveries/{delivery_id}/attempts", limit=_MOST)["items"])

    def set_faults(self, *faults: str) -> None:
        """Disturb what is accepted from now on; without faults, nothing any more."""
        self.server.ask("PUT", f"{self._path}/faults", {"faults": list(faults)})

    def reset(self) -> None:
        """Delete its deliveries, with what waits and what is parked."""
        self.server.ask("POST", f"{self._path}/reset")

    def remove(self) -> None:
        """Remove it; its deliveries stay on record."""
        self.server.ask("DELETE", self._path)

    def _full(self, event_type: str) -> str:
        return event_type if event_type.startswith(f"{self.provider}.") else f"{self.provider}.{event_type}"


def _told(expected: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> Iterator[str]:
    for one, found in zip(expected, answer["found"], strict=True):
        if found["problem"] is None:
            continue
        yield f"{found['problem']}: {_json(one)}"
        for near in found["near"]:
            yield f"  delivery {near['delivery']} differs:"
            for each in near["differences"]:
                is_there = f"is {_json(each['found'])}" if "found" in each else "is missing"
                yield f"    {each['field']} {is_there}, not {_json(each['wanted'])}"
        if not found["count"] and not found["near"]:
            yield "  the app has no deliveries"
    if answer["order"] is not None:
        yield answer["order"]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
