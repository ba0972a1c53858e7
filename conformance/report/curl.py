"""The shell lines that send requests again, in the order in which they went out, signed afresh.

A value that was made from a signed one (cut, prolonged, moved by a little) is made again from the
fresh one. What went out at once goes out at once again.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote_plus, unquote_plus

from im_callback.conformance.settings import Settings
from im_callback.provider_mock.contract import MASK, NoReply, Parameter, Request
from im_callback.provider_mock.history import Attempt, Shot

LONGEST_CURL = 4000
"""Bytes of a body up to which a curl line is printed."""
SIGN = "sign"
"""The shell function that signs most requests of a sequence."""
MOVED = 1_000_000
"""By how much a number may differ from the signed one and still count as that one, moved."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a sequence, and how often it went out; `at_once` with its repeats and its neighbours."""

    attempt: Attempt
    times: int
    place: int
    at_once: bool


def curl(attempt: Attempt, settings: Settings) -> list[str]:
    """Return shell lines that send one request again."""
    written, signing, command = _parts(Step(attempt, 1, 1, at_once=False), settings)
    return [*written, *signing, *command]


def sequence(attempts: Sequence[Attempt], settings: Settings, most: int) -> list[str]:
    """Return shell lines that send the attempts again in their order, up to `most` different requests."""
    if len(attempts) == 1:
        return curl(attempts[0], settings)
    steps = _steps(attempts)
    parts = [_parts(step, settings) for step in steps[:most]]
    signings = [tuple(signing) for _, signing, _ in parts if signing]
    usual = max(signings, key=signings.count, default=())
    if signings.count(usual) < 2:
        usual = ()
    lines = [*([f"{SIGN}() {{", *(f"  {line}" for line in usual), "}"] if usual else [])]
    on_disk: list[str] = []
    for index, (step, (written, signing, command)) in enumerate(zip(steps, parts, strict=False)):
        lines.append(f"# {step.place}: {_comment(step.attempt)}{_times(step)}")
        # The same delivery again needs no second file.
        lines += written if written != on_disk else []
        on_disk = written or on_disk
        lines += [SIGN] if usual and tuple(signing) == usual else signing
        lines += command
        following = steps[index + 1] if index + 1 < len(parts) else None
        if step.at_once and (following is None or following.attempt.sent_at != step.attempt.sent_at):
            lines.append("wait")
    if len(steps) > most:
        left = sum(step.times for step in steps[most:])
        lines.append(
            f"# … and {left} more; run this check again to send them all, with --receiver-seed={settings.seed}"
        )
    return lines


def _times(step: Step) -> str:
    if step.times == 1:
        return ""
    return f", {step.times} times{' at once' if step.at_once else ''}"


def _steps(attempts: Sequence[Attempt]) -> list[Step]:
    """Return the different requests in the order in which they left, repeats counted."""
    ordered = sorted(attempts, key=lambda attempt: attempt.sent_at)
    together: dict[int, list[Attempt]] = {}
    for attempt in ordered:
        together.setdefault(attempt.sent_at, []).append(attempt)
    steps: list[Step] = []
    place = 1
    for group in together.values():
        # Two that followed each other within one millisecond were not sent at once.
        at_once = len(group) > 1 and sum(attempt.reply.seconds for attempt in group) > 0.001
        for attempt in group:
            if steps and _repeats(steps[-1], attempt, at_once=at_once):
                steps[-1] = replace(steps[-1], times=steps[-1].times + 1)
            else:
                steps.append(Step(attempt, 1, place, at_once))
            place += 1
    return steps


def _repeats(step: Step, attempt: Attempt, *, at_once: bool) -> bool:
    """Return whether an attempt is the same request as the step before it, sent in the same manner."""
    if step.attempt.shot.request != attempt.shot.request or step.at_once != at_once:
        return False
    return not at_once or step.attempt.sent_at == attempt.sent_at


def _comment(attempt: Attempt) -> str:
    return " ".join((attempt.shot.note or "as the provider sends it").split())


def _parts(step: Step, settings: Settings) -> tuple[list[str], list[str], list[str]]:
    """Return the lines that write the body, those that sign it afresh, and the one that sends it."""
    attempt = step.attempt
    shot = attempt.shot
    request = shot.request
    if len(request.body) > LONGEST_CURL:
        return [], [], [f"# the body of {len(request.body)} bytes is too long to print; run this check again instead"]
    spelled = _spelled(settings, shot)
    fresh = _fresh(spelled, shot)
    command = ["curl -sS -i", *([f"-X {request.method}"] if request.method != "POST" else [])]
    if isinstance(attempt.reply, NoReply) and attempt.reply.kind == "timed-out":
        command.append(f"--max-time {shot.feed.deadline:g}")
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
    written = [*(_kept(shot, spelled) if fresh else []), *_written(shot, signed=bool(fresh))]
    signing = _signing(attempt, settings, spelled) if fresh else []
    if filling := _filling(request, fresh):
        signing.append(f"LC_ALL=C sed {' '.join(filling)} {sent} > filled.json")
        sent = "filled.json"
    before: list[str] = []
    if step.at_once:
        # The next request's body must not take the place of one that is still on its way.
        before.append(f"cp {sent} {step.place}-{sent}")
        sent = f"{step.place}-{sent}"
    command.append(f"--data-binary @{sent}")
    line = " ".join(command)
    if step.at_once:
        line += " &"
    if step.times > 1:
        line = f"for i in $(seq {step.times}); do {line if step.at_once else line + ';'} done"
    return written, signing, [*before, line]


