"""Data for every field: tables of tensors, loaders, splits, cache, download, the catalogue."""

from lab.data.cache import cached, cached_table, root
from lab.data.catalogue import Catalogue, DatasetInfo, all_datasets, find_dataset
from lab.data.csv_file import CsvFile, Gaps, read_csv
from lab.data.download import download_file, fetch_into
from lab.data.loader import Batch, TableLoader, Transform, seed_from
from lab.data.module import Split, TableDataModule
from lab.data.near_duplicates import warn_near_duplicates
from lab.data.splits import (
    check_count,
    check_fold,
    group_train_val_split,
    stratified_permutation,
    time_series_split,
    train_val_split,
    train_val_test_split,
)
from lab.data.table import Column, Ragged, Rows, Table, concat
from lab.data.text_file import read_lines, read_text

__all__ = [
    "Batch",
    "Catalogue",
    "Column",
    "CsvFile",
    "DatasetInfo",
    "Gaps",
    "Ragged",
    "Rows",
    "Split",
    "Table",
    "TableDataModule",
    "TableLoader",
    "Transform",
    "all_datasets",
    "cached",
    "cached_table",
    "check_count",
    "check_fold",
    "concat",
    "download_file",
    "fetch_into",
    "find_dataset",
    "group_train_val_split",
    "read_csv",
    "read_lines",
    "read_text",
    "root",
    "seed_from",
    "stratified_permutation",
    "time_series_split",
    "train_val_split",
    "train_val_test_split",
    "warn_near_duplicates",
]
