"""CSV files of numbers: what is read, and the one line that refuses a file with its row and its column."""

import pytest

from lab.data import read_csv
from lab.errors import BadSetting


@pytest.fixture
def written(tmp_path):
    def write(content, name="prices.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def numbers(file, column="price", gaps="refuse", **settings):
    found = read_csv(file, **settings)
    found.check_order()
    return found.numbers(column, gaps)


@pytest.mark.parametrize(
    ("content", "column", "settings"),
    [
        ("day,price\n2026-01-01,1\n2026-01-02,2.5\n", "price", {}),
        ("1\n2.5\n", "1", {}),
        ("# from a bank\nprice\n1\n\n+2.5e0\n", "price", {}),
        ('\ufeffprice,note\r\n1,"a, b"\r\n2.5,\r\n', "price", {}),
        ("day;price\n1;1\n2;2.5\n", "price", {"delimiter": ";"}),
        ("größe\n1\n2.5\n".encode("latin-1"), "größe", {"encoding": "latin-1"}),
        ("price\n1\n2.5\n".encode("utf-16"), "price", {"encoding": "utf-16"}),
    ],
    ids=["named", "bare", "comment", "mark", "semicolon", "latin-1", "utf-16"],
)
def test_a_column_is_read(content, column, settings, written):
    assert numbers(written(content), column, **settings) == [1.0, 2.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "path: {file} is empty"),
        ("\n# nothing\n", "path: {file} is empty"),
        ("day,price\n", "path: {file} has the names of columns and no rows"),
        (
            "day,price\n1,2\n2,\n",
            "path: {file}:3: column price: no value; fill it in",
        ),
        ("day,price\n1,2\n2,NA\n", "path: {file}:3: column price: no value ('NA'); fill it in"),
        ("day,price\n1,2\n\n2,high\n", "path: {file}:4: column price: expected a number, found 'high'"),
        ("day,price\n1,1_000\n", "path: {file}:2: column price: expected a number, found '1_000'"),
        ("day,price\n1,1e999\n", "path: {file}:2: column price: expected a number, found '1e999'"),
        ("day,price\n1,inf\n", "path: {file}:2: column price: expected a number, found 'inf'"),
        ("day,price\n1,١\n", "path: {file}:2: column price: expected a number, found '١'"),
        ("day,price\n1,2,3\n", "path: {file}:2: expected 2 cells as in the first row, found 3"),
        ("day,price\n1\n", "path: {file}:2: expected 2 cells as in the first row, found 1"),
        ("price,price\n1,2\n", "path: {file}:1: two columns are called 'price'"),
        ("day,prices\n1,2\n", "column: {file} has no column 'price'; did you mean 'prices'?"),
        ("a,b\n1,2\n", "column: {file} has no column 'price'; it has a, b"),
        ("day;price\n1;2\n", "path: {file} has one column, with ';' in it; separate them by ','"),
        (b"day,price\n1,2\nmai,\xe9\n", "path: {file}:3: byte 0xe9 is not UTF-8; save it as UTF-8"),
        ("day,price\n".encode("utf-16"), "path: {file} is text of UTF-16; save it as UTF-8"),
        ('day,price\n1,"2\n', "path: {file}:2: unexpected end of data"),
        ("d,price\n2026-02-01,1\n2026-01-01,2\n", "path: {file}:3: column d: 2026-01-01 comes after 2026-02-01; sort"),
        ("d,price\n2026/02/01,1\n2026/01/01,2\n", "path: {file}:3: column d: 2026/01/01 comes after 2026/02/01; sort"),
        ("t,price\n1700000060,1\n1700000000,2\n", "path: {file}:3: column t: 1700000000 comes after 1700000060; sort"),
        (
            "d,shop,price\n2026-01-01,a,1\n2026-01-01,b,2\n",
            "path: {file}:3: column d: 2026-01-01 comes twice; a",
        ),
        ("day,price\n1,1e300\n", "path: {file}:2: column price: 1e300 is beyond 1e+18"),
        ("d,price\n19-Sep-03,1\n18-Sep-03,2\n", "path: {file}:3: column d: 18-Sep-03 comes after 19-Sep-03; sort"),
    ],
)
def test_what_cannot_be_used_is_one_line(content, message, written):
    file = written(content)
    with pytest.raises(BadSetting) as error:
        numbers(file)
    assert str(error.value).startswith(message.format(file=file))
    assert "\n" not in str(error.value)


def test_settings_are_advised_where_the_task_has_them(written):
    cases = {
        "day;price\n1;2\n": "set `delimiter` to ';'",
        b"day,price\nmai,\xe9\n": "save it as UTF-8, or set `encoding`",
        "day,price\n1,\n": "fill it in, or set `gaps` to drop or interpolate",
    }
    for content, advice in cases.items():
        with pytest.raises(BadSetting) as error:
            read_csv(written(content), encoding="utf-8").numbers("price", gaps="refuse")
        assert str(error.value).endswith(f"; {advice}")
        with pytest.raises(BadSetting) as error:
            read_csv(written(content)).numbers("price")
        assert "set `" not in str(error.value)


def test_a_file_that_is_not_there_and_a_folder_are_one_line(tmp_path):
    with pytest.raises(BadSetting, match=r"nowhere.csv cannot be read: No such file or directory$"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(BadSetting, match=r"cannot be read: Is a directory$"):
        read_csv(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "klingon"}, "encoding: Python knows no encoding 'klingon'"),
        ({"encoding": "hex"}, "encoding: 'hex' cannot be used"),
        ({"delimiter": ";;"}, "delimiter: expected one character, found ';;'"),
        ({"delimiter": ""}, "delimiter: expected one character, found ''"),
        ({"delimiter": "\n"}, "delimiter: expected one character, found '\\n'"),
    ],
)
def test_settings_that_cannot_be_are_one_line(settings, message, written):
    with pytest.raises(BadSetting) as error:
        read_csv(written("a,b\n1,2\n"), **settings)
    assert str(error.value).startswith(message)


def test_days_and_months_in_either_order_may_rise(written):
    assert numbers(written("d,price\n01/02/2026,1\n02/01/2026,2\n")) == [1, 2], "rises as month/day"


@pytest.mark.parametrize(
    ("gaps", "expected"), [("drop", [1, 4, 5]), ("interpolate", [1, 2, 3, 4, 5])], ids=["drop", "interpolate"]
)
def test_gaps_are_filled_as_asked(gaps, expected, written):
    assert numbers(written("day,price\n1,1\n2,\n3,nan\n4,4\n5,5\n"), gaps=gaps) == expected


def test_a_gap_at_an_end_has_no_neighbours(written):
    for content, line in (("p\n1\nNA\n", 3), ("p\nNA\n1\n", 2), ("p\nNA\nNA\n", 2)):
        file = written(content)
        with pytest.raises(BadSetting, match=rf"gaps: .*:{line}: column p: a gap at an end"):
            numbers(file, "p", "interpolate")


def test_columns_with_any_number_are_numeric(written):
    file = read_csv(written("day,price,note,empty\n2026-01-01,1,x,\n2026-01-02,oops,y,\n"))
    assert file.numeric() == ["price"]