def _written(shot: Shot, *, signed: bool) -> list[str]:
    lines = []
    if signed or shot.request.body == shot.signed.body:
        lines.append(_write("body.json", shot.signed.body))
    if shot.request.body != shot.signed.body:
        lines.append(_write("sent.json", shot.request.body))
    return lines


def _kept(shot: Shot, spelled: Sequence[Parameter]) -> list[str]:
    """Return the lines that set what stays as it is and is signed with: the delivery's id."""
    computed = shot.feed.shell()
    return [
        f"{_variable(documented.name)}={shlex.quote(parameter.values(shot.signed)[0])}"
        for parameter, documented in zip(spelled, shot.feed.parameters, strict=True)
        if documented.role == "id" and documented.name not in computed
    ]


def _filling(request: Request, fresh: Mapping[tuple[str, str, str], str]) -> list[str]:
    """Return the arguments by which `sed` puts fresh values into the body, where they travel there."""
    found = []
    for (place, name, value), expression in fresh.items():
        if place == "body" and request.body.lstrip()[:1] == b"{":
            before, old = f'{json.dumps(name)} *: *"*', json.dumps(value, ensure_ascii=False)[1:-1]
            found.append(f'-e "s|\\({_in_quotes(before)}\\){_literally(old)}|\\1{expression}|"')
        elif place == "body":
            found.append(f'-e "s|\\({quote_plus(name)}=\\){_literally(quote_plus(value))}|\\1{expression}|"')
    return found


def _literally(text: str) -> str:
    """Return what finds a text in `sed`, inside double quotes."""
    return _in_quotes(re.sub(r"([\\.*\[\]^$|])", r"\\\1", text))


def _signing(attempt: Attempt, settings: Settings, spelled: Sequence[Parameter]) -> list[str]:
    shift = _shift(attempt.shot, attempt, spelled)
    now = "$(date +%s)" if not shift else f"$(( $(date +%s) + {shift} ))"
    return [
        _secret(attempt.shot, settings),
        f"NOW={now}",
        *(
            f'{_variable(name)}="{value}"'
            if value.startswith("$") and "(" not in value
            else f"{_variable(name)}={value}"
            for name, value in attempt.shot.feed.shell().items()
        ),
    ]


def _secret(shot: Shot, settings: Settings) -> str:
    used = shot.credentials.app_secret if shot.credentials else ""
    if used != settings.credentials.app_secret or used == settings.provider.defaults.app_secret:
        return f"SECRET={shlex.quote(used or '')}"
    return 'SECRET="${IM_APP_SECRET:?export it first: the app secret}"'


def _variable(name: str) -> str:
    """Return a parameter's name as that of a shell variable: what cannot stand in one becomes `_`."""
    plain = re.sub(r"[^0-9A-Za-z_]", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain


def _spelled(settings: Settings, shot: Shot) -> Sequence[Parameter]:
    """Return the feed's parameters as the request spells them: as documented, or in a wire of another name."""
    feed = shot.feed
    spellings = [feed.parameters, feed.parameters_in(settings.wire)]
    spellings += [feed.parameters_in(one.wire) for one in feed.wires.values()]
    fitting = (one for one in spellings if all(len(p.values(shot.signed)) == 1 for p in one))
    return next(fitting, feed.parameters)


def _fresh(spelled: Sequence[Parameter], shot: Shot) -> dict[tuple[str, str, str], str]:
    """Return shell expressions for the values that can be computed afresh, by place, name and value."""
    names = shot.feed.shell().keys()
    computed = [
        (parameter, documented.name)
        for parameter, documented in zip(spelled, shot.feed.parameters, strict=True)
        if documented.name in names
    ]
    if any(len(parameter.values(shot.signed)) != 1 for parameter, _ in computed):
        # Signed under names of nobody's, or not at all: it can only be sent as it was.
        return {}
    found: dict[tuple[str, str, str], str] = {}
    kept = set()
    for parameter, variable in computed:
        (due,) = parameter.values(shot.signed)
        name = parameter.name.lower() if parameter.place == "header" else parameter.name
        for value in parameter.values(shot.request):
            expression = _expression(parameter, _variable(variable), value, due)
            if expression:
                found[parameter.place, name, value] = expression
                kept.add((parameter.role, value == due))
    if ("time", True) not in kept and not any(role == "signature" for role, _ in kept):
        # Neither the time nor the signature is this delivery's own: they were taken from another one.
        return {}
    return found


def _expression(parameter: Parameter, name: str, value: str, due: str) -> str:
    """Return the value in terms of the fresh one that takes the place of `due`, or nothing."""
    if value == due:
        return f"${name}"
    if value and due.startswith(value):
        return f'$(printf %.{len(value)}s "${name}")'
    if parameter.separator and parameter.separator in value:
        return _several(parameter, name, value, due)
    if value.startswith(due) and value.isalnum():
        return f"${{{name}}}{value[len(due) :]}"
    if parameter.role in ("time", "nonce") and value.isdecimal() and due.isdecimal():
        moved = int(value) - int(due)
        return f"$(({name} + {moved}))" if abs(moved) < MOVED else ""
    return ""


def _several(parameter: Parameter, name: str, value: str, due: str) -> str:
    """Return several in a row in terms of the fresh one, or nothing where none of them is this delivery's own."""
    parts = value.split(parameter.separator)
    if due not in parts:
        return ""
    return parameter.separator.join(f"${{{name}}}" if one == due else _in_quotes(one) for one in parts)


def _shift(shot: Shot, attempt: Attempt, spelled: Sequence[Parameter]) -> int:
    """Return how many seconds the stamp lay away from the moment of sending, if that was the point."""
    values = [value for one in spelled if one.role == "time" for value in one.values(shot.signed)]
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
