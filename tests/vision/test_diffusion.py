"""The task `diffusion`: schedules, steps against closed forms, the network, guidance, samples, and what it refuses."""

import math

import pytest
import torch
from lightning import Trainer

from lab.errors import BadInput, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.image_data import ImageData
from lab.vision.diffusion.diffusion import Diffusion
from lab.vision.diffusion.noise_schedule import NoiseSchedule
from lab.vision.diffusion.plots import denoising
from lab.vision.diffusion.unet import UNet, wave

FACTS = {"channels": 1, "size": 8, "class_names": [*"abcdefghij"]}


def small(**settings):
    torch.manual_seed(0)
    return Diffusion(**FACTS, **{"widths": [8, 16], "sampling_steps": 4} | settings)


def test_the_schedules_are_those_of_the_papers():
    linear, cosine = NoiseSchedule("linear", 1000).signal, NoiseSchedule("cosine", 1000).signal
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    torch.testing.assert_close(linear, (1 - betas).cumprod(0).float())
    start = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert float(cosine[499]) == pytest.approx(math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2 / start, rel=1e-5)
    for signal in (linear, cosine, NoiseSchedule("linear", 10).signal):
        assert (signal.diff() < 0).all()
        assert signal[-1] < 1e-4
    assert NoiseSchedule("cosine", 100).sampling_times(4) == [99, 66, 33, 0]
    assert NoiseSchedule("cosine", 3).sampling_times(9) == [2, 1, 0]


def test_noise_has_the_share_of_the_variance_that_the_schedule_says():
    schedule = NoiseSchedule("cosine", 100)
    images = torch.randn(2, 1, 200, 200)
    noisy = schedule.add_noise(images, torch.tensor([10, 90]), torch.randn_like(images))
    assert noisy.flatten(1).var(1).tolist() == pytest.approx([1, 1], abs=0.02)
    shared = (noisy * images).flatten(1).mean(1)
    assert shared.tolist() == pytest.approx(schedule.signal[[10, 90]].sqrt().tolist(), abs=0.02)


