"""Acme's event hooks: signed headers over id, time and body, any 2xx within 15 s, retries for half an hour.

Rules without a note are from the Standard Webhooks specification, 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from im_callback.provider_mock.contract import (
    DOCUMENTED,
    Credentials,
    Feed,
    Level,
    NextAttempt,
    Outcome,
    Parameter,
    Reply,
    Request,
    RetryPolicy,
    Stamp,
    Tried,
    octets,
    same,
)
from im_callback.provider_mock.wire import Wire

SCHEDULE = (5.0, 300.0, 1800.0)
"""Seconds before the second, third and fourth attempt."""
FAILED = (Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.UNREACHABLE)
GONE = 410
BUSY = frozenset({429, 502, 503, 504})
PREFIX = "whsec_"
VERSION = "v1,"
SPEC = "Standard Webhooks 1.0.0"

_SECONDS = re.compile(r"[0-9]{1,12}")


class Events(Feed):
    """What happens among Acme's users."""

    name = "events"
    title = "Event hooks"
    deadline = 15.0
    acks = frozenset(range(200, 300))
    ack_rule = "Acme takes any 2xx as received"
    parameters = (
        Parameter("webhook-id", "header", "id"),
        Parameter("webhook-timestamp", "header", "time", unit="s"),
        Parameter("webhook-signature", "header", "signature", separator=" "),
    )
    covers = frozenset({"id", "time", "body"})
    freshness = 300.0
    unknown_type: Mapping[str, Any] = {"type": "not.yet.documented"}
    policies: Mapping[str, RetryPolicy] = {
        "documented": RetryPolicy(
            "three more attempts, after 5 s, 5 minutes and 30 minutes, then dropped; Retry-After of 429, 502, 503 and "
            "504 is waited for; 410 drops at once",
            retries=dict.fromkeys(FAILED, len(SCHEDULE)),
            spacing=dict.fromkeys(FAILED, SCHEDULE),
        ),
    }
    sources: Mapping[str, str] = {
        "transport": f"{SPEC}: Webhook headers",
        "signature": f"{SPEC}: Signature scheme",
        "freshness": f"{SPEC}: Verifying signatures",
        "ack": f"{SPEC}: Delivery success and failure",
        "answer": f"{SPEC}: Delivery success and failure",
        "deadline": f"{SPEC}: Request timeouts",
        "retry": f"{SPEC}: Deliverability and reliability",
        "duplicates": f"{SPEC}: Verifying signatures",
        "payload": f"{SPEC}: Payload structure",
        "order": "Acme, Event hooks: version and sequence",
    }
    levels: Mapping[str, Level] = {"freshness": "should"}

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the POST of a body with the three headers; the id is the same for all attempts of a delivery."""
        del code
        identity, time = f"msg_{stamp.delivery}", str(stamp.millis // 1000)
        secrets = (credentials.app_secret or "", *credentials.earlier)
        signatures = " ".join(signature(secret, identity, time, body) for secret in secrets)
        headers = self.headers(wire, (identity, time, signatures))
        return Request(endpoint, headers, body, chunked=wire.chunked)

    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with the headers, or None; one signature that fits is enough."""
        found = self.once(request)
        if isinstance(found, str):
            return found
        identity, time = found["webhook-id"], found["webhook-timestamp"]
        due = [
            signature(secret, identity, time, request.body)
            for secret in (credentials.app_secret or "", *credentials.earlier)
        ]
        if not any(same(given, one) for given in found["webhook-signature"].split(" ") for one in due):
            return "no signature is the HMAC-SHA256 of id.timestamp.body"
        if not _SECONDS.fullmatch(time) or abs(int(time) - now_millis / 1000) > self.freshness:
            return f"webhook-timestamp {time!r} is more than {self.freshness:g} s from now"
        return None

    def next_attempt(self, attempts: Sequence[Tried], policy: RetryPolicy) -> NextAttempt:
        """Return what follows: by the schedule, but never after 410, nor earlier than the receiver asks."""
        following, reply = super().next_attempt(attempts, policy), attempts[-1].reply
        if not isinstance(reply, Reply) or following.action != "retry":
            return following
        if reply.status == GONE:
            return NextAttempt("dropped")
        asked = retry_after(reply) if reply.status in BUSY else 0.0
        return replace(following, after=max(following.after, asked))

    def shell(self) -> Mapping[str, str]:
        """Return the shell expressions of the time and the signature; the id stays as it is."""
        # Of several secrets the first one, in hexadecimal; a key of one zero signs as an empty one does.
        key = (
            's="${SECRET%% *}"; k=$(case "$s" in (whsec_*) printf %s "${s#whsec_}" | base64 -d;; (*) printf %s "$s";; esac'
            " | od -An -v -tx1 | tr -d ' \\n')"
        )
        signed = '{ printf %s. "$webhook_id" "$T"; cat body.json; }'
        return {
            "T": "$NOW",
            "webhook-timestamp": "$T",
            "webhook-signature": f'v1,$({key}; {signed} | openssl dgst -sha256 -mac HMAC -macopt "hexkey:${{k:-00}}" -binary | base64)',
        }


def key_of(secret: str) -> bytes:
    """Return the bytes that are signed with; a text that is no secret of Acme's stands for its own."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            pass
    return octets(secret)


def signature(secret: str, identity: str, time: str, body: bytes) -> str:
    """Return `v1,` and the HMAC-SHA256 over id.time.body in base64."""
    digest = hmac.new(key_of(secret), octets(f"{identity}.{time}.") + body, hashlib.sha256).digest()
    return VERSION + base64.b64encode(digest).decode()


def retry_after(reply: Reply) -> float:
    """Return the seconds that a reply asks to wait, given as a number or as a date; 0 where it does not ask."""
    value = reply.header("Retry-After") or ""
    if value.isascii() and value.isdecimal():
        return float(value)
    until, now = _date(value), _date(reply.header("Date") or "")
    return max(0.0, (until - now).total_seconds()) if until and now else 0.0


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
