"""What the journeys stand on: the real processes, a socket, a browser, and tasks that do as they are told."""
