"""What happens when links fail, by their ports' word and without one, and when they are restored?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.bed import Bed, wait
from bench.vl2_paper.cables import cable, ear, interface, kind, mute, unmute, usable
from bench.vl2_paper.scene import LOST, OUTAGE, STEP_SECONDS, Scene, Step
from bench.vl2_paper.spanning import first_packet
from topologies.orders import LinkStatus

FAILING: Final = (("agg1", "int1"), ("agg3", "int2"), ("tor1", "agg1"), ("agg2", "int2"), ("tor3", "agg4"))
"""One after another, and always something is left."""
SILENT: Final = (("tor1", "agg1"), ("agg2", "int1"))
"""The first of the two goes on hearing the second, and is not heard."""
DYING: Final = ("agg1", "int2")

REPORTED: Final = "Failures that a port reports"
RESTORED: Final = "Restored links"
UNREPORTED: Final = "Failures that no port reports"
FIRST: Final = "first packet on it after"

_BLIND_SECONDS: Final = 20.0
"""So long a failure that nobody reports may go unnoticed before the measurement goes on without a repair."""
_USE_SECONDS: Final = 3.0
_GLOBAL: Final = "< 200 ms"
_USED: Final = "< 1000 ms"
_VXLAN: Final = 4789


# ── failures that a port reports ─────────────────────────────────────────────────────────────────────────────────────


def one_after_another(scene: Scene) -> None:
    """Fail links one after another, and restore them one after another."""
    failed, restored = {}, {}
    with scene.load():
        for ends in FAILING:
            failed[ends] = scene.did(
                f"{'–'.join(ends)} down", lambda ends=ends: scene.place.lab.set_link(*ends, up=False)
            )
            time.sleep(STEP_SECONDS)
        for ends in reversed(FAILING):
            restored[ends] = restore(scene, ends)
            time.sleep(STEP_SECONDS)
    scene.series(scene.case)
    for ends, step in failed.items():
        case = f"{scene.case}: {kind(ends)}"
        ms, lost = scene.worst(step)
        scene.book.take(REPORTED, case, "met by a probe", "", float(lost > 0))
        if lost:
            scene.book.take(REPORTED, case, OUTAGE, "ms", ms, _GLOBAL)
            scene.book.take(REPORTED, case, LOST, "probes", lost)
    for ends, step in restored.items():
        ms, lost = scene.worst(step)
        case = f"{scene.case}: {kind(ends)}"
        scene.book.take(RESTORED, case, OUTAGE, "ms", ms, "0")
        scene.book.take(RESTORED, case, LOST, "probes", lost, "0")


def restore(scene: Scene, ends: tuple[str, str]) -> Step:
    """Raise a link; see when the controller counts it as usable, and when the first packet is on it."""
    place = scene.place
    link = cable(place, *ends)
    with ExitStack() as stack:
        ears = [stack.enter_context(ear(place, link, end)) for end in (link.one, link.other)]
        began = time.monotonic()
        step = scene.did(f"{'–'.join(ends)} up", lambda: place.lab.set_link(*ends, up=True), back=True)
        seen: list[float | None] = []
        hearing = [
            threading.Thread(target=lambda each=each: seen.append(first_packet(each, began, _USE_SECONDS, port=_VXLAN)))
            for each in ears
        ]
        for each in hearing:
            each.start()
        counted = wait(lambda: usable(place, link), f"{'–'.join(ends)} is usable", seconds=_BLIND_SECONDS, pause=0.005)
        for each in hearing:
            each.join()
    up = step.done_ns / 1e9
    case = f"{scene.case}: {kind(ends)}"
    heard = [each for each in seen if each is not None]
    scene.book.take(RESTORED, case, "counted as usable after", "ms", max(0.0, counted - up) * 1000)
    if heard:
        scene.book.take(RESTORED, case, FIRST, "ms", max(0.0, min(heard) - up) * 1000, _USED)
    else:
        scene.book.note(f"{case}: no packet chose {'–'.join(ends)} within {_USE_SECONDS:g} s after it was restored")
    return step


# ── failures that no port reports ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Hush:
    """Something goes silent and nobody's port says so."""

    what: str
    name: str
    links: tuple[LinkStatus, ...]
    """That carry nothing any more, in one direction at least."""
    fail: Callable[[], None]
    heal: Callable[[], None]


def hushes(place: Bed, *, quick: bool) -> Iterator[Hush]:
    """One direction of a cable, then a switch's daemon with its links up."""
    for ends in SILENT[:1] if quick else SILENT:
        link = cable(place, *ends)
        where = (ends[0], interface(link, ends[0]))
        yield Hush(
            f"one direction, {kind(ends)}",
            "→".join(ends),
            (link,),
            partial(mute, place, *where),
            partial(unmute, place, *where),
        )
    for name in DYING[1:] if quick else DYING:
        yield Hush(
            f"daemon of an {'aggregation' if name.startswith('agg') else 'intermediate'} switch",
            name,
            tuple(each for each in place.status.links if name in {each.one, each.other}),
            partial(place.lab.kill_vswitchd, name),
            partial(place.lab.restart_vswitchd, name),
        )


def unnoticed(scene: Scene, hush: Hush) -> None:
    """Let something fail that no port reports, wait until the controller has given it up, and heal it."""
    book, place, case, name = scene.book, scene.place, f"{scene.case}: {hush.what}", hush.name
    with scene.load():
        failed = scene.did(f"{name} silent", hush.fail)
        try:
            given_up = wait(
                lambda: not any(usable(place, link) for link in hush.links), name, seconds=_BLIND_SECONDS, pause=0.02
            )
        except TimeoutError:
            book.note(f"{case} ({name}): not noticed within {_BLIND_SECONDS:g} s, so healed then")
        else:
            book.take(UNREPORTED, case, "given up after", "ms", given_up * 1000 - failed.began_ns / 1e6, _GLOBAL)
        time.sleep(STEP_SECONDS)
        healed = scene.did(f"{name} heard again", hush.heal, back=True)
        back = wait(lambda: all(usable(place, link) for link in hush.links), f"{name} is used again", pause=0.02)
        book.take(UNREPORTED, case, "usable again after", "ms", back * 1000 - healed.done_ns / 1e6)
        wait(place.settled, f"everything is confirmed after {name} came back")
        time.sleep(STEP_SECONDS)
    ms, lost = scene.worst(failed)
    book.take(UNREPORTED, case, "met by a probe", "", float(lost > 0))
    if lost:
        book.take(UNREPORTED, case, OUTAGE, "ms", ms, _GLOBAL)
        book.take(UNREPORTED, case, LOST, "probes", lost)
    again, lost_again = scene.worst(healed)
    book.take(UNREPORTED, case, "longest outage at return", "ms", again, "0")
    book.say(f"{case} ({name}): {ms:.1f} ms, {lost} lost; at return {again:.1f} ms, {lost_again} lost")
