"""Calls over any SIP trunk: signalling and audio by baresip-python, in call workers of their own."""
