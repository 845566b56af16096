"""Benchmarks: each runs its peers in the same run, in turns, and writes a table into RESULTS.md."""
