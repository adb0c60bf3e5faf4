"""The dialect of `/v1/convai`, as ElevenLabs publishes it."""
