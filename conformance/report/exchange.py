"""A request and its reply as text, with the secrets taken out, and a `curl` that sends it again."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conformance.run import Settings
from provider_mock.contract import Provider, Reply, Request, query_pairs
from provider_mock.history import Attempt, Shot

MASK = "***"
LONGEST = 1200
"""Characters of a body that are shown."""
LONGEST_CURL = 4000
"""Bytes of a body up to which a curl line is printed."""


@dataclass(frozen=True, slots=True)
class Masking:
    """Takes the given secrets out of texts."""

    secrets: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Masking:
        """Return the masking for a run: its app secret and the values of its extra headers.

        The default secrets stand in the documentation and hide nothing.
        """
        secret = settings.credentials.app_secret
        own = [] if not secret or secret == settings.provider.defaults.app_secret else [secret]
        return cls(tuple(sorted((*own, *(v for _, v in settings.headers if v)), key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def body_text(body: bytes) -> str:
    """Return a body as text, shortened; bytes that are not UTF-8 are shown as escapes."""
    text = body.decode("utf-8", "backslashreplace")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(body)} bytes)"


def request_lines(request: Request) -> list[str]:
    """Return the request as it went out, a line each."""
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers)]
    if request.chunked:
        lines.append("Transfer-Encoding: chunked")
    return [*lines, "", body_text(request.body)]


def reply_lines(attempt: Attempt) -> list[str]:
    """Return what came back, a line each."""
    reply = attempt.reply
    if not isinstance(reply, Reply):
        return [f"no reply: {reply.detail} (after {reply.seconds * 1000:.0f} ms)"]
    kept = [f"{name}: {value}" for name, value in reply.headers if name.lower() == "content-type"]
    return [f"{reply.status} (after {reply.seconds * 1000:.0f} ms)", *kept, "", body_text(reply.body)]


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
            "body": mask(body_text(request.body)),
        },
    }
    if isinstance(reply, Reply):
        shown["reply"] = {
            "status": reply.status,
            "headers": [[name, mask(value)] for name, value in reply.headers],
            "body": mask(body_text(reply.body)),
        }
    return shown


def curl(attempt: Attempt, settings: Settings) -> list[str]:
    """Return shell lines that send the request again, signed afresh; what was changed after signing is kept."""
    shot = attempt.shot
    request = shot.request
    if len(request.body) > LONGEST_CURL:
        return [f"# the body of {len(request.body)} bytes is too long to print; run this check again instead"]
    lines = _signing(shot, attempt, settings)
    fresh = _fresh(settings.provider, shot)
    command = ["curl -sS -i", *([f"-X {request.method}"] if request.method != "POST" else [])]
    command.append(_quoted_url(request, fresh))
    for name, value in request.headers:
        variable = next((p.name for p in fresh if p.place == "header" and p.name.lower() == name.lower()), None)
        if value or variable:
            command.append(f'-H "{name}: ${variable}"' if variable else f"-H {shlex.quote(f'{name}: {value}')}")
        else:
            command.append(f"-H {shlex.quote(f'{name};')}")
    if not any(name.lower() == "content-type" for name, _ in request.headers):
        command.append("-H 'Content-Type:'")
    if request.chunked:
        command.append("-H 'Transfer-Encoding: chunked'")
    command += [f"-H {shlex.quote(f'{name}: {MASK}')}" for name, _ in settings.headers]
    sent = "body.json" if request.body == shot.signed.body else "sent.json"
    command.append(f"--data-binary @{sent}")
    return [*lines, " ".join(command)]


def _signing(shot: Shot, attempt: Attempt, settings: Settings) -> list[str]:
    provider = settings.provider
    lines = [_write("body.json", shot.signed.body)]
    if shot.request.body != shot.signed.body:
        lines.append(_write("sent.json", shot.request.body))
    fresh = {parameter.name for parameter in _fresh(provider, shot)}
    if not fresh:
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


def _fresh(provider: Provider, shot: Shot) -> list[Any]:
    """Return the parameters whose value went out as it was signed, and so can be computed afresh."""
    computed = provider.shell()
    return [
        p
        for p in provider.parameters
        if p.name in computed and len(p.values(shot.request)) == 1 and p.values(shot.request) == p.values(shot.signed)
    ]


def _shift(shot: Shot, attempt: Attempt, provider: Provider) -> int:
    """Return how many seconds the stamp lay away from the moment of sending, if that was the point."""
    values = provider.parameter("time").values(shot.signed)
    if not values or not values[0].isdecimal():
        return 0
    seconds = int(values[0]) / (1000 if len(values[0]) > 11 else 1)
    shift = round(seconds - attempt.sent_at / 1000)
    return shift if abs(shift) > 10 else 0


def _quoted_url(request: Request, fresh: Iterable[Any]) -> str:
    names = {p.name for p in fresh if p.place == "query"}
    if not names:
        return shlex.quote(request.url)
    # Percent-encoded pairs hold nothing that a shell would expand inside double quotes.
    base, _, query = request.url.partition("?")
    pairs = [part.partition("=")[0] for part in query.split("&")]
    given = dict(zip(pairs, query.split("&"), strict=True))
    shown = [f"{name}=${name}" if name in names else given[name] for name in pairs]
    assert len(pairs) == len(query_pairs(request.url))
    return f'"{base}?{"&".join(shown)}"'


def _write(name: str, body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"printf %s {base64.b64encode(body).decode()} | base64 -d > {name}"
    return f"printf %s {shlex.quote(text)} > {name}"
