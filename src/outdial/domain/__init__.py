"""States, outcomes, retry, calling windows and phone numbers: pure values and functions; no I/O, no async, no clock."""
