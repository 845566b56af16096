"""The tests: the rooms of the project again, and the journeys through all of it."""
