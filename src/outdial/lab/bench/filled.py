"""Big lists in a known state, made past the store: nobody wants to wait for 100,000 calls."""

from outdial.lab.bench.ground import Ground
from outdial.ports.store import BatchRow

FAILED_OF_TEN = 3


async def dialled(ground: Ground, people: int) -> BatchRow:
    """A list that is over: three of ten were busy, the others were reached."""
    batch = await ground.submit(people)
    with ground.plain() as plain:
        for name in ("plain_ends", "plain_unhop_all", "plain_count", "plain_over"):
            plain.run(name, batch_id=batch.id)
        plain.commit()
    return batch


def failed(people: int) -> int:
    """How many of such a list were busy."""
    return sum(n % 10 < FAILED_OF_TEN for n in range(people % 10)) + people // 10 * FAILED_OF_TEN
