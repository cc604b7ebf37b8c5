"""Does one frame cross between two tenants whose machines have the same MACs, IPs and names?

For minutes on end both tenants change their networks at random over the API, the operator moves machines, sets quotas
and ends the controller and switches, and every machine sends: to its peers, to all, and hostile frames that try to
reach the other tenant or to pass for it.  Every frame names its tenant and network.  At every machine a packet socket
judges every frame that arrives; a frame of another network, or one that nothing explains, is a crossing.

That nothing was counted proves something only if the counter can count: before the run a machine sends frames into its
own network that claim to be the other tenant's, and in the end each machine must have heard its own peers.  Beside
that, each tenant's view of the API is searched for whatever is the other's alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.bed import Bed, bed, wait
from bench.homes import OWNERS, Deed, network_number, number_of
from bench.marks import Kind, Mark, Verdict, alien, honest
from bench.record import RESULTS, Notebook
from bench.traffic import ROUNDS_PER_SECOND, Tally, Traffic
from bench.twins import Twins

TOPOLOGY: Final = "vl2"
_HEARD_SECONDS: Final = 30.0
_LISTENER: Final = "red-left-b"
_TRAITOR: Final = "red-left-a"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown."""

    deeds: tuple[Deed, ...]
    unexpected: tuple[str, ...]
    sent: Counter[Kind]
    tallies: dict[str, Tally]
    crossings: tuple[str, ...]
    deaf: dict[str, list[str]]
    """Who had not heard whom after everything was to rights again."""
    control: tuple[int, int]
    """Frames of the other's mark, and without any, that were injected before the run and noticed."""
    answers: int
    shown: dict[str, int]
    leaks: tuple[str, ...]

    def frames(self, verdict: Verdict) -> int:
        """How many frames were that, at all machines."""
        return sum(tally.verdicts[verdict] for tally in self.tallies.values())

    @property
    def heard(self) -> Counter[Kind]:
        """Frames of their own networks that machines have heard, by kind."""
        found: Counter[Kind] = Counter()
        for tally in self.tallies.values():
            for (_, kind), frames in tally.own.items():
                found[kind] += frames
        return found


def control(traffic: Traffic, twins: Twins) -> tuple[int, int]:
    """Let a machine send what must be noticed: a broadcast of the other tenant's mark, and one without any.

    :raises TimeoutError: if the counter does not notice; then its silence would prove nothing.
    """
    own = next(each.identity for each in twins.machines if each.label == _TRAITOR)
    others = Mark(number_of("blue"), network_number("blue", "left"), 255, Kind.BROADCAST)
    broadcast = next(frame for kind, frame in honest(own, (), others) if kind is Kind.BROADCAST)
    before = traffic.tallies[_LISTENER].verdicts.copy()

    def noticed(verdict: Verdict) -> int:
        return traffic.tallies[_LISTENER].verdicts[verdict] - before[verdict]

    traffic.inject(_TRAITOR, broadcast)
    traffic.inject(_TRAITOR, alien(own))
    wait(
        lambda: noticed(Verdict.CROSSING) > 0 and noticed(Verdict.UNEXPLAINED) > 0,
        "the counter notices a crossing that was made on purpose",
        seconds=5,
    )
    return noticed(Verdict.CROSSING), noticed(Verdict.UNEXPLAINED)


def run(place: Bed, *, seed: int, seconds: float, say: Callable[[str], None]) -> Outcome:
    """Let two tenants live for that many seconds, and count."""
    with Traffic(place.lab, OWNERS) as traffic:
        twins = Twins(place, traffic, seed, say)
        _await_all(traffic, "every machine hears all of its network")
        noticed = control(traffic, twins)
        traffic.reset()
        twins.live(seconds)
        # What was heard in the end is to show that all is whole again, so it must not be from before.
        traffic.forget_peers()
        try:
            _await_all(traffic, "every machine hears all of its network again")
            deaf = {}
        except TimeoutError:
            deaf = traffic.deaf()
        twins.api.close()
    return Outcome(
        deeds=tuple(twins.deeds),
        unexpected=tuple(twins.unexpected),
        sent=traffic.sent,
        tallies=traffic.tallies,
        crossings=tuple(traffic.crossings),
        deaf=deaf,
        control=noticed,
        answers=twins.glances.answers,
        shown=twins.glances.shown,
        leaks=tuple(twins.glances.leaks),
    )


