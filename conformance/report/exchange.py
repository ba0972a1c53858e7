"""A request and its reply as text, with the secrets taken out, and a `curl` that sends it again."""

from __future__ import annotations

import base64
import re
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from conformance.run import Settings
from provider_mock.contract import Parameter, Provider, Reply, Request
from provider_mock.history import Attempt, Shot

MASK = "***"
LONGEST = 1200
"""Characters of a body that are shown."""
LONGEST_CURL = 4000
"""Bytes of a body up to which a curl line is printed."""
MOVED = 1_000_000
"""By how much a number may differ from the signed one and still count as that one, moved."""


@dataclass(frozen=True, slots=True)
class Masking:
    """Takes the given secrets out of texts."""

    secrets: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Masking:
        """Return the masking for a run: its app secret, the values of its extra headers, a password in its URL.

        The default secrets stand in the documentation and hide nothing.
        """
        secret = settings.credentials.app_secret
        own = [] if not secret or secret == settings.provider.defaults.app_secret else [secret]
        own += [value for _, value in settings.headers if value]
        own += [password] if (password := urlsplit(settings.url).password) else []
        return cls(tuple(sorted(own, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def body_text(body: bytes, mask: Masking) -> str:
    """Return a body as text, shortened; bytes that are not UTF-8 are shown as escapes."""
    # Masked before it is cut, so that no part of a secret stays at the end.
    text = mask(body.decode("utf-8", "backslashreplace"))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(body)} bytes)"


def request_lines(request: Request, mask: Masking) -> list[str]:
    """Return the request as it went out, a line each."""
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers)]
    if request.chunked:
        lines.append("Transfer-Encoding: chunked")
    return [*map(mask, lines), "", body_text(request.body, mask)]


def reply_lines(attempt: Attempt, mask: Masking) -> list[str]:
    """Return what came back, a line each."""
    reply = attempt.reply
    if not isinstance(reply, Reply):
        return [f"no reply: {reply.detail} (after {reply.seconds * 1000:.0f} ms)"]
    kept = [f"{name}: {value}" for name, value in reply.headers if name.lower() == "content-type"]
    lines = [f"{reply.status} (after {reply.seconds * 1000:.0f} ms)", *kept]
    return [*map(mask, lines), "", body_text(reply.body, mask)]


def as_json(attempt: Attempt, mask: Masking) -> dict[str, Any]:
    """Return the exchange as data for programs."""
    request, reply = attempt.shot.request, attempt.reply
    shown: dict[str, Any] = {
        "note": attempt.shot.note,
        "outcome": attempt.outcome.value,
        "rule": mask(attempt.judgement.rule),
        "seconds": round(reply.seconds, 6),
        "request": {
            "method": request.method,
            "url": mask(request.url),
            "headers": [[name, mask(value)] for name, value in request.headers],
            "body": body_text(request.body, mask),
        },
    }
    if isinstance(reply, Reply):
        shown["reply"] = {
            "status": reply.status,
            "headers": [[name, mask(value)] for name, value in reply.headers],
            "body": body_text(reply.body, mask),
        }
    return shown


