"""What is done to a world, each from a seed alone."""

import math
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

from tests.faults.harness import Result, Trunk, World, reach_everybody, run_rounds
from tests.faults.judge import Trial

QUICK = ("server", "worker", "carrier")


def random_kills(
    folder: Path, database: str, seed: int, *, kills: int, people: int = 120, own_carrier: bool = False
) -> Result:
    """Kill servers, workers and the network at random while people are called, in first rounds and in retries."""
    began = time.monotonic()
    nodes = 1 if database.startswith("sqlite") or own_carrier or seed % 2 else 2
    # where reports come late, a server that dies knows less than the network: there are more calls to ring twice
    unreliable = None if seed % 3 == 0 or own_carrier else 0.5
    with World(folder, database, seed=seed, nodes=nodes, own_carrier=own_carrier, unreliable=unreliable) as world:
        chance = world.chance
        trials = [world.submit(people, at_once=chance.choice((8, 15, 25)))]
        while world.counts["kills"] < kills:
            world.pass_time(chance.uniform(0.2, 1.2))
            _kill_somebody(world)
            if world.counts["kills"] < kills and world.over(trials[-1]):
                world.finish(trials[-1])
                if chance.random() < 0.5 or not world.retry(trials[-1], *chance.choice(((), ("voicemail",)))):
                    trials.append(world.submit(people, at_once=chance.choice((8, 15, 25))))
        run_rounds(world, trials)
        return world.verdict("random kills" + (", own network" if own_carrier else ""), began)


def _kill_somebody(world: World, *, what: str | None = None, longest_away: float = 1.5) -> None:
    chance, node = world.chance, world.chance.choice(world.nodes)
    away = chance.choice((0.0, 0.0, 0.5, longest_away))
    match what or chance.choice(("server", "server", "group", "starting", "worker", "carrier")):
        case "server":
            world.kill(node, away=away)
        case "group":
            world.kill(node, group=True, away=away)
        case "starting":
            world.kill_while_starting(node, chance.uniform(0.2, 1.6))
        case "worker":
            world.pass_time(10.0, until=lambda: world.kill_worker(node))
        case _:
            world.kill_carrier(away=away)


def kills_over_sip(
    folder: Path, database: str, seed: int, *, kills: int, people: int = 300, quick: bool = False, nodes: int = 1
) -> Result:
    """Kill servers, workers and the trunk at random while people are called over SIP; then reach who can be reached.

    `quick`: one of each kind, and nobody who holds a round up. Otherwise some people take their time, and some lists
    are cancelled.
    """
    began = time.monotonic()
    chance = Random(seed)
    trunk = Trunk(
        transport="tcp" if seed % 3 == 2 else "udp",
        workers=1 + seed % 2,
        reply_secs=chance.choice((1, 10)),
        holding_up=not quick,
    )
    slow = not quick and chance.random() < 0.5
    patience = (chance.uniform(0.8, 1.2), chance.uniform(1.0, 4.0)) if slow else None
    with World(folder, database, seed=seed, nodes=nodes, trunk=trunk, patience=patience) as world:
        trials = [world.submit(people, at_once=60)]
        todo = list(QUICK)
        chance.shuffle(todo)
        while world.counts["kills"] < kills:
            world.pass_time(chance.uniform(0.5, 1.5 if quick else 3.0))
            _kill_somebody(world, what=todo.pop() if quick else None, longest_away=1.5 if quick else 9.0)
            if world.counts["kills"] < kills and world.over(trials[-1]):
                world.finish(trials[-1])
                trials.append(world.submit(people, at_once=60))
        if not quick and seed % 2:
            world.cancel(trials[-1], hang_up=chance.random() < 0.5)
            world.finish(trials[-1])
            world.retry(trials[-1], "cancelled")
        reach_everybody(world, trials)
        how = f"{trunk.transport}, {trunk.workers} workers, {nodes} nodes" + (", slow people" if slow else "")
        return world.verdict("kills over SIP", began, notes=how)


