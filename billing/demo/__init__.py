"""A believable company: what it has done until today, and what it goes on doing."""
