"""Billing's own management commands."""
