"""Events on their way out to whoever subscribed."""
