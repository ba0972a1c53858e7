"""The options of an app: the one place that says what an app can be given.

A field of `AppSettings` is an option: its name, type and default, and by its `Option` its limits, what it means and how
to mend it. What the file and the API take, what is answered, stored and read again follows (option.py). What depends on
the provider, or has to be looked up, is checked in settings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from im_callback.provider_mock import providers
from im_callback.provider_mock.addresses import LONGEST
from im_callback.provider_mock.contract import Provider, RetryPolicy
from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.server import option
from im_callback.provider_mock.server.option import Option, Schema

FASTEST = 10_000.0
"""Deliveries per second that an app or a traffic run is asked for at most."""
MOST_FAULTS = 10
"""Faults that the API takes at once."""
LATEST = 253_402_300_799_999
"""The end of the year 9999, in UTC milliseconds."""
VARIABLE = "^[A-Za-z_][A-Za-z0-9_]*$"
"""What an environment variable is called."""
_AMOUNT = {"minimum": 0, "maximum": 10**9}
_ASCII = "^[ -~]*$"
_ADDRESS = {
    # Not a dot: readers of patterns differ in which ends of lines it stands for.
    "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[\s\S]",
    "maxLength": LONGEST,
    "x-wanted": "an address as http://host:port/path, without user name and password",
    "examples": ["http://127.0.0.1:8000/callback"],
}


def fault() -> dict[str, Any]:
    """Return the schema of a fault as text: its pattern holds the names of all there are."""
    return {
        "type": "string",
        # The length is not counted in the pattern: it would take megabytes to compile.
        "pattern": rf"^({'|'.join(catalogue.load())})(:[a-z][a-z-]*=[!-+\--~]+(,[a-z][a-z-]*=[!-+\--~]+)*)?$",
        "maxLength": 400,
        "x-wanted": "the name of a fault of GET /api/v1/faults, with attributes as name:attribute=value,attribute=value",
        "description": "A fault by name, with attributes that differ from their defaults: `name:attribute=value,…`.",
        "examples": ["duplicate:times=2"],
    }


def policies(provider: Provider) -> dict[str, RetryPolicy]:
    """Return the retry policies that an app can choose: of all its provider's feeds, the first one's first, by name."""
    found: dict[str, RetryPolicy] = {}
    for feed in provider.feeds:
        found |= {name: one for name, one in feed.policies.items() if name not in found}
    return found


def _providers() -> Schema:
    return {"enum": [*providers.names(), *providers.unusable()]}


def _policies() -> Schema:
    return {"enum": list(dict.fromkeys(name for each in providers.names() for name in policies(providers.load(each))))}


def feeds() -> dict[str, Any]:
    """Return the schema of a feed's name: it lists those of all providers."""
    names = dict.fromkeys(feed for each in providers.names() for feed in providers.load(each).feed_names)
    return {
        "enum": list(names),
        "x-wanted": "the name of one of the provider's feeds; GET /api/v1/providers lists them",
    }


class Overrides(TypedDict, total=False):
    """What the provider's documents leave open, where an app does not take it as its policy has it.

    `retries` and `spacing_seconds` are for every outcome that the policy retries.
    """

    signed_afresh: Annotated[
        bool,
        Option(
            "give true or false: whether retries are signed anew",
            "false: retries repeat the first attempt's bytes.",
        ),
    ]
    spacing_seconds: Annotated[
        float,
        Option(
            "give the seconds between an attempt and the next, such as 60",
            "Between attempts.",
            _AMOUNT,
        ),
    ]
    retries: Annotated[
        int,
        Option(
            "give how often a delivery is sent again, such as 3",
            "After the first attempt.",
            _AMOUNT,
        ),
    ]
    backlog: Annotated[
        int,
        Option(
            "give how many deliveries can be parked, such as 500000",
            "Deliveries that can be parked.",
            _AMOUNT,
        ),
    ]
    pause_after: Annotated[
        int,
        Option(
            "give after how many time-outs in a row everything pauses; 0: never",
            "Time-outs in a row; 0: never.",
            _AMOUNT,
        ),
    ]
    pause_seconds: Annotated[
        float,
        Option(
            "give how many seconds that pause takes, such as 60",
            limits=_AMOUNT,
        ),
    ]


