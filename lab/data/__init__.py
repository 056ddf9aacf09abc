"""What the data of every field stands on: tables of tensors, loaders, splits, cache, download, the catalogue."""
