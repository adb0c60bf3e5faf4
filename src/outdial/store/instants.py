"""Instants in the database are integers: microseconds since the epoch, UTC."""

MICROS = 1_000_000


def micros(seconds: float) -> int:
    """Unix seconds as the database keeps them."""
    return round(seconds * MICROS)


def seconds(micros: int) -> float:
    """The database's instant as unix seconds."""
    return micros / MICROS


def maybe_micros(seconds: float | None) -> int | None:
    """As `micros`, None stays None."""
    return None if seconds is None else micros(seconds)


def maybe_seconds(micros: int | None) -> float | None:
    """As `seconds`, None stays None."""
    return None if micros is None else seconds(micros)