_REFERENCE: dict[str, Any] = {
    "limits": {"pattern": r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00]+)$"},
    "api": {
        "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:[ -~]+)$",
        "maxLength": 500,
        "x-wanted": "env:NAME or file:PATH",
    },
    "only": "api",
    "secret": True,
    "answered": False,
}
"""What options have in common that say where a secret is."""
_SECRET: dict[str, Any] = {"limits": {"minLength": 1}, "secret": True, "stored": False, "answered": False}
_LITERAL = _SECRET | {"api": {"maxLength": 1000}}
_IN_FILE = _SECRET | {"only": "file"}
"""What those have in common that hold a secret itself, and those that only the file can have."""


class SecretKeys(TypedDict, total=False):
    """How the file says where a secret is, which is `secret_ref` otherwise."""

    app_secret_env: Annotated[
        str,
        Option(
            "give the name of the environment variable that holds the secret",
            limits={"pattern": VARIABLE},
            secret=True,
        ),
    ]
    app_secret_file: Annotated[
        str,
        Option(
            "give the path of the file that holds the secret",
            limits={"pattern": r"^[^\x00]+$"},
        ),
    ]


class PreviousSecretKeys(TypedDict, total=False):
    """How the file says where the previous secret is, which is `previous_secret_ref` otherwise."""

    previous_secret_env: Annotated[
        str,
        Option(
            "give the name of the environment variable that holds the previous secret",
            limits={"pattern": VARIABLE},
            secret=True,
        ),
    ]
    previous_secret_file: Annotated[
        str,
        Option(
            "give the path of the file that holds the previous secret",
            limits={"pattern": r"^[^\x00]+$"},
        ),
    ]


class ApiSecretKeys(TypedDict, total=False):
    """How the file says where the secret of the server API is, which is `api_secret_ref` otherwise."""

    api_secret_env: Annotated[
        str,
        Option(
            "give the name of the environment variable that holds the secret of the server API",
            limits={"pattern": VARIABLE},
            secret=True,
        ),
    ]
    api_secret_file: Annotated[
        str,
        Option(
            "give the path of the file that holds the secret of the server API",
            limits={"pattern": r"^[^\x00]+$"},
        ),
    ]


class PreviousApiSecretKeys(TypedDict, total=False):
    """How the file says where the previous secret of the server API is, which is `previous_api_secret_ref` otherwise."""

    previous_api_secret_env: Annotated[
        str,
        Option(
            "give the name of the environment variable that holds the previous secret of the server API",
            limits={"pattern": VARIABLE},
            secret=True,
        ),
    ]
    previous_api_secret_file: Annotated[
        str,
        Option(
            "give the path of the file that holds the previous secret of the server API",
            limits={"pattern": r"^[^\x00]+$"},
        ),
    ]


