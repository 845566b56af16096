"""What ./run, ./test, the tests and the benchmarks share to start real processes. Standard library only."""
