"""Use cases on batches: submit, list, cancel, retry, delete."""
