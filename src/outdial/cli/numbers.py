"""`outdial numbers`: what calls come from."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from outdial.cli import desk, tell
from outdial.cli.agents import read_object
from outdial.cli.client import Failed, Refused, from_environment, segment
from outdial.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Phone numbers: what calls come from.")


@app.command("list")
def list_numbers(
    *, provider: Annotated[str | None, typer.Option(help="Only of this provider")] = None, as_json: AsJson = False
) -> None:
    """The phone numbers of the workspace."""
    rows = [row for row in desk.numbers(from_environment()) if provider in {None, row["provider"]}]
    if as_json:
        tell.as_json(rows)
        return
    table = Table("id", "number", "provider", "label", "at once", "a second", "", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        at_once, a_second = row.get("max_concurrent_calls"), row.get("max_calls_per_second")
        limits = ["any" if one is None else f"{one:g}" for one in (at_once, a_second)]
        halted = f"halted: {row['halted_reason']}" if row.get("halted_reason") else ""
        named = (row["phone_number_id"], row["phone_number"], row["provider"], tell.safe(row["label"]))
        table.add_row(*named, *limits, tell.safe(halted))
    tell.out.print(table if rows else "There are no numbers yet; `outdial numbers create` makes one.")


@app.command()
def create(
    number: Annotated[str, typer.Argument(help="The number in E.164, +…")],
    *,
    provider: Annotated[str, typer.Option(help="loopback (the network in a box), sip_trunk, twilio, …")] = "loopback",
    label: Annotated[str | None, typer.Option(help="What it is called here; the number itself unless given")] = None,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Calls at once")] = None,
    max_per_second: Annotated[float | None, typer.Option(min=0, help="New calls a second")] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="What else the provider needs, as a JSON object; a file (or -), so that no secret is in ps"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a number to call from."""
    body: dict[str, Any] = read_object(settings) if settings is not None else {}
    body |= {"phone_number": number, "provider": provider, "label": label or number}
    limits = {"max_concurrent_calls": max_calls, "max_calls_per_second": max_per_second}
    body |= {name: value for name, value in limits.items() if value is not None}
    try:
        made = from_environment().post("/phone-numbers", body, again=False)
    except Refused as error:
        raise Failed(f"{error}{_where(error, body, provider)}") from None
    tell.as_json(made) if as_json else tell.out.print(made["phone_number_id"], soft_wrap=True)


def _where(error: Refused, body: dict[str, Any], provider: str) -> str:
    """Where to give what the provider needs and was not given."""
    missing = [loc[1] for loc, _ in error.complaints if len(loc) == 2 and loc[1] not in body]
    if not missing:
        return ""
    names = ", ".join(f'"{name}": …' for name in missing)
    return f"\n{provider} needs more than a number: --settings FILE gives it, a JSON object {{{names}}}"


@app.command()
def get(
    given: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the number itself")], *, as_json: AsJson = False
) -> None:
    """One number, without its secrets."""
    client = from_environment()
    row = client.get(f"/phone-numbers/{segment(desk.number_id(client, given))}")
    if as_json:
        tell.as_json(row)
        return
    table = Table.grid(padding=(0, 2))
    for what, value in row.items():
        if value is not None and not isinstance(value, dict | list):
            table.add_row(f"[bold]{what.replace('_', ' ')}[/]", tell.safe(str(value)))
    tell.out.print(table)
