"""Writes what the pages repeat of the code: the facts of each feed, options, commands, the API and the schemas.

    python docs/generate.py

A page that is part generated holds it between two marks; what stands outside of them is written by hand.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE
from im_callback.provider_mock import cli, providers
from im_callback.provider_mock.contract import Feed, Provider

DOCS = Path(__file__).parent
BEGIN = "<!-- written by docs/generate.py, from the code -->"
EXAMPLE = DOCS.parent / "examples" / "provider_plugin"
#: The parts of the example's page that have pages of their own, with the files that they speak of.
PARTS = {
    "The provider": ("provider", "A provider and its feed", ("acme_hooks/__init__.py", "acme_hooks/events.py")),
    "The event types": ("event-type", "An event type", ("acme_hooks/schemas/message-created.schema.json",)),
    "A story": ("story", "A story", ("acme_hooks/story.py",)),
    "A check": ("check", "A check", ("acme_hooks/rotation.py",)),
    "A fault": ("fault", "A fault", ("acme_hooks/clock_drift.py",)),
    "A source of effects": ("effects", "A source of effects", ("acme_hooks/paged.py",)),
}
END = "<!-- from here on by hand -->"
ENCODINGS = {
    "object": "one event in each request, a JSON object",
    "array": "several events in a request, a JSON array",
    "form": "one event in each request, a form (`application/x-www-form-urlencoded`)",
}
PLACES = {"header": "header", "query": "query", "body": "body"}
COVERED = {
    "body": "the body's bytes",
    "time": "the time",
    "nonce": "the nonce",
    "id": "the id",
    "key": "the key",
    "url": "the address",
}
UNDECIDED = {
    "allowed": "it happens",
    "refused": "it does not happen",
    "unknown": "not documented, or as the console says",
}
TITLES = {"ms": "milliseconds", "s": "seconds"}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a table."""
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell(one) for one in row)} |"
    yield ""


def cell(value: object) -> str:
    """Return a value as it stands in a table."""
    return " ".join(str(value).split()).replace("|", "\\|")


def feed_facts(feed: Feed) -> Iterator[str]:
    """Yield what the contract says about a feed."""
    parameters = [
        f"{PLACES[one.place]} `{one.name}`" + (f" ({TITLES[one.unit]})" if one.role == "time" else "")
        for one in feed.parameters
    ]
    covered = [COVERED[one] for one in COVERED if one in feed.covers]
    yield "## In short"
    yield ""
    yield from table(
        ("", ""),
        [
            ("Options", f"`--provider {feed.provider.name} --feed {feed.name}`"),
            ("Body", ENCODINGS[feed.encoding]),
            ("Signed by", ", ".join(parameters) if feed.has("signature") else "nothing"),
            ("The signature covers", ", ".join(covered) or "nothing"),
            ("A signature is valid for", f"{feed.freshness:g} seconds" if feed.freshness else "no limit is documented"),
            ("Deadline", f"{feed.deadline:g} seconds"),
            ("Acknowledged by", feed.ack_rule),
            (
                "Does the answer decide?",
                f"yes; without one in time: {UNDECIDED[feed.undecided]}" if feed.decides else "no",
            ),
            *(
                (f"Retries, policy `{name}`{'' if place else ' (the default)'}", policy.summary)
                for place, (name, policy) in enumerate(feed.policies.items())
            ),
            ("Ways of writing (`--wire`)", ", ".join(f"`{name}`" for name in feed.wires)),
            ("Probe of the console", "yes, and it is sent" if probes(feed) else "not documented, or not sent"),
        ],
    )
    yield "What each rule rests on:"
    yield ""
    yield from table(
        ("topic", "source", "binding here, where not as the check says"),
        [(topic, source, feed.levels.get(topic, "")) for topic, source in sorted(feed.sources.items())],
    )
    yield "## Event types"
    yield ""
    described = [one for one in feed.event_types if one.status == "documented"]
    for one in described:
        yield f"### `{one.name}`"
        yield ""
        order = one.order
        yield from table(
            ("", ""),
            [
                ("Code", f"`{one.code}`"),
                ("The same event if equal", "nothing tells" if one.identity is None else fields(one.identity)),
                (
                    "Order",
                    "none"
                    if order is None
                    else f"{ {'latest': 'the newest counts', 'sequence': 'listed'}[order.rule] }, by {fields(order.by)}"
                    + (f", within {fields(order.scope)}" if order.scope else ""),
                ),
                *(
                    [("Variants", f"{len(one.variants)}, by {fields(one.variant_pointers)}: {shortly(one.variants)}")]
                    if one.variants
                    else []
                ),
                ("Source", "; ".join(f"{source['document']}: {source['section']}" for source in one.sources)),
            ],
        )
    if others := [one for one in feed.event_types if one.status != "documented"]:
        yield f"Named and not described, and sent only when they are asked for: {', '.join(f'`{one.name}`' for one in others)}."
        yield ""


