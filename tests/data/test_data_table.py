"""Tables of tensors: rows, columns, ragged rows, and what is refused."""

import pytest
import torch

from lab.data import Ragged, Table, concat

ROWS = [torch.tensor([1, 2, 3]), torch.tensor([], dtype=torch.int64), torch.tensor([4]), torch.tensor([5, 6])]


def lists(ragged):
    return [ragged[i].tolist() for i in range(len(ragged))]


@pytest.fixture
def table():
    return Table(
        {"x": torch.arange(8.0).view(4, 2), "words": Ragged.from_rows(ROWS), "label": torch.tensor([0, 1, 0, 1])}
    )


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [
        (torch.tensor([3, 0, 0]), [3, 0, 0]),
        ([2, 1], [2, 1]),
        ([], []),
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        (torch.tensor([True, False, False, True]), [0, 3]),
    ],
)
def test_indexing_by_rows_gives_a_table_of_them(table, rows, numbers):
    found = table[rows]
    assert len(found) == len(numbers)
    assert found["x"].tolist() == [[2.0 * i, 2 * i + 1] for i in numbers]
    assert lists(found["words"]) == [ROWS[i].tolist() for i in numbers]
    assert found["label"].tolist() == [i % 2 for i in numbers]


def test_ragged_rows_of_any_shape_keep_their_dtype():
    frames = Ragged.from_rows([torch.rand(n, 2, 3, dtype=torch.float64) for n in (4, 1, 0, 2)])
    assert (len(frames), frames.lengths.tolist(), frames[3].shape) == (4, [4, 1, 0, 2], (2, 2, 3))
    assert torch.equal(frames[-1], frames[3])
    dense, mask = frames.padded(fill=-1)
    assert (dense.shape, dense.dtype, mask.shape) == ((4, 4, 2, 3), torch.float64, (4, 4))
    assert (dense[~mask] == -1).all()
    for i in range(4):
        assert torch.equal(dense[i][mask[i]], frames[i])
    with pytest.raises(IndexError, match="row 4 of 4"):
        frames[4]


def test_padding_has_a_length_of_ones_own():
    short, mask = Ragged.from_rows(ROWS).padded(length=2)
    assert short.tolist() == [[1, 2], [0, 0], [4, 0], [5, 6]]
    assert mask.sum(1).tolist() == [2, 0, 1, 2]
    long, mask = Ragged.from_rows(ROWS).padded(fill=9, length=4)
    assert long.tolist() == [[1, 2, 3, 9], [9, 9, 9, 9], [4, 9, 9, 9], [5, 6, 9, 9]]
    assert mask.shape == (4, 4)


def test_a_padded_table_has_a_mask_for_each_ragged_column(table):
    batch = table.padded()
    assert list(batch) == ["x", "words", "words_mask", "label"]
    assert batch["words"].tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0], [5, 6, 0]]
    assert torch.equal(batch["words_mask"], batch["words"] > 0)
    assert batch["x"] is table["x"]


def test_no_rows_are_a_table_too(table):
    nothing = table[[]]
    assert len(nothing) == 0
    assert nothing.padded()["words"].shape == (0, 0)


def test_tables_are_put_together_in_order(table):
    both = concat([table[2:], table[:2]])
    assert lists(both["words"]) == [row.tolist() for row in (*ROWS[2:], *ROWS[:2])]
    assert both["x"].tolist() == [*table["x"][2:].tolist(), *table["x"][:2].tolist()]
    assert len(both["words"].values) == 6
    for other in ([], [table, table.assign({"more": torch.zeros(4)})]):
        with pytest.raises(ValueError, match="same columns"):
            concat(other)


def test_columns_are_replaced_and_added_without_a_change_of_the_old_table(table):
    more = table.assign({"label": torch.ones(4), "weight": torch.zeros(4)})
    assert "weight" in more
    assert "weight" not in table
    assert more["label"].sum() == 4
    assert table["label"].sum() == 2


def test_everything_moves_to_a_device(table):
    moved = table.to("meta")
    assert {moved.device, moved["label"].device, moved["words"].device} == {torch.device("meta")}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": torch.zeros(3), "y": torch.zeros(2)}, "found x 3, y 2"),
        ({"x": torch.zeros(3), "words": Ragged.from_rows(ROWS)}, "found x 3, words 4"),
        ({}, "found no column"),
    ],
)
def test_columns_of_different_length_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Table(columns)


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 3, 2, 3], []])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets rise from 0 to the number of values, 3"):
        Ragged(torch.zeros(3), torch.tensor(offsets, dtype=torch.int64))


def test_one_row_is_no_table(table):
    with pytest.raises(TypeError, match="found the number 2"):
        table[2]
