"""Clock, ids, start and stop of services, logging and fail points: knows nothing of calls."""
