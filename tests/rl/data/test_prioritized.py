"""Prioritised replay: chances and weights against their formulas, and a state that is plain and complete."""

import io

import pytest
import torch
from tensordict import TensorDict
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer

from lab.rl.data.buffers.prioritized import PlainPrioritizedSampler
from lab.rl.data.buffers.segments import Segments

ALPHA, BETA = 0.6, 0.4


def buffer(buffer_size=20):
    sampler = PlainPrioritizedSampler(buffer_size, ALPHA, BETA)
    return TensorDictReplayBuffer(
        storage=LazyTensorStorage(buffer_size), sampler=sampler, batch_size=4, generator=torch.default_generator
    )


def collect(replay, rows):
    first = replay.write_count
    replay.extend(TensorDict({"observation": torch.arange(first, first + rows)[:, None].float()}, [rows]))


def test_chances_and_weights_are_those_of_the_paper():
    torch.manual_seed(0)
    replay, errors = buffer(), torch.linspace(0.1, 3.0, 20)
    collect(replay, 20)
    replay.update_priority(torch.arange(20), errors)
    drawn = replay.sample(200_000)
    chance = errors**ALPHA / (errors**ALPHA).sum()
    found = torch.bincount(drawn["index"], minlength=20) / 200_000
    torch.testing.assert_close(found, chance, rtol=0.05, atol=0)
    weight = (20 * chance) ** -BETA
    torch.testing.assert_close(drawn["priority_weight"], (weight / weight.max())[drawn["index"]], rtol=1e-4, atol=0)


def test_new_rows_come_with_the_greatest_error_so_far():
    replay = buffer()
    collect(replay, 5)
    replay.update_priority(torch.arange(5), torch.tensor([0.1, 7.0, 0.2, 0.3, 0.4]))
    collect(replay, 2)
    wanted = torch.tensor([7.0, 7.0]) ** ALPHA
    torch.testing.assert_close(replay.sampler.leaves(torch.tensor([5, 6])), wanted)


@pytest.mark.parametrize("rows", [12, 20, 33])  # not full, just full, around the ring
def test_it_goes_on_with_the_same_draws(rows, tmp_path):
    torch.manual_seed(0)
    replay = buffer()
    for _ in range(rows // 4):
        collect(replay, 4)
        drawn = replay.sample(30)
        replay.update_priority(drawn["index"], torch.rand(30))
    collect(replay, rows % 4) if rows % 4 else None
    segments = Segments(replay)
    names, file = segments.write(tmp_path), io.BytesIO()
    torch.save(segments.state_dict(), file)
    file.seek(0)
    resumed = Segments(buffer())
    resumed.read(tmp_path, names, torch.load(file, weights_only=True))
    for each in (segments, resumed):
        torch.manual_seed(1)
        collect(each.replay, 3)
        for _ in range(5):
            each.drawn = each.replay.sample(30)
            each.replay.update_priority(each.drawn["index"], torch.rand(30))
    assert (segments.drawn == resumed.drawn).all()
    everywhere = torch.arange(20)
    assert torch.equal(replay.sampler.leaves(everywhere), resumed.replay.sampler.leaves(everywhere))


def test_a_capacity_that_changed_keeps_the_newest_priorities(tmp_path):
    replay = buffer(20)
    collect(replay, 27)
    replay.update_priority(torch.arange(20), torch.arange(20) + 1.0)
    segments = Segments(replay)
    names, state = segments.write(tmp_path), segments.state_dict()
    by_row = dict(zip(replay[:]["observation"][:, 0].tolist(), replay.sampler.leaves(torch.arange(20)), strict=True))
    for buffer_size in (8, 50):
        resumed = buffer(buffer_size)
        Segments(resumed).read(tmp_path, names, state)
        rows = resumed[:]["observation"][:, 0].tolist()
        found = resumed.sampler.leaves(torch.arange(len(rows)))
        assert found.tolist() == [float(by_row[row]) for row in rows]
        assert len(rows) == min(buffer_size, 20)
