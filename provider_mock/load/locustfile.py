"""What Locust is pointed at: `locust -f …/provider_mock/load/locustfile.py --host URL --provider NAME`."""

from __future__ import annotations

from im_callback.provider_mock.load.user import CallbackUser


class Callbacks(CallbackUser):
    """The user as it is."""
