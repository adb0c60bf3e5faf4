"""ThreeTone's wire: `/v1/voiceai/…`. Its agents and numbers live at the addresses of `/v1/convai`."""

from outdial.api.voiceai.routes import ROUTER

__all__ = ["ROUTER"]