def retry_at_once_over_sip(folder: Path, database: str, seed: int, *, people: int = 40) -> Result:
    """Nobody is left who could hang up, people talk for long, and the retry comes as soon as it may."""
    began = time.monotonic()
    trunk = Trunk(transport="udp" if seed % 2 else "tcp", workers=1, holding_up=False)
    with World(folder, database, seed=seed, trunk=trunk, patience=(1.2, 4.0)) as world:
        trial = world.submit(people, at_once=60)
        world.pass_time(20.0, until=lambda: world.dialled(trial) == people)
        _kill_somebody(world, what="worker" if seed % 2 else "group", longest_away=0.0)
        reach_everybody(world, [trial])
        return world.verdict("retry at once over SIP", began, notes=trunk.transport)


def kills_while_asking(folder: Path, database: str, seed: int, *, times: int = 4, people: int = 25) -> Result:
    """The server dies while it is told to submit, to retry and to cancel; the client asks again, as clients do."""
    began = time.monotonic()
    with World(folder, database, seed=seed) as world:
        chance, node = world.chance, world.nodes[0]
        trials: list[Trial] = []
        for _ in range(times):
            with world.dying(node, chance.uniform(0.0, 0.06), what=chance.choice(("server", "server", "reader"))):
                trials.append(world.submit(people))
            if chance.random() < 0.5:
                world.pass_time(chance.uniform(0.0, 1.0))
                with world.dying(node, chance.uniform(0.0, 0.04)):
                    world.cancel(trials[-1], hang_up=chance.random() < 0.5)
            world.finish(trials[-1])
            with world.dying(node, chance.uniform(0.0, 0.04)):
                world.retry(trials[-1], *chance.choice(((), ("cancelled",))))
        run_rounds(world, trials, include=("cancelled",))
        return world.verdict("kills while asking", began)


def decisions(folder: Path, database: str, seed: int, *, people: int, times: int = 6, at_once: int = 15) -> Result:
    """Retries and cancels of a batch that goes on, some while its server dies; long lists are changed in chunks."""
    began = time.monotonic()
    nodes = 1 if database.startswith("sqlite") or seed % 2 else 2
    with World(folder, database, seed=seed, nodes=nodes) as world:
        chance = world.chance
        trial = world.submit(people, at_once=at_once)
        for _ in range(times):
            world.pass_time(chance.uniform(0.2, 1.5))
            kind, *include = chance.choice((("retry",), ("retry", "cancelled"), ("cancel",)))
            node = chance.choice(world.nodes)
            if chance.random() < 0.6:
                with world.dying(node, chance.uniform(0.0, 0.15)):
                    world.decide(trial, kind, *include)
            else:
                world.decide(trial, kind, *include)
        world.pass_time(chance.uniform(0.2, 1.0))
        if people > 500:
            world.decide(trial, "cancel")
        world.finish(trial)
        return world.verdict(f"decisions about {people} people", began)


SERVER_POINTS = ("after_claim", "before_go", "after_go", "before_settle", "in_commit", "after_commit", "after_cancel")
WORKER_POINTS = ("before_send", "after_send")
POINTS = (*SERVER_POINTS, *WORKER_POINTS)
_TIMES = {"after_claim": 6, "in_commit": 60, "after_commit": 60, "after_cancel": 1}
"""How often a process comes by at least with a batch of 60; 30 where nothing stands here."""


def kill_at(folder: Path, database: str, seed: int, *, point: str, people: int = 60) -> Result:
    """The process dies at a fail point, on a time that the seed names."""
    began = time.monotonic()
    with World(folder, database, seed=seed, unreliable=0.4, armed=partial(_armed, point, "kill")) as world:
        chance = world.chance
        trial = world.submit(people, at_once=chance.choice((8, 20)))
        if point == "after_cancel":
            world.pass_time(chance.uniform(0.2, 1.0))
            world.cancel(trial, hang_up=chance.random() < 0.5)
        run_rounds(world, [trial], include=("cancelled",))
        return world.verdict(f"kill at {point}", began, notes=world.armed)


