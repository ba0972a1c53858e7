"""Makes an exchange fit to be kept: names what it is, and takes secrets and people's data out of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from im_callback.provider_mock.contract import Feed, Outcome, Parameter, Provider
from im_callback.provider_mock.recording.exchange import Exchange
from im_callback.provider_mock.recording.recognition import Recognised, recognised
from im_callback.provider_mock.recording.rewriting import Rewriting

SCRUBBED = "scrubbed"
"""What stands for a value that was taken out and has no stand-in."""
HOST = "recorded.example.com"
SIGNING = frozenset({"signature", "digest"})
STAYING = frozenset({"time", "nonce", "id", "code"})

_SECRET = re.compile(r"(?i).*(?:authori[sz]ation|cookie|token|secret|passw|credential|api-?key).*")
_USUAL = re.compile(
    r"(?i)accept(-.*)?|cache-control|connection|content-(type|encoding)|date|expect|keep-alive|server|"
    r"transfer-encoding|user-agent|vary"
)

Change = Callable[[str, str], str]
"""What becomes of a value with a name."""


def kept(
    exchange: Exchange, providers: Sequence[Provider], rewriting: Rewriting | None, feed_name: str | None = None
) -> Exchange:
    """Return an exchange as it is written down: recognised, judged by the provider's own rule, and without secrets.

    Secrets are credentials of a gateway on the way; the app secret is never sent. With a `rewriting`, people's data
    is replaced, and signatures and digests, from which bodies could be guessed, are taken out.
    """
    found = recognised(exchange.request, providers, feed_name)
    known = exchange
    if found is not None:
        known = replace(
            exchange,
            provider=found.feed.provider.name,
            feed=found.feed.name,
            event_types=found.names,
            outcome=outcome(exchange, found.feed),
        )
    signing = () if found is None else _parameters(found.feed)
    if rewriting is None:
        return _with_values(known, signing, _masked)
    return _scrubbed(known, found, signing, rewriting)


def outcome(exchange: Exchange, feed: Feed) -> str:
    """Return what the provider makes of an exchange."""
    judged = feed.judge(exchange.answer).outcome
    left_early = exchange.reply is not None and exchange.lost
    return (Outcome.TIMED_OUT if left_early else judged).value


def _scrubbed(
    exchange: Exchange, found: Recognised | None, signing: Sequence[Parameter], rewriting: Rewriting
) -> Exchange:
    by_name = {parameter.name.lower(): parameter for parameter in signing}
    stand_ins = rewriting.stand_ins

    def value_of(name: str, value: str) -> str:
        parameter = by_name.get(name.lower())
        if parameter is None:
            return value if _USUAL.fullmatch(name) else HOST if name.lower() == "host" else SCRUBBED
        if parameter.role in STAYING or value in parameter.known:
            return value
        return SCRUBBED if parameter.role in SIGNING else stand_ins.text(value)

    request = exchange.request
    whole = not exchange.broken
    if found is None or not found.payloads or not whole:
        body = rewriting.unread(request.body)
    else:
        body = rewriting.request_body(found.feed, request.body)
    # Whatever stands in the header Host, it need be no address.
    scheme, _, rest = request.url.partition("://")
    address, mark, query = rest.partition("?")
    _, slash, path = address.partition("/")
    url = f"{scheme}://{HOST}{slash}{stand_ins.path(path)}{mark}{query}"
    changed = _with_values(replace(exchange, request=request._replace(url=url, body=body)), signing, value_of)
    reply = changed.reply
    if reply is not None:
        event_type = next((one for one in exchange.event_types if one is not None), "")
        answer = rewriting.reply_body(None if found is None else found.feed, event_type, reply.body)
        reply = reply._replace(body=answer, headers=_length(reply.headers, reply.body, answer))
    headers = _length(changed.request.headers, request.body, body)
    return replace(changed, request=changed.request._replace(headers=headers), reply=reply, scrubbed=True)


def _with_values(exchange: Exchange, signing: Sequence[Parameter], change: Change) -> Exchange:
    """Return the exchange with the values of headers and of the query changed; the provider's own parameters too."""
    names = {parameter.name.lower() for parameter in signing}

    def changed(name: str, value: str) -> str:
        own = name.lower() in names or name.lower() == "content-length"
        return value if (own and change is _masked) or name.lower() == "content-length" else change(name, value)

    request, reply = exchange.request, exchange.reply
    address, mark, query = request.url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")] if mark else []
    written = [
        f"{name}{sign}{_queried(value, changed(unquote_plus(name), unquote_plus(value)))}"
        for name, sign, value in pairs
    ]
    headers = tuple((name, changed(name, value)) for name, value in request.headers)
    request = request._replace(url=address + mark + "&".join(written), headers=headers)
    if reply is not None:
        reply = reply._replace(headers=tuple((name, changed(name, value)) for name, value in reply.headers))
    return replace(exchange, request=request, reply=reply)


def _queried(old: str, new: str) -> str:
    """Return a value as it stands in a query: as it stood, where it is the same."""
    return old if unquote_plus(old) == new else quote(new, safe=".:")


def _masked(name: str, value: str) -> str:
    return SCRUBBED if _SECRET.fullmatch(name) else value


def _length(headers: tuple[tuple[str, str], ...], before: bytes, after: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers with the length that the body has now, where they told that of the one before."""
    return tuple(
        (name, str(len(after)) if name.lower() == "content-length" and value == str(len(before)) else value)
        for name, value in headers
    )


@lru_cache(maxsize=256)
def _parameters(feed: Feed) -> tuple[Parameter, ...]:
    """Return the parameters of a feed in every spelling."""
    spelled = [parameter for one in feed.wires.values() for parameter in feed.parameters_in(one.wire)]
    return (*feed.parameters, *spelled, *feed.context)
