"""A project of somebody else's, and what becomes of it when it takes in `live` in the README's steps."""
