"""`outdial submit`: from a file to a batch, with everything said before anybody's phone rings."""

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from outdial.batches.lists.delimited import one_delimiter
from outdial.batches.lists.number import is_country
from outdial.batches.lists.shape import ListError, Rules
from outdial.cli import desk, rules, schedule, tell, verdict
from outdial.cli.batch import safely_again, watched
from outdial.cli.client import Client, Failed, Refused, from_environment, new_key
from outdial.cli.gathering import Gathered, Part, gather
from outdial.cli.options import REFUSED, AsJson, Once
from outdial.domain.window import parse as parse_hours
from outdial.runtime.clock import SystemClock

_LIST, _BATCH = "How the list is read", "How it is called"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for besides the list."""

    agent: str | None
    from_: str | None
    name: str
    start: datetime | None
    timezone: str | None
    concurrency: int | None
    hours: dict[str, Any] | None


def submit(  # noqa: PLR0913 - a command has as many options as people need
    file: Annotated[
        Path, typer.Argument(help="CSV, XLSX or JSON lines with a column phone_number; - reads standard input")
    ],
    *,
    agent: Annotated[str | None, typer.Option(help="Who talks: an agent's id or name")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="What calls come from: a number's id or the number")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The batch's name; the file's unless given")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and send nothing")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Call the good rows though others are bad")] = False,
    split: Annotated[bool, typer.Option("--split", help="More than 10,000 people: several batches")] = False,
    begin: Annotated[
        str | None,
        typer.Option("--schedule", help="When to begin: ISO with its zone, or 'tomorrow 09:00 Europe/Berlin'"),
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="The batch's time zone, such as Europe/Berlin")] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(
            help="Calling hours: 'mon-fri 09:00-18:00', by --timezone if given, else by each number's own clock"
        ),
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before calling")] = False,
    country: Annotated[
        str | None,
        typer.Option(
            help="Two letters, such as DE: numbers without + are read as people there write them", rich_help_panel=_LIST
        ),
    ] = None,
    add_plus: Annotated[
        bool, typer.Option("--add-plus", help="Numbers without + begin with their country code", rich_help_panel=_LIST)
    ] = False,
    number_column: Annotated[str | None, typer.Option(help="The column with the number", rich_help_panel=_LIST)] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Names of the columns, with commas, where the file has none", rich_help_panel=_LIST),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a spreadsheet", rich_help_panel=_LIST)] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="comma, semicolon, tab, bar or any sign; guessed unless given", rich_help_panel=_LIST),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Such as utf-8 or cp1252; guessed unless given", rich_help_panel=_LIST)
    ] = None,
    bad_rows: Annotated[
        Path | None, typer.Option(help="Where bad rows go; beside the list unless given", rich_help_panel=_LIST)
    ] = None,
    once: Once = None,
    as_json: AsJson = False,
) -> None:
    """Call everyone on a list once."""
    if not dry_run and (agent is None or from_ is None):
        raise typer.BadParameter("without --dry-run both are needed", param_hint="--agent, --from")
    if bad_rows is not None and bad_rows.resolve() == file.resolve():
        raise typer.BadParameter("that is the list itself", param_hint="--bad-rows")
    reading = _rules(country, sheet, number_column, columns, delimiter, encoding, add_plus=add_plus)
    wish = Wish(agent, from_, name or _name(file), *_times(begin, timezone), concurrency, _hours(hours, timezone))
    gathered = gather(file, reading, bad_path=bad_rows)
    _tell_list(gathered)
    if dry_run:
        raise typer.Exit(_dry_run(gathered, wish, split=split, as_json=as_json))
    _refuse(gathered, skip_bad=skip_bad, split=split)
    client = from_environment()
    head = _head(client, wish, gathered)
    _tell_never(gathered, wish)
    if not (yes or as_json):
        _ask(gathered, wish)
    made = _send(client, head, gathered, once or new_key(), split=split)
    if split:
        _tell_batches(made, as_json=as_json)
        return
    if watch:
        if not as_json:
            tell.batch(made[0])
        watched(client, made[0]["id"], as_json=as_json)
    tell.as_json(made[0]) if as_json else tell.batch(made[0])


def _tell_batches(made: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        tell.as_json({"batches": made})
        return
    for row in made:
        tell.batch(row)


def register(app: typer.Typer) -> None:
    """Put the command into the application."""
    app.command()(submit)


# --- what was asked for --------------------------------------------------------------------------------------------


def _rules(
    country: str | None, sheet: str | None, number_column: str | None, columns: str | None, delimiter: str | None,
    encoding: str | None, *, add_plus: bool,
) -> Rules:  # fmt: skip
    if country is not None:
        country = country.upper()
        if add_plus:
            raise typer.BadParameter("either --country or --add-plus: a number is national or it is not")
        if not is_country(country):
            raise typer.BadParameter(f"{country!r} is no country's two letters, such as DE", param_hint="--country")
    if delimiter is not None:
        try:
            delimiter = one_delimiter(delimiter)
        except ListError as error:
            raise typer.BadParameter(str(error), param_hint="--delimiter") from None
    names = None if columns is None else tuple(name.strip() for name in columns.split(","))
    return Rules(encoding, delimiter, sheet, number_column, names, country, add_plus)


def _times(begin: str | None, timezone: str | None) -> tuple[datetime | None, str | None]:
    try:
        if timezone is not None:
            schedule.zone_of(timezone)
    except schedule.Unreadable as error:
        raise typer.BadParameter(str(error), param_hint="--timezone") from None
    if begin is None:
        return None, timezone
    try:
        return schedule.begin(begin, now=SystemClock().utc(), zone=timezone), timezone
    except schedule.Unreadable as error:
        raise typer.BadParameter(str(error), param_hint="--schedule") from None


def _hours(texts: list[str] | None, timezone: str | None) -> dict[str, Any] | None:
    if not texts:
        return None
    try:
        return schedule.hours_of(texts, zone=timezone)
    except schedule.Unreadable as error:
        raise typer.BadParameter(str(error), param_hint="--hours") from None


def _name(file: Path) -> str:
    return "standard input" if str(file) == "-" else file.stem


# --- what is said before anything is sent --------------------------------------------------------------------------


def _tell_list(gathered: Gathered) -> None:
    for note in verdict.notes(gathered):
        tell.aside(f"{gathered.name}: {note}")
    for complaint in verdict.complaints(gathered):
        tell.aside(complaint)


def _dry_run(gathered: Gathered, wish: Wish, *, split: bool, as_json: bool) -> int:
    """What would happen; the exit code says whether it could."""
    client = _client_if_any()
    suppressed = None
    plain = wish.hours
    if client is not None:
        if wish.agent is not None:
            _check_overrides(desk.agent(client, wish.agent), gathered)
        if wish.from_ is not None:
            desk.number_id(client, wish.from_)
        suppressed = rules.count_suppressed(client, gathered.numbers())
        plain = plain or rules.workspace_hours(client)
    hours = parse_hours(plain)
    start = wish.start or SystemClock().utc().replace(microsecond=0)
    found = verdict.legal(gathered, hours, start, otherwise=wish.timezone)
    in_the_way = list(verdict.obstacles(gathered, found, hours, split=split, own=wish.hours is not None))
    words = [obstacle.words for obstacle in in_the_way]
    if as_json:
        tell.as_json({**verdict.as_plain(gathered, found, hours, suppressed, start), "obstacles": words})
    else:
        for line in (*verdict.report(gathered, found, hours, suppressed, start), *words, "Nothing was sent."):
            tell.out.print(line, markup=False, soft_wrap=True)
    none = not gathered.survey.good or any(obstacle.everybody for obstacle in in_the_way)
    return REFUSED if gathered.survey.bad or none else 0


def _tell_never(gathered: Gathered, wish: Wish) -> None:
    """Say whom the hours that were asked for never let be called, and what to do: they would wait without end."""
    hours = parse_hours(wish.hours)
    if hours is None or hours.zone is not None:
        return
    found = verdict.legal(gathered, hours, wish.start or SystemClock().utc(), otherwise=wish.timezone)
    for obstacle in verdict.obstacles(gathered, found, hours, split=True, own=True):
        tell.aside(f"{gathered.name}: {obstacle.words}")


def _client_if_any() -> Client | None:
    """The server, where the environment names a key for it; a list can be judged without one."""
    try:
        return from_environment()
    except Failed as error:
        tell.aside(f"The server was not asked: {error}")
        return None


def _refuse(gathered: Gathered, *, skip_bad: bool, split: bool) -> None:
    survey = gathered.survey
    if not survey.good:
        raise Failed(f"{gathered.name}: there is nobody to call in it")
    if survey.bad and not skip_bad:
        others = f"--skip-bad calls the other {survey.good:,}"
        raise Failed(
            f"{gathered.name}: nobody was called, since {survey.bad:,} of {survey.rows:,} rows are bad; {others}"
        )
    if not split and (why := verdict.too_many(gathered)):
        raise Failed(f"{gathered.name}: {why}")


def _head(client: Client, wish: Wish, gathered: Gathered) -> dict[str, Any]:
    """The order without its people."""
    agent = desk.agent(client, wish.agent or "")
    _check_overrides(agent, gathered)
    given = {
        "call_name": wish.name,
        "agent_id": agent["agent_id"],
        "agent_phone_number_id": desk.number_id(client, wish.from_ or ""),
        "scheduled_time_unix": None if wish.start is None else int(wish.start.timestamp()),
        "timezone": wish.timezone,
        "target_concurrency_limit": wish.concurrency,
        "calling_hours": wish.hours,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_overrides(agent: dict[str, Any], gathered: Gathered) -> None:
    """The published rule: a list that overrides what the agent does not allow is refused as a whole."""
    settings = agent.get("platform_settings") or {}
    allowed = (settings.get("overrides") or {}).get("conversation_config_override") or {}
    refused = [".".join(path) for path in sorted(gathered.overrides) if not _allows(allowed, path)]
    if refused:
        setting = f"platform_settings.overrides.conversation_config_override.{refused[0]}"
        raise Failed(
            f"{gathered.name} overrides {', '.join(refused)}, which agent {agent['name']!r} does not allow; leave the "
            f"column out, or set the agent's {setting} to true"
        )


def _allows(tree: object, path: tuple[str, ...]) -> bool:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree is True


def _ask(gathered: Gathered, wish: Wish) -> None:
    """On a terminal, where somebody can say no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    when = "now" if wish.start is None else f"from {wish.start:%Y-%m-%d %H:%M %Z}"
    batches = f" in {len(gathered.parts)} batches" if len(gathered.parts) > 1 else ""
    words = f"Call {tell.people(gathered.survey.good)}{batches} {when}, from {wish.from_} with agent {wish.agent}?"
    if not typer.confirm(words, err=True):
        raise Failed("nobody was called")


