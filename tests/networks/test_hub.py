"""Pretrained weights from the Hub, on a machine that may be offline."""

import huggingface_hub
import pytest

from lab.errors import LabError
from lab.networks import pretrained_weights
from lab.networks.hub import reachable_hub


class Hub:
    """Stands for the session of huggingface_hub."""

    def __init__(self, there):
        self.there, self.asked = there, 0

    def head(self, *_, **__):
        self.asked += 1
        if not self.there:
            raise RuntimeError("no network")


@pytest.fixture
def hub(request, monkeypatch):
    found = Hub(request.param)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: found)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return found


@pytest.mark.parametrize("hub", [True, False], indirect=True)
def test_the_hub_is_asked_once_whether_it_can_be_reached(hub):
    with reachable_hub():
        assert huggingface_hub.is_offline_mode() is not hub.there
    assert hub.asked == 1
    assert not huggingface_hub.is_offline_mode()


@pytest.mark.parametrize("hub", [False], indirect=True)
@pytest.mark.parametrize("kind", [OSError, RuntimeError, ValueError])
def test_weights_that_are_nowhere_are_one_line(hub, kind):
    message = r"^there are no pretrained weights for timm:resnet18 \(no file here\); .* once online, or leave it out$"
    modes = []

    def load():
        with pretrained_weights("timm:resnet18", otherwise="leave it out"):
            modes.append(huggingface_hub.is_offline_mode())
            raise kind("no file\nhere")

    with pytest.raises(LabError, match=message):
        load()
    assert modes == [True]
    assert not huggingface_hub.is_offline_mode()


@pytest.mark.parametrize("hub", [True], indirect=True)
def test_a_mistake_in_the_code_is_no_missing_file(hub):
    with pytest.raises(ZeroDivisionError), pretrained_weights("timm:resnet18", otherwise="leave it out"):
        raise ZeroDivisionError
