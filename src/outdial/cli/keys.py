"""`outdial keys`: API keys, made in the database itself."""

from typing import Annotated

import typer

from outdial.cli import tell
from outdial.cli.options import AsJson, Database

app = typer.Typer(no_args_is_help=True, help="API keys.")


@app.callback()
def _keys() -> None: ...


@app.command()
def create(
    *,
    workspace: Annotated[str, typer.Option(help="Its name; made if it is new")] = "default",
    name: Annotated[str, typer.Option(help="What the key is for")] = "made by outdial keys create",
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key, in the database itself: the server need not run. It is shown this once."""
    from outdial.app.keys import make_key
    from outdial.app.settings import load

    key, of = make_key(load(database=database), workspace=workspace, name=name)
    if as_json:
        tell.as_json({"key": key, "workspace": workspace, "workspace_id": of})
    else:
        tell.out.print(key, markup=False, soft_wrap=True)
        tell.out.print(f"\nA key of workspace {workspace!r}. It is not shown again.", markup=False, soft_wrap=True)