def cancel_at(folder: Path, database: str, seed: int, *, point: str, action: str, people: int = 60) -> Result:
    """A cancel while a process sleeps at a fail point or dies there; on PostgreSQL a node is asked that only serves."""
    began = time.monotonic()
    nodes = 1 if database.startswith("sqlite") else 2
    patient = {"OUTDIAL_NODE_TIMEOUT_SECS": "10"}  # a lease that outlives the sleep: it is no help
    armed = partial(_armed, point, "long sleep" if action == "sleep" and nodes == 2 else action)
    with World(folder, database, seed=seed, nodes=nodes, settings=patient, one_dials=True, armed=armed) as world:
        trial = world.submit(people, at_once=world.chance.choice((5, 20)))
        if nodes == 2 and action == "sleep":
            world.wait_asleep(world.nodes[0], 2.5)
        else:
            world.pass_time(world.chance.uniform(0.0, 1.2))
        world.cancel(trial, hang_up=world.chance.random() < 0.3)
        world.finish(trial)
        # let the time pass in which a late dial would show
        if trial.phases[-1].cancel_answered < math.inf:
            world.pass_time(trial.phases[-1].cancel_answered + 4.5 - time.time())
        if world.retry(trial, "cancelled"):
            world.finish(trial)
        if action == "sleep":
            world.slept(trial.phases[0].began, worker=point in WORKER_POINTS)
        return world.verdict(f"cancel at {point}", began, notes=world.armed)


