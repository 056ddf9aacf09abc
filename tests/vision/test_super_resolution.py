"""The task `super_resolution`: small images, the network before and after training, its measures, and refusals."""

import pytest
import torch
from lightning import Trainer
from torch import nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.vision.data.image_data import ImageData
from lab.vision.networks.upscaler import Upscaler, bicubic
from lab.vision.plots.super_resolution import comparison
from lab.vision.super_resolution import SuperResolution


def test_a_small_image_keeps_the_mean_and_256_levels():
    torch.manual_seed(0)
    module = SuperResolution(channels=3, size=32, factor=4)
    smooth = F.interpolate(torch.rand(2, 3, 4, 4), size=32, mode="bilinear")
    small = module.shrunk(smooth)
    assert small.shape == (2, 3, 8, 8)
    torch.testing.assert_close(small.mean((2, 3)), smooth.mean((2, 3)), atol=0.005, rtol=0)
    torch.testing.assert_close(small * 255, (small * 255).round())
    stripes = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    torch.testing.assert_close(module.shrunk(stripes), torch.full((1, 3, 8, 8), 0.5), atol=0.05, rtol=0)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_an_untrained_network_is_bicubic_interpolation_of_any_size(factor):
    torch.manual_seed(0)
    small = torch.rand(2, 3, 6, 9)
    found = Upscaler(3, factor, width=8, depth=2)(small)
    expected = F.interpolate(small, scale_factor=factor, mode="bicubic")
    torch.testing.assert_close(found, expected)


def test_a_pixel_becomes_a_square_by_the_shuffle():
    """With a network of one channel whose maps are constant, pixel (i, j) of each square is map 2 i + j."""
    network = Upscaler(1, 2, width=4, depth=1)
    with torch.no_grad():
        network.end.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    small = torch.zeros(1, 1, 2, 2)
    torch.testing.assert_close(network(small)[0, 0, :2, 2:], torch.tensor([[0.1, 0.2], [0.3, 0.4]]))


def test_psnr_is_the_mean_over_images_in_decibels():
    module = SuperResolution(channels=1, size=16, factor=2)
    images = torch.stack([torch.full((1, 16, 16), 0.5), torch.rand(1, 16, 16)])
    module.network = nn.Upsample(scale_factor=2)
    shown = module.evaluate_batch({"image": images[:1]}), module.evaluate_batch({"image": images[1:]})
    errors = torch.stack([(each["network"] - each["image"]).square().mean() for each in shown])
    found = module.compute_metrics("test")
    torch.testing.assert_close(found["psnr"], (-10 * errors.log10()).mean())
    assert found["bicubic/ssim"] < 1
    torch.testing.assert_close(torch.cat([each["loss"] for each in shown]), errors)


@pytest.mark.slow
def test_letters_come_out_sharper_than_by_interpolation():
    torch.manual_seed(0)
    data = ImageData("letters", max_images=4_000, batch_size=32)
    module = SuperResolution(channels=1, size=28, factor=4, width=16, depth=2, lr=4e-3)
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, max_epochs=3, num_sanity_val_steps=0, **silent)
    trainer.fit(module, data)
    (found,) = trainer.validate(module, data, verbose=False)
    assert found["val/psnr"] > found["val/bicubic/psnr"] + 2, "3 dB where it was measured"
    assert found["val/ssim"] > found["val/bicubic/ssim"] + 0.1


def test_the_plot_has_a_row_for_each():
    images = torch.rand(3, 1, 8, 8)
    small = bicubic(images, 1 / 4)
    drawing = comparison({"small": small, "bicubic": bicubic(small, 4), "network": images, "image": images})
    titles = [axes.get_title(loc="left") for axes in drawing.axes]
    assert titles[0] == "small, 2 x 2"
    assert titles[1].startswith("bicubic, squared error of a pixel 0.")
    assert titles[2:] == ["network, squared error of a pixel 0.0000", "truth"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 30, "factor": 4}, "factor: images of 30 x 30 cannot be divided by 4; set data.size"),
        ({"size": 8, "factor": 2}, "size: SSIM needs images of 11 x 11, found 8 x 8"),
    ],
)
def test_bad_sizes_are_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        SuperResolution(channels=1, **settings)
    assert str(error.value).startswith(message)