def test_the_velocity_says_the_noise_and_is_learnt_as_the_noise_is():
    schedule, times = NoiseSchedule("cosine", 100), torch.tensor([0, 50, 99])
    images, noise = torch.rand(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    noisy, velocity = schedule.add_noise(images, times, noise), schedule.velocity(images, times, noise)
    torch.testing.assert_close(schedule.velocity_to_noise(noisy, velocity, times), noise, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(velocity[2], -images[2], atol=0.15, rtol=0)
    module = small(prediction="velocity")
    batch = {"image": torch.rand(8, 1, 8, 8), "label": torch.arange(8)}
    optimizer = torch.optim.Adam(module.network.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        torch.manual_seed(0)  # the same times and noise again
        losses.append(module.training_loss(batch, 0.0))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_one_step_of_ddpm_is_the_posterior_of_the_paper():
    schedule = NoiseSchedule("linear", 1000)
    clean, noise, fresh = 0.3 * torch.rand(1, 1, 4, 4), torch.randn(1, 1, 4, 4), torch.randn(1, 1, 4, 4)
    time = 400
    noisy = schedule.add_noise(clean, torch.tensor([time]), noise)
    before, now = schedule.signal[time - 1], schedule.signal[time]
    beta = 1 - now / before
    mean = before.sqrt() * beta / (1 - now) * clean + (now / before).sqrt() * (1 - before) / (1 - now) * noisy
    expected = mean + (beta * (1 - before) / (1 - now)).sqrt() * fresh
    torch.testing.assert_close(schedule.step(noisy, noise, time, time - 1, 1.0, fresh), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(schedule.step(noisy, noise, time, -1, 0.0, fresh), clean, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("eta", "steps"), [(0.0, 25), (1.0, 200)])
def test_the_true_noise_of_normal_images_leads_back_to_their_distribution(eta, steps):
    schedule, mean, deviation = NoiseSchedule("cosine", 200), 0.2, 0.15
    torch.manual_seed(0)
    images = torch.randn(4_000, 1, 1, 1)
    times = schedule.sampling_times(steps)
    for time, earlier in zip(times, [*times[1:], -1], strict=True):
        share = schedule.signal[time]
        variance = share * deviation**2 + 1 - share
        noise = (1 - share).sqrt() * (images - share.sqrt() * mean) / variance  # its expectation
        images = schedule.step(images, noise, time, earlier, eta, torch.randn_like(images))
    assert float(images.mean()) == pytest.approx(mean, abs=0.02)
    assert float(images.std()) == pytest.approx(deviation, abs=0.03)


@pytest.mark.parametrize(("channels", "size", "widths", "patch"), [(1, 8, [8], 1), (3, 32, [8, 16, 24], 2)])
def test_the_network_finds_noise_of_the_images_shape(channels, size, widths, patch):
    images, times = torch.randn(2, channels, size, size), torch.tensor([0, 999])
    network = UNet(channels, widths, patch)
    assert network(images, times).shape == images.shape
    waves = wave(times, 8)
    assert waves[0].tolist() == [0] * 4 + [1] * 4


def test_a_class_and_guidance_change_the_images():
    plain, unconditional = small(), small(condition="none")
    for module in (plain, unconditional):
        torch.nn.init.normal_(module.averaged.module.end[-1].weight)
    images = plain.sample(2, label="c")
    assert images.shape == (2, 1, 8, 8)
    assert torch.equal(images, plain.sample(2, label="c"))
    assert not torch.equal(images, plain.sample(2, label="d"))
    assert not torch.equal(images, plain.sample(2, label="c", seed=1))
    plain.guidance = 3.0
    assert not torch.equal(images, plain.sample(2, label="c"))
    plain.guidance = 0.0  # so does an image of any class come
    assert torch.equal(plain.sample(2, label="c"), plain.sample(2, label="d"))
    with pytest.raises(BadInput, match="this Diffusion is unconditional"):
        unconditional.sample(1, label="c")
    with pytest.raises(BadInput, match=r"^no class 'C'"):
        plain.sample(1, label="C")


def test_the_average_follows_the_weights_and_is_not_trained():
    module = small(ema_decay=0.9)
    trained = {id(weight) for group in module.configure_optimizers().param_groups for weight in group["params"]}
    assert trained == {id(weight) for weight in module.network.parameters()}
    with torch.no_grad():
        module.network.stem.bias.fill_(1)
    module.on_train_batch_end()
    assert torch.equal(module.averaged.module.stem.bias, module.network.stem.bias)
    assert small(ema_decay=0.0).averaged is None


def test_the_way_from_noise_can_be_drawn(tmp_path):
    drawing = denoising([torch.rand(3, 1, 8, 8) for _ in range(20)], list(range(20)))
    assert [text.get_text() for text in drawing.axes[0].get_yticklabels()] == [
        "0",
        "3",
        "5",
        "8",
        "11",
        "14",
        "16",
        "19",
    ]
    drawing.savefig(tmp_path / "denoising.png")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.widths=[30]", "model.widths.0: expected a whole number above 0 and divisible by 8, found 30"),
        ("model.widths=[]", "model.widths: "),
        (
            "model.widths=[8,8,8,8,8]",
            "model.widths: 5 widths and a patch of 1 need an image size divisible by 16; found 8",
        ),
        ("model.sampling_steps=2000", "model.sampling_steps: must be at most noise_steps, 1000; found 2000"),
        ("model.noise_schedule=cosinus", "model.noise_schedule: expected 'linear' or 'cosine', found 'cosinus'"),
        ("data.name=faces", "data: this dataset has no labels, which the reference classifier needs"),
    ],
)
def test_a_bad_recipe_is_one_line(override, message):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("diffusion_digits"), [override]))
    (problem,) = error.value.problems
    assert message in str(problem)
    assert "\n" not in str(problem)


@pytest.mark.long
def test_digits_can_be_read_and_are_those_that_were_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    torch.manual_seed(0)
    recipe = load(find_recipe("diffusion_digits"))
    module, data = Diffusion(**FACTS, **recipe.model), ImageData(**recipe.data)
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(max_epochs=25, accelerator="cpu", devices=1, logger=False, limit_val_batches=0, **silent)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    assert found["test/conditional_accuracy"] > 0.8
    assert found["test/fid"] < 40, "8 after all epochs; about 900 before training"