def _armed(point: str, action: str, chance: Random) -> str:
    """The fail point for the first life of a node."""
    times = _TIMES.get(point, 30)
    match action:
        case "kill":
            return f"{point}=kill@{chance.randint(1, times)}"
        case "stop":
            # a server that stops before it is up would never be continued: it commits some 15 times until then
            begun = 15 if point in {"in_commit", "after_commit"} else 0
            return f"{point}=stop@{begun + chance.randint(1, max(times // 3, 1))}"
        case "long sleep":
            # long enough for a dial behind it to be late, early enough for somebody to be left
            nth = 1 if point == "after_claim" else chance.randint(1, min(times // 2 or 1, 10))
            return f"{point}=sleep:{chance.uniform(2.8, 4.0):.2f}@{nth}"
        case _ if chance.random() < 0.5:
            return f"{point}=sleep:{chance.uniform(0.05, 0.25):.2f}"
        case _:
            return f"{point}=sleep:{chance.uniform(1.0, 4.0):.2f}@{chance.randint(1, times // 2 or 1)}"


def stops(folder: Path, database: str, seed: int, *, times: int = 3, people: int = 120) -> Result:
    """A node, its server or its worker is stopped past the lease and goes on; on PostgreSQL another one works."""
    began = time.monotonic()
    nodes = 1 if database.startswith("sqlite") else 2
    with World(folder, database, seed=seed, nodes=nodes) as world:
        chance = world.chance
        trials = [world.submit(people, at_once=chance.choice((8, 15)))]
        for n in range(times):
            world.pass_time(chance.uniform(0.3, 1.5))
            what = ("group", "server", "worker")[(seed + n) % 3]
            with world.stopped(chance.choice(world.nodes), what):
                time.sleep(chance.uniform(2.8, 5.5))
            if n + 1 < times and world.over(trials[-1]):
                world.finish(trials[-1])
                trials.append(world.submit(people, at_once=chance.choice((8, 15))))
        run_rounds(world, trials)
        return world.verdict("stopped past the lease", began)


def stop_at(folder: Path, database: str, seed: int, *, point: str, people: int = 60) -> Result:
    """The process stops itself at a fail point, and is continued past its lease."""
    began = time.monotonic()
    nodes = 1 if database.startswith("sqlite") else 2
    with World(folder, database, seed=seed, nodes=nodes, armed=partial(_armed, point, "stop")) as world:
        chance, node = world.chance, world.nodes[0]
        with ThreadPoolExecutor(1) as pool:  # it may stop while it is told to submit
            submitting = pool.submit(world.submit, people, at_once=15)
            found = world.wait_stopped(node, 5.0)
            if found:
                # a worker silent for 5 s is killed
                past = chance.uniform(3.8, 4.4) if point in WORKER_POINTS else chance.uniform(2.8, 6.0)
                world.continue_(node, found, past=past)
            trial = submitting.result()
        run_rounds(world, [trial])
        return world.verdict(f"stop at {point}", began, notes=world.armed + ("" if found else " not reached"))


def taken_over(folder: Path, database: str, seed: int, *, people: int = 100) -> Result:
    """A stopped node is replaced by another of its name, and goes on all the same; later it is killed."""
    began = time.monotonic()
    with World(folder, database, seed=seed) as world:
        chance, first = world.chance, world.nodes[0]
        trial = world.submit(people, at_once=10)
        world.pass_time(chance.uniform(0.3, 1.5))
        with world.stopped(first, "group"):
            world.double(first)
            time.sleep(chance.uniform(0.0, 2.0))
        world.pass_time(chance.uniform(1.0, 5.0))
        world.kill_for_good(first)
        run_rounds(world, [trial])
        return world.verdict("taken over by another of its name", began)


def postgres_restarts(world: World, *, times: int, people: int = 120) -> Result:
    """The database server crashes and comes back, or stands still, while people are called."""
    began = time.monotonic()
    with world:
        chance = world.chance
        trials = [world.submit(people, at_once=chance.choice((8, 20)))]
        for n in range(times):
            world.pass_time(chance.uniform(0.3, 1.5))
            if n % 3 == 2:
                with world.frozen_postgres():
                    time.sleep(chance.uniform(1.0, 5.0))
            else:
                how = chance.choice((signal.SIGQUIT, signal.SIGQUIT, signal.SIGKILL))
                world.restart_postgres(how, away=chance.choice((0.0, 0.0, 1.0, 3.0)))
            if chance.random() < 0.3:
                world.kill(chance.choice(world.nodes))
            if n + 1 < times and world.over(trials[-1]):
                world.finish(trials[-1])
                trials.append(world.submit(people, at_once=chance.choice((8, 20))))
        run_rounds(world, trials)
        return world.verdict("PostgreSQL restarted", began)


def node_lost(folder: Path, database: str, seed: int, *, people: int = 120) -> Result:
    """Two nodes; one is killed with live calls and does not come back. The other finishes within 60 s."""
    began = time.monotonic()
    with World(folder, database, seed=seed, nodes=2) as world:
        chance = world.chance
        trial = world.submit(people, at_once=20)
        world.pass_time(chance.uniform(0.5, 2.0))
        survivor = world.nodes[1].pid
        world.kill_for_good(world.nodes[0])
        killed_at = time.monotonic()
        world.finish(trial, within=60)
        took = time.monotonic() - killed_at
        assert world.nodes[0].pid == survivor, "the other node was restarted"
        if world.retry(trial):
            world.finish(trial)
        return world.verdict("one of two nodes killed", began, notes=f"the other was done after {took:.1f} s")


def event_faults(
    folder: Path, database: str, seed: int, *, harm: int, people: int = 120, kills: int = 0, nodes: int = 1
) -> Result:
    """Reports are lost, late, doubled, reversed, missing and refused; perhaps somebody is killed as well."""
    began = time.monotonic()
    with World(folder, database, seed=seed, unreliable=0.6, nodes=nodes) as world:
        assert world.way is not None
        trials: list[Trial] = []
        while not trials or sum(world.way.done.values()) < harm:
            trials.append(world.submit(people, at_once=20))
            while not world.over(trials[-1]):
                world.pass_time(0.5)
                if world.counts["kills"] < kills:
                    world.kill(world.nodes[0])
            world.finish(trials[-1])
        for trial in trials:
            if world.retry(trial):
                world.finish(trial)
        kinds = " ".join(f"{kind}={n}" for kind, n in sorted(world.way.done.items()))
        return world.verdict("unreliable reports", began, gentle=not kills, notes=kinds)
