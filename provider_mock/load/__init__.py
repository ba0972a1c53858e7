"""Load beyond what one receiver sees in a day: a Locust user that plays the provider, and our own engine for one process.

Nothing here imports Locust but `user`, `locustfile` and `headless`, which only Locust's own processes load: it
replaces sockets and threads of the whole process by gevent's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from im_callback.provider_mock.contract import Credentials, Provider


@dataclass(frozen=True)
class Load:
    """What a run sends: by how many users at once, for how many seconds, how many deliveries a second in all.

    `rate` None is as fast as it goes. `duplicate` is the share of the deliveries that are sent twice. `credentials`
    are all of them, filled up with the provider's defaults.
    """

    provider: Provider
    credentials: Credentials
    url: str = field(repr=False)
    users: int
    duration: int
    rate: float | None
    workers: int
    duplicate: float
    seed: int
