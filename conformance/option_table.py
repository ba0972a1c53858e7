"""The options of a run, as plain data: both doors to the checks, pytest and `provider-mock check`, read them here."""

from __future__ import annotations

# Option, what stands for its value, help. Each can also come from the environment and the ini file.
OPTIONS: tuple[tuple[str, str, str], ...] = (
    ("provider", "NAME", "which IM service to play: commsease (default), rongcloud, tencent, or one of a plugin"),
    (
        "feed",
        "NAMES",
        "which of its feeds arrive there, separated by commas (default: the first, or all at one address)",
    ),
    ("app-key", "KEY", "AppKey, appKey or SdkAppid (default: test-key; tencent 1400000001)"),
    (
        "app-secret",
        "SECRET",
        "AppSecret or callback token; none: no token is set (default: test-secret; tencent test-token)",
    ),
    (
        "effects",
        "SPEC",
        "where to read what the receiver recorded: http(s)://…, SQLAlchemy's URL, redis://…/KEY, file:PATH, command:SHELL",
    ),
    (
        "effects-map",
        "JMESPATH",
        "from one of your records to the payload's field names; @FILE: a line EVENT-TYPE: JMESPATH for each event type",
    ),
    ("effects-query", "SQL", "the query for a database; :run is what the identifiers of this run begin or end with"),
    ("handles", "a,b", "event types that are recorded, or variants: EVENT-TYPE/*/TEXT (default: discovered, printed)"),
    ("accounts", "SPEC", "names of made-up accounts: a pattern with {n} (user-{n}), or file:PATH, an account a line"),
    ("rate", "N", "deliveries per second at most, for a receiver behind a limit; bursts are then left out"),
    ("dedupe-distance", "N", "after how many other deliveries one is repeated (default: 1000; 0: leave that out)"),
    (
        "samples",
        "FILE",
        "a recording of provider-mock record, or a HAR file: its payloads are the samples in place of the documented ones",
    ),
    ("wire", "NAME", "how the whole run speaks: java-hashmap, ascii, … (provider-mock events --wires); several: a,b"),
    ("level", "must|should|may", "the lowest level that fails the run (default: should)"),
    ("baseline", "FILE", "known failures: a JSON object from check id to reason"),
    (
        "checks-as-of",
        "VERSION",
        "only the checks of this release can fail the run; newer ones are shown (default: all)",
    ),
    ("ca", "FILE", "certificates of a private authority, PEM"),
    ("seed", "N", "everything random in the run (default: random, printed)"),
    ("settle", "SECONDS", "how long effects may take to appear (default: 5)"),
    ("json", "FILE", "write the result as JSON"),
    ("report", "FILE", "write the result as one HTML page, to read and to hand on"),
    ("markdown", "FILE", "write a summary as Markdown; on GitHub Actions the job's summary gets it without asking"),
    ("junit", "FILE", "write the result as JUnit XML, a test case for each check"),
    ("sarif", "FILE", "write the failures as SARIF, for code scanning"),
    (
        "command",
        "CMD",
        "shell text that starts the receiver, with {port} filled in and PORT set; we kill it and start it again",
    ),
    ("wait", "SECONDS", "how long the receiver may take to come up (default: not at all; 60 for one that we start)"),
    (
        "downstream",
        "HOST:PORT",
        "the receiver's own store: a proxy in front of it can slow and cut it; {downstream} in the command is its port",
    ),
    ("downstream-port", "PORT", "where that proxy listens, on 127.0.0.1 (default: a free port, printed)"),
    ("explore", "SECONDS", "after the checks, search for sequences of deliveries that fail; each is written to a file"),
    ("replay", "FILE", "only deliver a sequence that --receiver-explore has written, and judge it"),
)
REPEATABLE: tuple[tuple[str, str, str], ...] = (
    (
        "set",
        "[EVENT-TYPE:]/POINTER=VALUE",
        "a field that every event carries, as documented samples have it; repeatable",
    ),
    ("check", "GLOB", "only the checks with these ids; repeatable"),
    ("header", "NAME:VALUE", "an extra header for a gateway on the way; repeatable"),
)
FLAGS: tuple[tuple[str, str], ...] = (
    ("effects-unordered", "the records come in no order that the application shows: order is then not judged"),
    ("baseline-update", "write the file of --receiver-baseline anew: reasons stay, what fails comes, what passes goes"),
    ("allow-incomplete", "exit 0 although gated checks could not run"),
)