def probes(feed: Feed) -> bool:
    """Return whether the console's handshake is documented."""
    from im_callback.provider_mock.contract import Stamp

    with contextlib.suppress(TypeError):
        return feed.probe("http://127.0.0.1/", feed.provider.credentials(None, None), Stamp(0, "0")) is not None
    return False


def fields(pointers: Iterable[str]) -> str:
    """Return pointers as fields."""
    return ", ".join(f"`{one.lstrip('/')}`" for one in pointers)


def shortly(names: Iterable[str]) -> str:
    """Return the first names of many."""
    names = list(names)
    return ", ".join(f"`{one}`" for one in names[:12]) + (", …" if len(names) > 12 else "")


def options() -> Iterator[str]:
    """Yield every option of the gate."""
    yield "# All options of the gate"
    yield ""
    yield "The same run has two doors: `provider-mock check --to URL` and `pytest --receiver-url=URL`. What each option is for stands in"
    yield "[Options and commands](../reference.md); with pytest it can also stand in the ini file."
    yield ""
    rows = []
    for name, value, text in (*OPTIONS, *REPEATABLE):
        short = {"command": "start"}.get(name, name)
        repeated = " Repeatable." if (name, value, text) in REPEATABLE else ""
        rows.append(
            (
                f"`--{short} {value}`",
                f"`--receiver-{name}={value}`",
                f"`RECEIVER_{name.replace('-', '_').upper()}`",
                f"{text}{'.' if repeated else ''}{repeated}",
            )
        )
    for name, text in FLAGS:
        rows.append((f"`--{name}`", f"`--receiver-{name}`", f"`RECEIVER_{name.replace('-', '_').upper()}`", text))
    yield from table(("`provider-mock check`", "`pytest`", "environment", "meaning"), rows)


def commands() -> Iterator[str]:
    """Yield the help of every command."""
    yield "# All commands"
    yield ""
    yield "What `provider-mock COMMAND --help` prints."
    yield ""
    context = click.Context(cli.main, info_name="provider-mock", terminal_width=100, max_content_width=100)
    for name in cli.main.list_commands(context):
        command = cli.main.get_command(context, name)
        assert command is not None
        yield f"## `provider-mock {name}`"
        yield ""
        yield from help_of(command, context, name)


