"""The dialect of `/v1/voiceai`, as ThreeTone publishes it."""
