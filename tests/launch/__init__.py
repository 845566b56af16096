"""Tests of ./run, ./test and the scripts that they, the tests and the benchmarks share."""
