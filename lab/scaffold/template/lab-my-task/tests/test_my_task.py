from lab.testing import check_task


def test_keeps_the_contract(tmp_path):
    check_task("my_task", tmp_path=tmp_path)
