"""Tests of `tat`: what wires the parts together."""
