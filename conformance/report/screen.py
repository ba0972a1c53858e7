"""What is printed at the end of a run: what to mend, what is missing, and the verdict, on one screen.

It is made from the JSON result alone, so it shows nothing that was not masked.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from im_callback.conformance.words import counted

Kind = Literal["bad", "odd", "good", "plain"]
Mark = Callable[[Kind, str], str]
"""Gives a line its colour, or leaves it as it is."""


def plain(kind: Kind, line: str) -> str:
    """Return a line as it is."""
    del kind
    return line


WIDTH = 110
"""Columns where nobody says how many there are."""
NARROWEST = 40
ROOM = 42
"""Lines of a screen, beside what stands before and behind it; where there would be more, each cause is told in fewer."""
CAUSES, GROUPS, NOTES, NAMED, LOG = 14, 6, 6, 3, 8
"""How many are told: causes, groups of what could not run, notes, ids in one line, and lines that a receiver printed."""
PREFLIGHT = re.compile(r"(?:[\w-]+: )?(preflight\.[a-z-]+) failed: ")
"""How the reason begins of what could not run because a stage of preflight failed."""
COLOURS: Mapping[str, Kind] = {"pass": "good", "incomplete": "odd", "fail": "bad", "error": "bad"}


def screen(document: Mapping[str, Any], width: int = WIDTH, mark: Mark = plain) -> list[str]:
    """Return the lines, none longer than `width` but where something must not be broken."""
    width = max(width, NARROWEST)
    below = [*_others(document, width), *_missing(document, width), *_notes(document, width)]
    below += [("plain", line) for line in _wrapped(acks_line(document["acks"]), width)]
    below += [("plain", line) for line in _wrapped(following(document), width)]
    below += [
        (COLOURS[document["verdict"]], line) for line in _wrapped(f"receiver verdict: {verdict(document)}", width)
    ]
    causes = _causes(document, width, short=False)
    if len(causes) + len(below) > ROOM:
        causes = _causes(document, width, short=True)
    records = [handles_line(document["handles"])] if document["handles"] else []
    told = [*(("plain", line) for line in records), *causes, *below]
    return [mark(kind, line) for kind, line in told]


def verdict(document: Mapping[str, Any]) -> str:
    """Return the verdict in a sentence; what fails the run is told apart from what does not."""
    gate, checks = document["gate"], document["checks"]
    passed = sum(one["verdict"] == "pass" for one in checks)
    broken = sum(one["verdict"] == "harness-error" for one in checks)
    gated = sum(one["gated"] for one in document["causes"])
    told = {
        "pass": f"{counted(passed, 'check', 'checks')} passed",
        "incomplete": "nothing failed, and not everything could be judged",
        "error": f"our own error in {counted(broken, 'check', 'checks')}" if broken else "no check was run",
        "fail": f"{counted(gated, 'cause', 'causes')} ({counted(gate['failed'], 'check', 'checks')})"
        if gated
        else "the baseline names what is no failure any more",
    }
    more = [
        _some(gate["below"], "finding", "findings", "below the gate"),
        _some(gate["newer"], "finding", "findings", "newer than --receiver-checks-as-of"),
        _some(gate["known"], "known failure", "known failures"),
        _some(gate["incomplete"], "check", "checks", "could not run"),
    ]
    return "; ".join([f"{document['verdict'].upper()}: {told[document['verdict']]}", *filter(None, more)])


def following(document: Mapping[str, Any]) -> str:
    """Return what to do next, in a sentence."""
    gated = [one for one in document["causes"] if one["gated"]]
    judged = any(one["gated"] and one["verdict"] in ("pass", "fail") for one in document["checks"])
    if any(one["verdict"] == "harness-error" for one in document["checks"]):
        return f"Next: report our own error, with what is printed above and --receiver-seed={document['seed']}."
    if gated and _family(gated[0]["id"]) == "preflight":
        return "Next: mend 1 and run again; until then little else can be judged."
    if gated:
        return (
            f"Next: mend 1 and see --receiver-check='*.{_slug(gated[0]['id'])}' pass; more of each: "
            "provider-mock explain ID."
        )
    if document["baseline"]:
        return "Next: take these entries out of the baseline."
    if document["verdict"] == "incomplete" and not judged:
        return "Next: provide what is missing; so far nothing could be judged."
    if document["verdict"] == "incomplete":
        accept = ", or accept it knowingly with --receiver-allow-incomplete" if document["exit_status"] else ""
        return f"Next: provide what is missing{accept}."
    if document["verdict"] == "error":
        return "Next: choose some checks; -k, -m, --deselect or the options of the repository left out all of them."
    if document["handles"] and not document["pinned"]:
        return "Next: in CI pin what is recorded, with the --receiver-handles=… printed above."
    return ""


def acks_line(acks: Mapping[str, Any]) -> str:
    """Return the times of acknowledgement in a line."""
    if not acks["count"]:
        return "acks: none; no valid delivery was acknowledged"
    times = (
        f"{name} {_milliseconds(acks[key])}" for name, key in (("p50", "p50_ms"), ("p95", "p95_ms"), ("max", "max_ms"))
    )
    return f"acks: {acks['count']}, {', '.join(times)}"


def handles_line(handles: Sequence[str]) -> str:
    """Return what is recorded as the option that pins it: on one line, so that it can be copied whole."""
    return f"records: --receiver-handles={','.join(handles)}"


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _causes(document: Mapping[str, Any], width: int, *, short: bool) -> list[tuple[Kind, str]]:
    """Return what fails the run: numbered, each with what was expected, what came, the repair and where to read on."""
    gated = [one for one in document["causes"] if one["gated"]]
    lines: list[tuple[Kind, str]] = []
    for number, one in enumerate(gated[:CAUSES], 1):
        many = f" ({len(one['checks'])} checks)" if len(one["checks"]) > 1 else ""
        indent = " " * len(f"{number}. ")
        title = f"{number}. {one['level']}: {_flat(one['title'])}{many}"
        lines += [("bad", line) for line in _wrapped(title, width, indent)]
        name = f"{_named(one['id'])}: " if short else ""
        pair = _pair(one["expected"], one["actual"], width - len(indent) - len(name), both=not short)
        lines.append(("plain", f"{indent}{name}{pair}"))
        lines += [("plain", line) for line in _wrapped(f"{indent}fix: {_flat(one['fix'])}", width, indent)]
        if not short:
            lines.append(("plain", f"{indent}provider-mock explain {_named(one['id'])}"))
        if _family(one["id"]) == "preflight":
            # Nothing else is known of it yet than what it says itself.
            log = next(check.get("log", ()) for check in document["checks"] if check["id"] == one["id"])
            lines += [("plain", f"{indent}| {_cut(_flat(line), width - len(indent) - 2)}") for line in log[-LOG:]]
    if left := gated[CAUSES:]:
        names = ", ".join(_named(one["id"]) for one in left)
        lines += [
            ("bad", line) for line in _wrapped(f"and {counted(len(left), 'cause', 'causes')} more: {names}", width)
        ]
    return lines


def _others(document: Mapping[str, Any], width: int) -> list[tuple[Kind, str]]:
    """Return what failed and does not fail the run, a line each, and what is wrong with the baseline."""
    lines: list[tuple[Kind, str]] = []
    checks = {one["id"]: one for one in document["checks"]}
    for one in document["causes"]:
        if one["gated"]:
            continue
        head = checks[one["id"]]
        if head.get("known"):
            why = f"known failure ({_flat(head['reason'])})"
        elif head.get("newer"):
            why = "newer than --receiver-checks-as-of"
        else:
            why = f"below the gate ({one['level']})"
        many = f" ({len(one['checks'])} checks)" if len(one["checks"]) > 1 else ""
        lines += [("odd", line) for line in _wrapped(f"{why}: {_named(one['id'])}: {_flat(one['title'])}{many}", width)]
    for problem in document["baseline"]:
        lines += [("bad", line) for line in _wrapped(f"baseline: {_flat(problem)}", width)]
    return lines


def _missing(document: Mapping[str, Any], width: int) -> list[tuple[Kind, str]]:
    """Return what could not run, by what is missing; of what waits for a failure of preflight only that."""
    gated = [one for one in document["causes"] if one["gated"]]
    told = {_named(one): number for number, cause in enumerate(gated, 1) for one in cause["checks"]}
    groups: dict[tuple[str, str], list[str]] = {}
    for one in document["checks"]:
        if one["verdict"] == "could-not-run":
            stage = PREFLIGHT.match(one["reason"])
            # It was told among the failures already.
            known = stage is not None and stage[1] in told
            key = (f"{stage[1]} failed (see {told[stage[1]]})", "") if stage and known else (one["reason"], one["fix"])
            groups.setdefault(key, []).append(one["id"])
        elif one["verdict"] == "harness-error":
            last = one["reason"].strip().rpartition("\n")[2]
            key = (f"our own error: {last}", "Please report it, with its trace")
            groups.setdefault(key, []).append(one["id"])
    lines: list[tuple[Kind, str]] = []
    for (reason, fix), ids in list(groups.items())[:GROUPS]:
        said = f"could not run: {_ids(ids)}: {_cut(_flat(reason), width)}"
        lines += [("odd", line) for line in _wrapped(f"{said}. {_flat(fix)}" if fix else said, width)]
    if left := list(groups.values())[GROUPS:]:
        number = sum(map(len, left))
        lines.append(("odd", f"could not run: {counted(number, 'check', 'checks')} more, for other reasons"))
    return lines


def _notes(document: Mapping[str, Any], width: int) -> list[tuple[Kind, str]]:
    notes = document["notes"]
    told = [*notes[:NOTES], *([f"and {counted(len(notes) - NOTES, 'note', 'notes')} more"] if notes[NOTES:] else [])]
    return [("plain", line) for one in told for line in _wrapped(_flat(one), width, "  ", most=3)]


def _ids(ids: Sequence[str]) -> str:
    if len(ids) <= NAMED:
        return ", ".join(map(_named, ids))
    return f"{len(ids)} checks ({', '.join(map(_named, ids[:NAMED]))}, …)"


def _some(number: int, one: str, more: str, what: str = "") -> str:
    return f"{counted(number, one, more)} {what}".rstrip() if number else ""


def _named(check: str) -> str:
    """Return a check's id without the provider."""
    return check.partition(".")[2]


def _slug(check: str) -> str:
    return check.rpartition(".")[2]


def _family(check: str) -> str:
    return _named(check).partition(".")[0]


def _flat(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def _pair(expected: str, actual: str, width: int, *, both: bool) -> str:
    """Return what was expected and what came on one line; unless `both` must be there, what came alone if it fills it."""
    due, came = _flat(expected), _flat(actual)
    room = width - len("expected ; got ")
    least = room * 3 // 10
    if not both and len(due) > max(room - len(came), least):
        return _cut(f"got {came}", width)
    due = _cut(due, max(room - len(came), least))
    return f"expected {due}; got {_cut(came, room - len(due))}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def _wrapped(text: str, width: int, indent: str = "    ", *, most: int = 0) -> Iterable[str]:
    """Return a text in lines, all but the first indented; cut if there are more than `most`, if that is given."""
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        break_on_hyphens=False,
        max_lines=most or None,
        placeholder=" …",
    )