def help_of(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    """Yield the help of a command, and of those below it."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    yield "```text"
    yield command.get_help(context)
    yield "```"
    yield ""
    for below in command.list_commands(context) if isinstance(command, click.Group) else ():
        inner = command.get_command(context, below)  # type: ignore[attr-defined]
        yield f"### `{context.command_path} {below}`"
        yield ""
        yield from help_of(inner, context, below)


def api(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield every call of the server's API."""
    yield "# The API of the mock"
    yield ""
    yield "A running server describes itself at `/docs`, and for programs at `/openapi.json`; this is that document. What it is used for:"
    yield "[A provider for staging](../server.md), [Events](../events.md), [Faults and scenarios](../faults.md)."
    yield ""
    for path, item in document["paths"].items():
        for method, call in item.items():
            if method not in ("get", "put", "post", "delete", "patch"):
                continue
            yield f"## `{method.upper()} {path}`"
            yield ""
            yield ". ".join(one for one in (call.get("summary", ""), call.get("description", "")) if one)
            yield ""
            shared = [resolved(one, document) for one in (*item.get("parameters", ()), *call.get("parameters", ()))]
            if shared:
                yield from table(
                    ("parameter", "in", "meaning"),
                    [
                        (f"`{one['name']}`", one["in"], meaning(one.get("schema", {}), one.get("description", "")))
                        for one in shared
                    ],
                )
            if "requestBody" in call:
                (media,) = list(resolved(call["requestBody"], document)["content"].values())[:1]
                body = resolved(media["schema"], document)
                required = set(body.get("required", ()))
                yield from table(
                    ("field of the body", "meaning"),
                    [
                        (f"`{name}`" + (" (needed)" if name in required else ""), meaning(resolved(one, document), ""))
                        for name, one in body.get("properties", {}).items()
                    ],
                )
            yield from table(
                ("answer", "means"),
                [(status, resolved(one, document).get("description", "")) for status, one in call["responses"].items()],
            )


def resolved(value: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference stands for."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def meaning(schema: Mapping[str, Any], text: str) -> str:
    """Return what a value may be, and what it means."""
    kinds = schema.get("enum") or schema.get("type") or [one.get("type", "") for one in schema.get("anyOf", ())]
    shown = ", ".join(f"`{one}`" for one in kinds if one) if isinstance(kinds, list) else str(kinds)
    return ". ".join(one.rstrip(".") for one in (shown, text or schema.get("description", "")) if one)


def schemas(known: Iterable[Provider]) -> Iterator[str]:
    """Yield every schema file."""
    yield "# All schemas"
    yield ""
    yield "Files of JSON Schema 2020-12, for any language; the dialect and its keywords are described in `schemas/README.md`."
    yield ""
    yield from table(
        ("file", "describes"),
        [
            ("`schemas/dialect.schema.json`", "the dialect itself"),
            *(
                (f"`{path}`", json.loads((DOCS.parent / path).read_text(encoding="utf-8")).get("title", ""))
                for path in others()
            ),
        ],
    )
    for one in known:
        yield f"## {one.title}"
        yield ""
        yield from table(
            ("event type", "feed", "", "title"),
            [
                (
                    f"`{kind.name}`",
                    f"[{one.feed_of(kind.name).name}](../providers/{one.name}/{one.feed_of(kind.name).name}.md)",
                    "" if kind.status == "documented" else kind.status,
                    kind.title,
                )
                for kind in one.catalogue
            ],
        )


def others() -> list[str]:
    """Return the schemas of what is written and read."""
    return sorted(
        path.relative_to(DOCS.parent).as_posix() for path in (DOCS.parent / "conformance").rglob("*.schema.json")
    )


def packages() -> Iterator[tuple[Path, str]]:
    """Yield the pages on packages: what the example says of itself, each part with the files that it speaks of."""
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"(?m)^(?=## )", readme.partition("\n")[2])
    index = [
        "# Packages of your own",
        "",
        "A package adds a provider, checks, faults, sources of effects and stories by entry points.",
    ]
    index += ["The example is in the source archive, in `examples/provider_plugin`; its own tests run it."]
    index += [head.rstrip("\n")]
    for section in sections:
        title, _, text = section.partition("\n")
        if title.removeprefix("## ") not in PARTS:
            index += ["", section.rstrip("\n")]
            continue
        name, heading, files = PARTS[title.removeprefix("## ")]
        index += ["", title, "", f"[{heading}, with the example's code](plugins/{name}.md)."]
        lines = [f"# {heading}", text.rstrip("\n")]
        for file in files:
            language = "json" if file.endswith(".json") else "python"
            lines += [
                "",
                f"## `{file}`",
                "",
                f"```{language}",
                (EXAMPLE / file).read_text(encoding="utf-8").rstrip("\n"),
                "```",
            ]
        yield DOCS / "plugins" / f"{name}.md", joined(lines)
    yield DOCS / "plugins.md", joined(index)


def openapi() -> Mapping[str, Any]:
    """Return the API's description."""
    from im_callback.provider_mock.server.api import document, load

    return document(load(), token_needed=False)


def pages() -> dict[Path, str]:
    """Return every page that is generated as it should be; of those that are so in part, the whole."""
    known = [providers.load(name) for name in ("commsease", "rongcloud", "tencent")]
    written = {
        DOCS / "reference" / "options.md": options(),
        DOCS / "reference" / "commands.md": commands(),
        DOCS / "reference" / "api.md": api(openapi()),
        DOCS / "reference" / "schemas.md": schemas(known),
    }
    found = {path: f"{BEGIN}\n\n{joined(lines)}" for path, lines in written.items()}
    for path, text in packages():
        found[path] = f"{BEGIN}\n\n{text}"
    for one in known:
        for feed in one.feeds:
            path = DOCS / "providers" / one.name / f"{feed.name}.md"
            page = path.read_text(encoding="utf-8") if path.exists() else f"# {feed.title}\n\n{BEGIN}\n{END}\n"
            before, _, rest = page.partition(BEGIN)
            found[path] = f"{before}{BEGIN}\n\n{joined(feed_facts(feed))}\n{END}{rest.partition(END)[2]}"
    return found


def joined(lines: Iterable[str]) -> str:
    """Return lines as the text of a page."""
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
