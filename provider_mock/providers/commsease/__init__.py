"""NetEase CommsEase (YunXin)."""

from im_callback.provider_mock.contract import Credentials, Provider
from im_callback.provider_mock.providers.commsease.data_sync import DataSync
from im_callback.provider_mock.providers.commsease.meeting import Meeting
from im_callback.provider_mock.providers.commsease.neroom import NeRoom
from im_callback.provider_mock.providers.commsease.rtc import Rtc
from im_callback.provider_mock.providers.commsease.server_api import CommsEaseApi
from im_callback.provider_mock.providers.commsease.third_party import ThirdParty


class CommsEase(Provider):
    """NetEase CommsEase."""

    name = "commsease"
    title = "NetEase CommsEase"
    defaults = Credentials("test-key", "test-secret")
    api = CommsEaseApi()


PROVIDER = CommsEase(DataSync(), ThirdParty(), Rtc(), NeRoom(), Meeting())
