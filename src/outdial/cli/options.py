"""Arguments and options that several commands share."""

from typing import Annotated

import typer

REFUSED = 1
USAGE = 2
NOT_ALL_REACHED = 3
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON alone on standard output")]
BatchId = Annotated[str, typer.Argument(metavar="ID", help="The batch, btcal_…")]
Database = Annotated[str | None, typer.Option(help="sqlite:///PATH or postgresql://… [OUTDIAL_DATABASE]")]
Once = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        help="Name of this act: given again within a day, it gets the first one's answer and rings nobody",
    ),
]
