"""ElevenLabs' wire: `/v1/convai/…`."""

from outdial.api.convai.routes import ROUTER, WORKSPACE

__all__ = ["ROUTER", "WORKSPACE"]
