"""The loader: batches that follow from seed, epoch and number alone, shared by processes, and found again."""

import weakref

import pytest
import torch

from lab.data import Ragged, Table, TableLoader, seed_from


def numbered(n):
    return Table({"x": torch.arange(n), "label": torch.arange(n) % 3})


def rows(loader):
    return [batch["x"].tolist() for batch in loader]


def test_an_epoch_shows_every_row_once_in_another_order():
    loader = TableLoader(numbered(60), 16, seed=3)
    found = rows(loader)
    assert [len(batch) for batch in found] == [16, 16, 16]
    assert len(loader) == 3
    assert len({row for batch in found for row in batch}) == 48
    assert found == rows(loader)
    assert found != rows(TableLoader(numbered(60), 16, seed=4))


def test_columns_stay_together():
    for seed in (None, 1):
        for batch in TableLoader(numbered(20), 6, seed=seed):
            assert torch.equal(batch["label"], batch["x"] % 3)


def test_the_order_is_that_of_seed_and_epoch():
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed_from(7, 2))).tolist()
    assert rows(TableLoader(numbered(10), 5, seed=7, position=lambda: (2, 0))) == [order[:5], order[5:]]


def test_an_epoch_begins_where_it_is_told():
    whole = rows(TableLoader(numbered(50), 8, seed=0, position=lambda: (1, 0)))
    for seen in range(7):
        assert rows(TableLoader(numbered(50), 8, seed=0, position=lambda n=seen: (1, n))) == whole[seen:]
    assert rows(TableLoader(numbered(50), 8, seed=0)) != whole


def test_the_position_is_asked_anew_in_every_epoch():
    epochs = iter([(0, 0), (1, 0)])
    loader = TableLoader(numbered(50), 8, seed=0, position=lambda: next(epochs))
    assert rows(loader) != rows(loader)
    asked = []
    iterator = iter(TableLoader(numbered(50), 8, seed=0, position=lambda: asked.append(1) or (0, 0)))
    assert asked == [], "Lightning makes the iterator before it counts the new epoch"
    next(iterator)
    assert asked == [1]


def test_no_batch_is_kept_while_the_next_one_is_made():
    batches = iter(TableLoader(numbered(60), 16, seed=3))
    column = weakref.ref(next(batches)["x"])
    assert column() is None


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_batch_and_no_row(world_size):
    for seed in (None, 0):
        parts = [
            rows(TableLoader(numbered(51), 8, seed=seed, rank=r, world_size=world_size)) for r in range(world_size)
        ]
        assert len({len(part) for part in parts}) == 1  # or one would wait for the others for ever
        seen = [row for part in parts for batch in part for row in batch]
        assert len(seen) == len(set(seen)) == (51 if seed is None else 48)
    together = [rows(TableLoader(numbered(48), 8, seed=0, rank=rank, world_size=2)) for rank in range(2)]
    alone = rows(TableLoader(numbered(48), 16, seed=0))
    assert [[*a, *b] for a, b in zip(*together, strict=True)] == alone


def test_in_order_everything_is_shown_in_batches_of_nearly_one_size():
    loader = TableLoader(numbered(50), 16)
    found = rows(loader)
    assert [row for batch in found for row in batch] == list(range(50))
    assert [len(batch) for batch in found] == [13, 13, 12, 12]
    assert len(loader) == 4


def test_few_rows_make_a_small_batch():
    assert rows(TableLoader(numbered(3), 16)) == [[0, 1, 2]]
    assert [len(batch) for batch in rows(TableLoader(numbered(3), 16, seed=0))] == [3]


def test_random_changes_have_a_generator_for_each_batch():
    def noise(batch, generator):
        return batch | {"noise": torch.rand(len(batch["x"]), generator=generator)}

    def noises(rank=0, **settings):
        loader = TableLoader(numbered(48), 8, rank=rank, world_size=2, transform=noise, **settings)
        return [batch["noise"].tolist() for batch in loader]

    first = noises(seed=0)
    torch.rand(3)  # the global generator has no part in it
    assert first == noises(seed=0)
    assert first[1:] == noises(seed=0, position=lambda: (0, 1))
    assert len({tuple(batch) for batch in (*first, *noises(seed=0, rank=1), *noises(seed=1))}) == 9
    expected = torch.rand(8, generator=torch.Generator().manual_seed(seed_from(0, 0, 2, 1))).tolist()
    assert noises(seed=0, rank=1)[2] == expected
    with pytest.raises(KeyError):
        next(iter(TableLoader(numbered(48), 8, transform=noise)))["noise"]


def test_ragged_rows_are_padded_by_batch_unless_told_otherwise():
    table = Table({"words": Ragged.from_rows([torch.ones(n, dtype=torch.int64) for n in (1, 2, 3, 4)])})
    assert [batch["words"].shape for batch in TableLoader(table, 2)] == [(2, 2), (2, 4)]
    assert [batch["words_mask"].sum().item() for batch in TableLoader(table, 2)] == [3, 7]
    fixed = TableLoader(table, 2, collate=lambda rows: rows.padded(length=3))
    assert [batch["words"].shape for batch in fixed] == [(2, 3), (2, 3)]