def _await_all(traffic: Traffic, what: str) -> None:
    wait(lambda: not traffic.deaf(), what, seconds=_HEARD_SECONDS, pause=0.1)


def write(book: Notebook, made: Outcome) -> None:
    """Write a run down."""
    frames = "The verdict on frames, at every machine"
    for name, tally in sorted(made.tallies.items()):
        verdicts = tally.verdicts
        book.take(frames, name, "of its own network", "", verdicts[Verdict.OWN])
        book.take(frames, name, "by unicast", "", tally.heard((Kind.UNICAST, Kind.UNICAST6)))
        book.take(frames, name, "address resolution and the like", "", verdicts[Verdict.HOUSEKEEPING])
        book.take(frames, name, "crossings", "", verdicts[Verdict.CROSSING], "0")
        book.take(frames, name, "unexplained", "", verdicts[Verdict.UNEXPLAINED], "0")
        book.take(frames, name, "missed by the counter", "", tally.missed, "0")
    kinds = "What was sent, and where it was heard"
    heard = made.heard
    for kind in Kind:
        case = f"{'' if kind.honest else 'hostile: '}{kind.name.lower().replace('_', ' ')}"
        book.take(kinds, case, "sent", "frames", made.sent[kind])
        book.take(kinds, case, "heard in its own network", "frames", heard[kind])
    whole = "The verdict on the run"
    case = "two tenants"
    book.take(whole, case, "changes", "", len(made.deeds))
    book.take(whole, case, "refused or failed without a reason", "", len(made.unexpected), "0")
    book.take(whole, case, "frames heard", "", sum(map(made.frames, Verdict)))
    crossings = made.frames(Verdict.CROSSING) + made.frames(Verdict.UNEXPLAINED)
    book.take(whole, case, "crossings", "", crossings, "0")
    book.take(whole, case, "crossings made on purpose before, noticed", "", sum(made.control), "above 0")
    book.take(whole, case, "machines that do not hear all of their network in the end", "", len(made.deaf), "0")
    book.take(whole, case, "answers of the API searched", "", made.answers)
    book.take(whole, case, "of one's own found in them", "", sum(made.shown.values()), "above 0")
    book.take(whole, case, "of the other's", "", len(made.leaks), "0")
    deeds = "What was done"
    for what, took in _took(made.deeds).items():
        book.take(deeds, what, "took", "s", took)
    deaf = (f"{name} does not hear {', '.join(missing)}" for name, missing in made.deaf.items())
    for each in dict.fromkeys((*made.crossings, *made.leaks, *made.unexpected, *deaf)):
        book.note(each)


def _took(deeds: Sequence[Deed]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in deeds:
        found.setdefault(each.kind, []).append(each.took)
    return dict(sorted(found.items()))


def details(made: Outcome, seed: int) -> dict[str, Any]:
    """Everything that was done and when, for whoever wants to look closer."""
    return {
        "seed": seed,
        "deeds": [asdict(each) for each in made.deeds],
        "unexpected": made.unexpected,
        "crossings": made.crossings,
        "leaks": made.leaks,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write down; 1 if anything crossed."""
    parser = argparse.ArgumentParser(prog="bench.tenants", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long things change")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story")
    parser.add_argument("--json", action="store_true", help="print everything that was done as JSON, write no result")
    given = parser.parse_args(argv)
    if not 0 < given.minutes <= 600:
        parser.error("--minutes is above 0 and up to 600")
    book = Notebook("tenants", "Does one frame cross between two tenants with the same MACs, IPs and names?")
    book.parameters = {"minutes": given.minutes, "seed": given.seed, "rounds_per_second": ROUNDS_PER_SECOND}
    with bed("tenants", TOPOLOGY, {}) as place:
        made = run(place, seed=given.seed, seconds=given.minutes * 60, say=book.say)
    write(book, made)
    book.say(f"load of the machine {os.getloadavg()[0]:.1f}")
    told = details(made, given.seed)
    if given.json:
        json.dump(told, sys.stdout, indent=1, ensure_ascii=False)
    else:
        (RESULTS / "tenants").mkdir(exist_ok=True)
        path = RESULTS / "tenants" / "deeds.json"
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        book.close()
    return int(bool(made.frames(Verdict.CROSSING) + made.frames(Verdict.UNEXPLAINED) + len(made.leaks)))


if __name__ == "__main__":
    sys.exit(main())
