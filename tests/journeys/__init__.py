"""One file per journey: real Redis, worker, beat, server and browser."""
