"""Tencent Cloud Chat, and the kits beside it."""

from im_callback.provider_mock.contract import Credentials, Feed, Provider
from im_callback.provider_mock.providers.tencent.after import After, Moderation, Push
from im_callback.provider_mock.providers.tencent.before import Before
from im_callback.provider_mock.providers.tencent.kits import Call, Live, LiveBefore, Room
from im_callback.provider_mock.providers.tencent.server_api import TencentApi


class Tencent(Provider):
    """Tencent Cloud Chat."""

    name = "tencent"
    title = "Tencent Cloud Chat"
    defaults = Credentials("1400000001", "test-token")
    unsigned = True
    api = TencentApi()

    @property
    def usual_feeds(self) -> tuple[Feed, ...]:
        """The chat's own: its console has one address for what is asked and for what is told."""
        return self.feeds[:2]


PROVIDER = Tencent(After(), Before(), Push(), Moderation(), Call(), Room(), Live(), LiveBefore())