@dataclass(frozen=True, slots=True, repr=False)
class AppSettings:
    """An app as it is asked for.

    Of `app_secret` (the secret itself) and `secret_ref` (`env:NAME`, `file:PATH`) at most one is
    given. With neither, an app that exists keeps the one it has, and a new one takes the provider's
    test secret; the secret `none` means that nothing is signed, where the provider can be set so.
    Without `app_key` it is the provider's test key. `policy` None is the provider's first one.
    `headers` None: those it has, or none. `faults` None: those it has, or none. `rate` is how many
    deliveries start per second at most; None: as many as can. After `give_up_hours` of nothing but
    failures the app is switched off until it is replaced or resumed; None: never.
    Calls of the provider's server API are signed with `api_secret` or what `api_secret_ref` leads to; with
    neither, with the secret of the callbacks. They cause events of `api_feeds`; None: of all feeds.
    While a secret is changed, until `overlap_until` (UTC milliseconds of the server's clock), deliveries accepted before are
    signed with the previous secret, and calls may be signed with either. An app that is replaced keeps the previous secrets
    where nothing is said of them and its secrets stay; with other secrets and an overlap, the ones it had are the previous.
    """

    provider: Annotated[
        str,
        Option(
            'give the IM service that is played, such as "commsease"',
            api=_providers,
        ),
    ]
    endpoint: Annotated[
        str,
        Option(
            'give the address that callbacks are posted to, such as "http://127.0.0.1:8000/callbacks"',
            "Where callbacks are posted. Link-local addresses and those of metadata services are refused, "
            "unless the server's configuration file allows them.",
            api=_ADDRESS,
        ),
    ]
    app_key: Annotated[
        str | None,
        Option(
            "give the AppKey, appKey or SdkAppid as text",
            "AppKey, appKey or SdkAppid; left out: the provider's test key.",
            api={
                "pattern": "^[!-~]([ -~]*[!-~])?$",
                "maxLength": 200,
                "x-wanted": "up to 200 printable ASCII characters without spaces around them",
            },
            answered={"type": "string"},
        ),
    ] = None
    app_secret: Annotated[
        str | None,
        Option(
            "give the secret as text",
            "The secret itself; it is kept in a file and never answered. `none`: nothing is signed, where "
            "the provider can be set so. With neither this nor secret_ref an app keeps its secret, and a new one "
            "takes the provider's test secret.",
            **_LITERAL,
        ),
    ] = None
    secret_ref: Annotated[
        str | None,
        Option(
            "write env:NAME or file:PATH",
            "Where the server finds the secret: `file:PATH`, below the server's `secret_folder`, or `env:NAME`, one of "
            "its `secret_variables`; both are set in its configuration file.",
            **_REFERENCE,
            in_file=SecretKeys,
            stored=False,
        ),
    ] = None
    policy: Annotated[
        str | None,
        Option(
            "give the name of one of the provider's retry policies",
            "One of the provider's retry policies; left out: its first.",
            api=_policies,
            answered={"type": "string"},
        ),
    ] = None
    endpoints: Annotated[
        Mapping[
            Annotated[str, Option("give the name of one of the provider's feeds", api=feeds)],
            Annotated[
                str, Option('give the address of this feed, such as "http://127.0.0.1:8000/rooms"', api=_ADDRESS)
            ],
        ],
        Option(
            'write a table of feeds with an address of their own: endpoints = {FEED = "http://host:port/path"}',
            "Where events of these feeds are posted, by the feed's name; those of the others go to `endpoint`.",
        ),
    ] = field(default_factory=dict)
    options: Annotated[
        Overrides,
        Option(
            "write a table of what the policy leaves open",
            "What the provider's documents leave open; left out: as the policy has it.",
        ),
    ] = field(default_factory=Overrides)
    concurrency: Annotated[
        int,
        Option(
            "give how many requests can be under way at once, {minimum} to {maximum}",
            "Requests under way at once.",
            {"minimum": 1, "maximum": 1000},
            answered={"type": "integer", "minimum": 0},
        ),
    ] = 64
    headers: Annotated[
        Mapping[
            Annotated[
                str,
                Option(
                    "give a header's name",
                    api={
                        "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
                        "maxLength": 100,
                        "x-wanted": "a header's name: letters, digits and hyphens",
                    },
                ),
            ],
            Annotated[
                str,
                Option(
                    "give the header's value as text",
                    api={"pattern": _ASCII, "maxLength": 2000, "x-wanted": "printable ASCII"},
                    secret=True,
                ),
            ],
        ]
        | None,
        Option(
            'write a table of extra headers: headers = {"X-Name" = "value"}',
            "Extra headers, as for a gateway on the way; none that says where the body ends, belongs to the "
            "connection or to the provider's signature. Their values are never answered. Left out: an app keeps those it has.",
            api={"maxProperties": 50},
            secret=True,
            kept=True,
            answered={"type": "array", "items": {"type": "string"}, "description": "Names alone."},
        ),
    ] = None
    ca_file: Annotated[
        str | None,
        Option(
            "give the path of the certificates of a private authority, in PEM",
            limits={"minLength": 1},
            only="file",
            path=True,
            stored=False,
        ),
    ] = None
    proxy: Annotated[
        str | None,
        Option(
            'give the proxy as "http://host:port"',
            limits={"minLength": 1},
            only="file",
            secret=True,
            # Without its password.
            answered={"type": ["string", "null"]},
        ),
    ] = None
    faults: Annotated[
        tuple[Annotated[str, Option('give a fault as text, such as "duplicate:times=2"', api=fault)], ...] | None,
        Option(
            'give a list of faults, such as ["duplicate:times=2"]; provider-mock faults lists them',
            "Standing faults, applied to everything accepted. Left out: an app keeps its.",
            api={"maxItems": MOST_FAULTS},
            kept=True,
        ),
    ] = None
    rate: Annotated[
        float | None,
        Option(
            "give how many deliveries start per second at most, above 0 and up to {maximum}",
            "Deliveries that start per second at most; left out: as many as can.",
            {"exclusiveMinimum": 0, "maximum": FASTEST},
        ),
    ] = None
    give_up_hours: Annotated[
        float | None,
        Option(
            "give after how many hours of failures nothing is sent any more, such as 24",
            "After so many hours of nothing but failures the app is switched off, and its deliveries wait; "
            "resuming or replacing it switches it on again. Left out: never.",
            {"exclusiveMinimum": 0, "maximum": 87_600.0},
        ),
    ] = None

    api_secret: Annotated[
        str | None,
        Option(
            "give the secret of the server API as text",
            **_IN_FILE,
        ),
    ] = None
    api_secret_ref: Annotated[
        str | None,
        Option(
            "write env:NAME or file:PATH",
            "Where the server finds the secret that calls of the provider's server API are signed with, as "
            "`secret_ref` says it; left out: that of the callbacks.",
            **_REFERENCE,
            in_file=ApiSecretKeys,
        ),
    ] = None
    api_feeds: Annotated[
        tuple[Annotated[str, Option("give the name of one of the provider's feeds", api=feeds)], ...] | None,
        Option(
            'give a list of feeds, such as api_feeds = ["message-route"]',
            "The feeds whose events calls of the provider's server API cause; left out: all.",
            api={"maxItems": 100},
            answered={"type": ["array", "null"], "items": {"type": "string"}},
        ),
    ] = None
    previous_secret: Annotated[
        str | None,
        Option(
            "give the previous secret as text",
            "The secret before this one; it is kept in a file and never answered. With `overlap_until` and another secret than "
            "before it is left out: the one before is kept.",
            **_LITERAL,
        ),
    ] = None
    previous_secret_ref: Annotated[
        str | None,
        Option(
            "write env:NAME or file:PATH",
            "Where the server finds the previous secret, as `secret_ref` says it.",
            **_REFERENCE,
            in_file=PreviousSecretKeys,
        ),
    ] = None
    previous_api_secret: Annotated[
        str | None,
        Option(
            "give the previous secret of the server API as text",
            **_IN_FILE,
        ),
    ] = None
    previous_api_secret_ref: Annotated[
        str | None,
        Option(
            "write env:NAME or file:PATH",
            "Where the server finds the previous secret of the server API; left out: where that has none of its own, the "
            "previous one of the callbacks.",
            **_REFERENCE,
            in_file=PreviousApiSecretKeys,
        ),
    ] = None
    overlap_until: Annotated[
        int | None,
        Option(
            "give UTC milliseconds; in a file also a time with its zone, such as 2030-01-31T12:00:00Z",
            "Until when, in UTC milliseconds of the server's clock, both secrets hold: deliveries accepted before the "
            "change are signed with the previous one, and calls of the provider's server API may be signed with either.",
            {"minimum": 0, "maximum": LATEST},
        ),
    ] = None

    @property
    def names_previous(self) -> bool:
        """Whether it says what the previous secret of the callbacks or of the server API is."""
        callbacks = self.previous_secret is not None or self.previous_secret_ref is not None
        return callbacks or self.previous_api_secret is not None or self.previous_api_secret_ref is not None

    def __repr__(self) -> str:
        return option.shown(self)