# --- sending -------------------------------------------------------------------------------------------------------


def _send(client: Client, head: dict[str, Any], gathered: Gathered, once: str, *, split: bool) -> list[dict[str, Any]]:
    """The batches that came of it, one for each part."""
    made: list[dict[str, Any]] = []
    total = len(gathered.parts)
    for n, (part, recipients) in enumerate(gathered.bodies(), 1):
        named = head if total == 1 else {**head, "call_name": f"{head['call_name']} ({n} of {total})"}
        body = msgspec.json.encode(named)[:-1] + b',"recipients":' + recipients + b"}"
        with safely_again("batch" if total == 1 else f"rest (part {n} of {total})", once):
            try:
                made.append(client.post("/batch-calling/submit", body, once=f"{once}-{n}" if split else once))
            except Refused as error:
                raise Failed(_worded(error, gathered, part, made)) from None
        if total > 1:
            tell.aside(f"part {n} of {total}: {made[-1]['id']}, {tell.people(part.people)}")
    return made


def _worded(error: Refused, gathered: Gathered, part: Part, made: list[dict[str, Any]]) -> str:
    """The server's refusal, with places of the file instead of its own counting."""
    lines = [str(error)]
    if error.complaints:
        lines = [_place(loc, message, gathered, part) for loc, message in error.complaints]
        lines = [
            "the server refused the list:",
            *lines[:20],
            *([f"… and {len(lines) - 20} more"] if len(lines) > 20 else []),
        ]
    if made:
        lines.append("These batches were made before and go on: " + ", ".join(row["id"] for row in made))
    return "\n".join(lines)


def _place(loc: tuple[str | int, ...], message: str, gathered: Gathered, part: Part) -> str:
    match loc:
        case ("body", "recipients", int() as index, *rest):
            where = f"{gathered.people.unit} {gathered.place(part, index)}"
            return f"  {where}, {'.'.join(map(str, rest))}: {message}" if rest else f"  {where}: {message}"
    return f"  {'.'.join(map(str, loc))}: {message}"
