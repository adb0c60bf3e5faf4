"""`outdial agents`: who talks."""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from outdial.cli import desk, tell
from outdial.cli.client import Failed, from_environment
from outdial.cli.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Agents: who talks.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The agent: its id or name")]


@app.command("list")
def list_agents(
    *,
    search: Annotated[str | None, typer.Option(help="Only those with this in their name")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many")] = 100,
    as_json: AsJson = False,
) -> None:
    """The agents of the workspace."""
    rows = list(islice(desk.agents(from_environment(), search), limit))
    if as_json:
        tell.as_json(rows)
        return
    table = Table("agent", "name", "made", "tags", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        made = tell.minute(row["created_at_unix_secs"])
        table.add_row(row["agent_id"], tell.safe(row["name"]), made, tell.safe(", ".join(row["tags"])))
    tell.out.print(table if rows else "There are no agents yet; `outdial agents create` makes one.")


@app.command()
def create(
    *,
    name: Annotated[str | None, typer.Option(help="What it is called here")] = None,
    first_message: Annotated[str | None, typer.Option(help="What it says first; {{name}} is a variable")] = None,
    prompt: Annotated[str | None, typer.Option(help="What it is to do")] = None,
    language: Annotated[str | None, typer.Option(help="en, de, …")] = None,
    file: Annotated[
        Path | None, typer.Option(help="The whole agent as JSON, as the wire has it; - reads standard input")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an agent, from a few words or from a whole description."""
    body = read_object(file) if file is not None else {}
    talks = body.setdefault("conversation_config", {}).setdefault("agent", {})
    if name is not None:
        body["name"] = name
    talks.update({key: value for key, value in (("first_message", first_message), ("language", language)) if value})
    if prompt is not None:
        talks.setdefault("prompt", {})["prompt"] = prompt
    made = from_environment().post("/agents/create", body, again=False)
    tell.as_json(made) if as_json else tell.out.print(made["agent_id"], soft_wrap=True)


@app.command()
def get(given: Id, *, as_json: AsJson = False) -> None:
    """One agent."""
    row = desk.agent(from_environment(), given)
    if as_json:
        tell.as_json(row)
        return
    talks = row["conversation_config"].get("agent") or {}
    prompt = (talks.get("prompt") or {}).get("prompt") or ""
    allowed = row["platform_settings"].get("overrides", {}).get("conversation_config_override") or {}
    table = Table.grid(padding=(0, 2))
    for what, value in (
        ("agent", row["agent_id"]),
        ("name", row["name"]),
        ("says first", talks.get("first_message") or ""),
        ("language", talks.get("language") or ""),
        ("is to do", prompt if len(prompt) < 400 else f"{prompt[:400]}…"),
        ("a list may override", ", ".join(_allowed(allowed))),
        ("made", tell.minute(row["metadata"]["created_at_unix_secs"])),
    ):
        if value:
            table.add_row(f"[bold]{what}[/]", tell.safe(value))
    tell.out.print(table)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in this file; `-` is standard input."""
    try:
        text = typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise Failed(f"{path} can't be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise Failed(f"{path} holds JSON, but no object")
    return found


def _allowed(tree: dict[str, Any], path: str = "") -> list[str]:
    """The paths that are true in a tree of permissions."""
    found = []
    for key, below in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(below, dict):
            found += _allowed(below, here)
        elif below is True:
            found.append(here)
    return found
