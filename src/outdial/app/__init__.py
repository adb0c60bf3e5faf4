"""Settings, wiring, start and stop order, and the mains of server and call worker: the room that names adapters."""
