"""The tables: what the database itself holds to, and that the migrations say the same."""
