"""Queries: pages, counts and single runs, for one viewer and as of one moment."""
