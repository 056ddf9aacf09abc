"""Timings of `lab` against peers and against the limit; `make bench` writes them into README.md."""
