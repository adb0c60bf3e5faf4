"""Draw the generated pages: docs/states.md from the domain, docs/cli.md from the commands, docs/settings.md.

python tools/docs.py            write them
python tools/docs.py --check    change nothing; exit 1 if one of them would change
"""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
MACHINES = ("recipient", "attempt", "batch")
GENERATED = "<!-- Written by `make docs`; `make check` notices a difference. -->"

Table = Mapping[StrEnum, Mapping[StrEnum, StrEnum]]


def main(arguments: list[str]) -> int:
    """Write or compare every page."""
    pages = {"states.md": states_page()}
    if importlib.util.find_spec("outdial.cli.main") is not None:
        pages["cli.md"] = cli_page()
        pages["settings.md"] = settings_page()
    if "--check" in arguments:
        return compare(pages)
    for name, text in pages.items():
        (DOCS / name).write_text(text)
        sys.stdout.write(f"docs/{name}: {len(text.splitlines())} lines\n")
    return 0


def compare(pages: Mapping[str, str]) -> int:
    """Show what `make docs` would change."""
    changed = 0
    for name, text in pages.items():
        path = DOCS / name
        before = path.read_text() if path.exists() else ""
        lines = difflib.unified_diff(
            before.splitlines(), text.splitlines(), f"docs/{name}", f"docs/{name}, anew", lineterm=""
        )
        difference = "\n".join(lines)
        if difference:
            changed += 1
            sys.stdout.write(f"{difference}\n")
    if changed:
        sys.stdout.write("The docs are not what the code says; run `make docs`.\n")
        return 1
    sys.stdout.write(f"docs: {', '.join(pages)} are up to date\n")
    return 0


def states_page() -> str:
    """One section for each state machine of the domain."""
    parts = ["# States", GENERATED, "A pair that is not in its table is an error, here and in the database."]
    for name in MACHINES:
        module = importlib.import_module(f"outdial.domain.{name}")
        parts += [f"## {name.capitalize()}", str(module.__doc__).strip(), diagram(module.TRANSITIONS)]
        parts.append(rows(module.TRANSITIONS))
    return "\n\n".join(parts) + "\n"


def diagram(table: Table) -> str:
    """The table as Mermaid draws it: one arrow for each pair of states, with all its events."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, event, then in steps(table):
        arrows.setdefault((state, then), []).append(event)
    drawn = [f"    {state} --> {then}: {', '.join(events)}" for (state, then), events in arrows.items()]
    ends = [f"    {state} --> [*]" for state, ways in table.items() if not ways]
    begin = f"    [*] --> {next(iter(table))}"
    return "\n".join(["```mermaid", "stateDiagram-v2", begin, *drawn, *ends, "```"])


def rows(table: Table) -> str:
    """The table as text: a row for each state, a cell for each way out."""
    lines = ["| state | event → state |", "|---|---|"]
    for state, ways in table.items():
        out = " · ".join(f"{event} → **{then}**" for event, then in ways.items())
        lines.append(f"| **{state}** | {out or '–'} |")
    return "\n".join(lines)


def steps(table: Table) -> Iterator[tuple[str, str, str]]:
    """Every state, event and next state of a table."""
    for state, ways in table.items():
        for event, then in ways.items():
            yield str(state), str(event), str(then)


def settings_page() -> str:
    """Every environment variable of the server."""
    table = importlib.import_module("outdial.app.settings").table()
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in table]
    commands = "Commands read OUTDIAL_URL (default: http://HOST:PORT) and OUTDIAL_API_KEY."
    return "\n\n".join(["# Settings", GENERATED, "\n".join(lines), commands]) + "\n"


def cli_page() -> str:
    """Every command with its arguments and options."""
    import typer

    root = typer.main.get_command(importlib.import_module("outdial.cli.main").app)
    return "\n\n".join(["# Commands", GENERATED, *command_parts("outdial", root)]) + "\n"


def command_parts(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer brings its own copy of click's types
    """A section for a command, then those of the commands below it."""
    yield f"## `{name}`"
    if command.help:
        yield command.help.strip()
    told = [line for parameter in command.params if (line := parameter_row(parameter))]
    if told:
        yield "\n".join(["| argument | meaning |", "|---|---|", *told])
    for sub, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from command_parts(f"{name} {sub}", below)


def parameter_row(parameter: Any) -> str:  # noqa: ANN401 - as command_parts
    """One argument or option; the ones for shell completion are left out."""
    if getattr(parameter, "hidden", False) or parameter.name in {"install_completion", "show_completion", "help"}:
        return ""
    argument = parameter.param_type_name == "argument"
    spelled = parameter.name.upper() if argument else ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    notes = [" ".join((getattr(parameter, "help", None) or "").split())]
    if parameter.required:
        notes.append("Required.")
    elif isinstance(default, str | int | float) and not isinstance(default, bool):
        notes.append(f"Default: `{default}`.")
    variable = getattr(parameter, "envvar", None)
    if variable:
        notes.append(f"Environment: `{variable}`.")
    meaning = " ".join(filter(None, notes)).replace("|", "\\|")
    return f"| `{spelled}` | {meaning} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
