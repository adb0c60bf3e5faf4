"""ElevenLabs' wire: `/v1/convai/…`."""

from outdial.api.convai.routes import ROUTER

__all__ = ["ROUTER"]
