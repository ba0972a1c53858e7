"""Which extra headers a request can carry: none that the request makes itself, or that belongs to the connection."""

from __future__ import annotations

import re

from im_callback.provider_mock.contract import DOCUMENTED, Provider

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110, section 5.6.2)."""
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_CONNECTION = frozenset({"connection", "keep-alive", "te", "trailer", "upgrade", "http2-settings", "expect"})
"""Those for the next machine on the way (RFC 9110, section 7.6.1), and one that makes the sender wait for an answer in between."""


def refused(name: str, provider: Provider) -> tuple[str, str] | None:
    """Return why requests of the provider cannot carry an extra header of this name, and what to do; None if they can."""
    lower = name.lower()
    leave = "leave it out"
    if not TOKEN.fullmatch(name):
        return "is no name of a header", "use letters, digits and hyphens"
    if lower in _FRAMING:
        return "says where the body ends, which every request says itself", leave
    if lower in _CONNECTION or lower.startswith("proxy-"):
        return "is about the connection, not for the receiver", leave
    if lower == "host":
        return "is made from the address", f"{leave}, and put the host into the address"
    if lower in parameters(provider):
        problem = f"is a header by which {provider.name} names the application or signs"
        return problem, f"{leave}, and give the app key and the app secret"
    if lower == "content-type" and any(feed.content_type is not None for feed in provider.feeds):
        return f"is set by {provider.name}", leave
    return None


def parameters(provider: Provider) -> frozenset[str]:
    """Return the names of the headers that identify and sign, in lower case, however the provider spells them."""
    wires = (DOCUMENTED, *(one.wire for one in provider.wires.values()))
    return frozenset(
        one.name.lower()
        for feed in provider.feeds
        for wire in wires
        for one in feed.parameters_in(wire)
        if one.place == "header"
    )
