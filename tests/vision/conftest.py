"""What holds for every test of images."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Tests run side by side; threads of small batches would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
