"""One call, from claim to outcome: preparing, pacing, GO, sending, reports, look-ups and hanging up."""
