"""Legs, codecs, the 20 ms clock, recording, tone and voice detection."""