def curl(attempt: Attempt, settings: Settings) -> list[str]:
    """Return shell lines that send the request again, signed afresh; what was changed after signing is kept.

    A value that was made from a signed one (cut, prolonged, moved by a little) is made again from the fresh one.
    """
    shot = attempt.shot
    request = shot.request
    if len(request.body) > LONGEST_CURL:
        return [f"# the body of {len(request.body)} bytes is too long to print; run this check again instead"]
    fresh = _fresh(settings.provider, shot)
    command = ["curl -sS -i", *([f"-X {request.method}"] if request.method != "POST" else [])]
    if any(sign in request.url for sign in "[]{}"):
        command.append("--globoff")
    command.append(_url(request, fresh))
    for name, value in request.headers:
        expression = fresh.get(("header", name.lower(), value))
        if expression:
            command.append(f'-H "{name}: {expression}"')
        else:
            command.append(f"-H {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if not any(name.lower() == "content-type" for name, _ in request.headers):
        command.append("-H 'Content-Type:'")
    if request.chunked:
        command.append("-H 'Transfer-Encoding: chunked'")
    command += [f"-H {shlex.quote(f'{name}: {MASK}')}" for name, _ in settings.headers]
    sent = "body.json" if request.body == shot.signed.body else "sent.json"
    command.append(f"--data-binary @{sent}")
    return [*_signing(attempt, settings, signed=bool(fresh)), " ".join(command)]


def _signing(attempt: Attempt, settings: Settings, *, signed: bool) -> list[str]:
    shot, provider = attempt.shot, settings.provider
    lines = []
    if signed or shot.request.body == shot.signed.body:
        lines.append(_write("body.json", shot.signed.body))
    if shot.request.body != shot.signed.body:
        lines.append(_write("sent.json", shot.request.body))
    if not signed:
        return lines
    lines.append(_secret(shot, settings))
    shift = _shift(shot, attempt, provider)
    now = "$(date +%s)" if not shift else f"$(( $(date +%s) + {shift} ))"
    lines.append(f"NOW={now}")
    lines += [
        f'{name}="{value}"' if value.startswith("$") and "(" not in value else f"{name}={value}"
        for name, value in provider.shell().items()
    ]
    return lines


def _secret(shot: Shot, settings: Settings) -> str:
    used = shot.credentials.app_secret if shot.credentials else ""
    if used != settings.credentials.app_secret or used == settings.provider.defaults.app_secret:
        return f"SECRET={shlex.quote(used or '')}"
    return 'SECRET="${IM_APP_SECRET:?export it first: the app secret}"'


def _fresh(provider: Provider, shot: Shot) -> dict[tuple[str, str, str], str]:
    """Return shell expressions for the values that can be computed afresh, by place, name and value."""
    names = provider.shell().keys()
    computed = [p for p in provider.parameters if p.name in names]
    if any(len(p.values(shot.signed)) != 1 for p in computed):
        # Signed under other names, or not at all: it can only be sent as it was.
        return {}
    found: dict[tuple[str, str, str], str] = {}
    kept = set()
    for parameter in computed:
        (due,) = parameter.values(shot.signed)
        spelled = parameter.name.lower() if parameter.place == "header" else parameter.name
        for value in parameter.values(shot.request):
            expression = _expression(parameter, value, due)
            if expression:
                found[parameter.place, spelled, value] = expression
                kept.add((parameter.role, value == due))
    if ("time", True) not in kept and not any(role == "signature" for role, _ in kept):
        # Neither the time nor the signature is this delivery's own: they were taken from another one.
        return {}
    return found


def _expression(parameter: Parameter, value: str, due: str) -> str:
    """Return the value in terms of the fresh one that takes the place of `due`, or nothing."""
    name = parameter.name
    if value == due:
        return f"${name}"
    if value and due.startswith(value):
        return f'$(printf %.{len(value)}s "${name}")'
    if value.startswith(due) and value.isalnum():
        return f"${{{name}}}{value[len(due) :]}"
    if parameter.role in ("time", "nonce") and value.isdecimal() and due.isdecimal():
        moved = int(value) - int(due)
        return f"$(({name} + {moved}))" if abs(moved) < MOVED else ""
    return ""


def _shift(shot: Shot, attempt: Attempt, provider: Provider) -> int:
    """Return how many seconds the stamp lay away from the moment of sending, if that was the point."""
    values = provider.parameter("time").values(shot.signed)
    if not values or not values[0].isdecimal():
        return 0
    seconds = int(values[0]) / (1000 if len(values[0]) > 11 else 1)
    shift = round(seconds - attempt.sent_at / 1000)
    return shift if abs(shift) > 10 else 0


def _url(request: Request, fresh: Mapping[tuple[str, str, str], str]) -> str:
    if not any(place == "query" for place, _, _ in fresh):
        return shlex.quote(request.url)
    base, _, query = request.url.partition("?")
    shown = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        expression = fresh.get(("query", unquote_plus(name), unquote_plus(value)))
        shown.append(f"{name}={expression}" if expression else _in_quotes(part))
    return f'"{_in_quotes(base)}?{"&".join(shown)}"'


def _in_quotes(text: str) -> str:
    """Return the text as it is written inside double quotes."""
    return re.sub(r'([\\"$`])', r"\\\1", text)


def _write(name: str, body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    # What a terminal shows in another way cannot be copied from it.
    if any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c != "\n" for c in text):
        return f"printf %s {base64.b64encode(body).decode()} | base64 -d > {name}"
    return f"printf %s {shlex.quote(text)} > {name}"
