from tests.support.server import desk, server

__all__ = ["desk", "server"]
