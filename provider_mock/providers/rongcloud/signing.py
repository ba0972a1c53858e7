"""What RongCloud's feeds share: sha1(AppSecret + nonce + timestamp), which does not cover the body; 200 within 5 s.

The formula is from "Server Callback Signature". The rules for answers and retries stand, in the same
words, on the pages of attributes, chat room status, online status, profiles and groups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Feed,
    Level,
    Outcome,
    Parameter,
    Request,
    RetryPolicy,
    Stamp,
    octets,
    query_pairs,
    same,
    with_query,
)
from im_callback.provider_mock.wire import LEGACY_NAMES, NamedWire, Wire

LEGACY_TIME = "signTimestamp"
SIGNATURE = "RongCloud, Server Callback Signature"
POLICIES: Mapping[str, RetryPolicy] = {
    "documented": RetryPolicy(
        "two more attempts on a time-out (spacing not documented: at once here), then dropped; "
        "after network trouble again in 5 minutes; a refusal is not sent again (not documented); "
        "many time-outs pause everything for a minute (how many is not documented: 20 in a row here)",
        retries={Outcome.TIMED_OUT: 2, Outcome.UNREACHABLE: 2},
        spacing={Outcome.UNREACHABLE: 300.0},
        pause_after=20,
        pause_seconds=60.0,
    ),
}
LEVELS: Mapping[str, Level] = {"application": "should", "freshness": "may"}
INFERRED: Mapping[str, Level] = {**LEVELS, "order": "may"}
"""Where the page names no order, and it is inferred from a time."""


def sources(
    page: str, *, method: str = "Callback Method", body: str = "Callback Body Parameters", rules: str | None = None
) -> Mapping[str, str]:
    """Return where the rules of a feed come from: its page, and the page with the rules where it has none itself."""
    parameters = f"RongCloud, {page}: {body}"
    answers = parameters if rules is None else rules
    return {
        "transport": f"RongCloud, {page}: {method}",
        "signature": SIGNATURE,
        "application": SIGNATURE,
        "freshness": SIGNATURE,
        "ack": answers,
        "answer": answers,
        "deadline": answers,
        "retry": answers,
        "duplicates": answers,
        "order": parameters,
        "payload": parameters,
    }


COMMON = "RongCloud, Chatroom Attribute Synchronization (KV): Body Parameters (the rule of RongCloud's callbacks)"
"""Where the rules for answers stand; pages without them do not say others."""


class QuerySigned(Feed):
    """A feed whose requests are signed in the query: sha1(AppSecret + nonce + timestamp)."""

    deadline = 5.0
    ack_rule = "RongCloud takes 200 as received"
    parameters = (
        Parameter("appKey", "query", "key"),
        Parameter("timestamp", "query", "time"),
        Parameter("nonce", "query", "nonce"),
        Parameter("signature", "query", "signature"),
    )
    covers = frozenset({"time", "nonce"})
    policies = POLICIES
    levels = INFERRED

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body, with the parameters (the time in ms) where they travel.

        One that travels in the body is left as it stands there.
        """
        del code
        time = str(stamp.millis)
        values = {
            "key": credentials.app_key,
            "time": time,
            "nonce": stamp.nonce,
            "signature": signature(credentials.app_secret or "", stamp.nonce, time),
        }
        spoken = self.parameters_in(wire)
        signed = [(p.name, values[p.role]) for p in spoken if p.place == "query"]
        headers = [(wire.header(p.name), values[p.role]) for p in spoken if p.place == "header"]
        url = with_query(endpoint, query_pairs(endpoint) + signed)
        return Request(url, (*self.content_type_header(wire), *headers), body, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the parameters, or None; the documents set no limit to the timestamp's age."""
        del now_millis
        found = self.once(request)
        if isinstance(found, str):
            return found
        given = {p.role: found[p.name] for p in self.parameters}
        if not same(given["signature"], signature(credentials.app_secret or "", given["nonce"], given["time"])):
            return "the signature is not sha1(AppSecret + nonce + timestamp)"
        return self.other_app(given["key"], credentials)

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of timestamp, nonce and signature."""
        return {
            "T": "${NOW}000",
            self.parameter("time").name: "$T",
            self.parameter("nonce").name: "$T",
            self.parameter("signature").name: "$(printf %s \"$SECRET$T$T\" | sha1sum | cut -d' ' -f1)",
        }


class OlderNamed(QuerySigned):
    """A feed that there was until 2021, when the time was called `signTimestamp`."""

    documented_wires: ClassVar[Mapping[str, NamedWire]] = {"legacy-names": LEGACY_NAMES}

    def parameters_in(self, wire: Wire) -> tuple[Parameter, ...]:
        """Return the parameters; with `wire.legacy_names` the time is called `signTimestamp`."""
        if not wire.legacy_names:
            return self.parameters
        return tuple(replace(p, name=LEGACY_TIME) if p.role == "time" else p for p in self.parameters)


def signature(app_secret: str, nonce: str, timestamp: str) -> str:
    """Return sha1(AppSecret + nonce + timestamp) in lower-case hex."""
    return hashlib.sha1(octets(app_secret + nonce + timestamp), usedforsecurity=False).hexdigest()
