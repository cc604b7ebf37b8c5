"""How does Nova hear that a port is plugged?

As from Neutron: a POST of ``{"events": [{"name": "network-vif-plugged", "server_uuid", "tag", "status"}]}`` to its
``os-server-external-events``.  :class:`Words` chooses what of the news it is told, and puts it in its words;
:class:`Webhook` brings it there, in batches, for as long as anybody may still wait for it, and never keeps whoever
tells the news.
"""

from __future__ import annotations

import http.client
import json
import logging
import ssl
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import eventlet
import eventlet.event

from controller.bulletin import News
from controller.configuration import SettingsError
from controller.settings import KeystoneSettings, WebhookSettings
from controller.tokens import password

_LOG: Final = logging.getLogger(__name__)
_BATCH: Final = 100
"""How many events one request carries."""
_WAITING: Final = 10_000
"""How many may wait; beyond it the oldest are given up."""
_STALE_SECONDS: Final = 300.0
"""After which nobody waits for an event any more: Nova's vif_plugging_timeout."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
"""Seconds between two attempts while they fail."""
_ANSWER_MOST: Final = 1 << 16
_GOOD, _ERRORS = range(200, 300), 500
_UNKNOWN: Final = 404
"""Nova's answer when it knows none of the servers."""
_LATER: Final = frozenset({401, 408, 425, 429})
"""Answers that may be others the next time."""

Event: TypeAlias = dict[str, str]

_PLUGGED, _UNPLUGGED, _DELETED = "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"


class Words:
    """What Nova is told, in its words: of each plugging and unplugging once.

    A port is plugged for Nova when it is ACTIVE, and at the target of a move when that is ready; that it becomes ACTIVE
    there later is nothing new.
    """

    def __init__(self) -> None:
        self._plugged: dict[str, set[str]] = {}
        """The hosts at which each port's plugging was told."""

    def of(self, news: News) -> Event | None:
        """What Nova is told of a piece of news, if anything."""
        if not _concerns(news):
            return None
        match news.type:
            case "port.active":
                return self._tell_plugged(news, news.host)
            case "move.ready":
                return self._tell_plugged(news, news.target)
            case "move.preparing":
                self._forget(news.port_id, news.target)
            case "move.cancelled" | "move.failed":
                self._forget(news.port_id, news.target)
            case "move.settled":
                self._forget(news.port_id, news.source)
            case "port.down" if self._plugged.pop(news.port_id, None):
                return _event(_UNPLUGGED, news)
            case "port.deleted":
                self._plugged.pop(news.port_id, None)
                return {name: value for name, value in _event(_DELETED, news).items() if name != "status"}
            case _:
                pass
        return None

    def _tell_plugged(self, news: News, host: str) -> Event | None:
        told = self._plugged.setdefault(news.port_id, set())
        if host in told:
            return None
        told.add(host)
        return _event(_PLUGGED, news)

    def _forget(self, port_id: str, host: str) -> None:
        told = self._plugged.get(port_id)
        if told is not None:
            told.discard(host)


def _concerns(news: News) -> bool:
    """Whether the port is of one of Nova's servers (Neutron's rule)."""
    if not news.device_owner.startswith("compute:"):
        return False
    try:
        uuid.UUID(news.device_id)
    except ValueError:
        return False
    return True


def _event(name: str, news: News) -> Event:
    return {"name": name, "server_uuid": news.device_id, "tag": news.port_id, "status": "completed"}


class Post(Protocol):
    """One way to bring a body to a receiver."""

    def __call__(self, body: bytes) -> tuple[int, bytes]:
        """POST it.  :returns: status and body of the answer.  :raises OSError: when there is none."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: Event
    since: float


class Webhook:
    """Brings events to one receiver, from a greenlet of its own (:meth:`run`).

    :param name: of the receiver, for people.
    :param post: how to bring them there.
    :param interval: seconds between two requests, in which events gather.
    """

    def __init__(
        self,
        name: str,
        post: Post,
        *,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = eventlet.sleep,
    ) -> None:
        self.name = name
        self._post = post
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._words = Words()
        self._waiting: deque[_Waiting] = deque()
        self._wake: eventlet.event.Event | None = None
        self._failures = 0
        self._trouble = ""
        self.given_up = 0
        """How many events were never taken."""

    def hear(self, news: News) -> None:
        """Take a piece of news; never blocks."""
        event = self._words.of(news)
        if event is None:
            return
        if len(self._waiting) >= _WAITING:
            self._waiting.popleft()
            self.given_up += 1
        self._waiting.append(_Waiting(event, self._clock()))
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.send()

    @property
    def problem(self) -> str:
        """What the operator has to know, empty if nothing."""
        if not self._trouble:
            return ""
        return f"webhook {self.name}: {self._trouble}; {len(self._waiting)} events wait, {self.given_up} are given up"

    def run(self) -> None:
        """Bring what comes, until killed."""
        while True:
            if not self._waiting:
                self._wake = eventlet.event.Event()
                self._wake.wait()
            self._sleep(self.turn())

    def turn(self) -> float:
        """Bring one batch of what waits.

        :returns: after how many seconds to go on.
        """
        while self._waiting and self._clock() - self._waiting[0].since > _STALE_SECONDS:
            self._waiting.popleft()
            self.given_up += 1
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        if not batch:
            return 0.0
        try:
            status, answer = self._post(json.dumps({"events": [each.event for each in batch]}).encode())
        except OSError as error:
            status, answer, trouble = 0, b"", f"does not answer: {error}"
        else:
            trouble = f"answers {status}"
        if status in _GOOD or status == _UNKNOWN:
            self._took(status, answer)
            return self._interval
        if not self._trouble:
            _LOG.warning("webhook %s %s", self.name, trouble)
        self._trouble = trouble
        if status and status < _ERRORS and status not in _LATER:
            self.given_up += len(batch)
            return self._interval
        self._waiting.extendleft(reversed(batch))
        self._failures += 1
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures - 1, 10))

    def _took(self, status: int, answer: bytes) -> None:
        if self._trouble:
            _LOG.info("webhook %s answers again", self.name)
        self._trouble, self._failures = "", 0
        try:
            said: Any = json.loads(answer)
            refused = [each for each in said["events"] if each.get("code", status) not in _GOOD]
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if refused:  # Nova waits for none of these
            _LOG.debug("webhook %s does not take %s", self.name, refused)


# ── ways there ───────────────────────────────────────────────────────────────────────────────────────────────────────


def webhooks(settings: tuple[WebhookSettings, ...], keystone: KeystoneSettings | None) -> tuple[Webhook, ...]:
    """Make the webhooks that the configuration asks for.

    :raises SettingsError: when a token, a password or a certificate cannot be read, or a library is missing.
    """
    return tuple(Webhook(each.url, _way(each, keystone), interval=each.interval) for each in settings)


def _way(settings: WebhookSettings, keystone: KeystoneSettings | None) -> Post:
    if settings.keystone and keystone is not None:
        return _by_keystone(settings, keystone)
    token = None if settings.token_file is None else password(settings.token_file)
    if token is not None and not token.isprintable():
        raise SettingsError(f"webhooks.token_file: {settings.token_file}: not a token")
    return _Plain(settings, token)


class _Plain:
    """POST with a token, or none."""

    def __init__(self, settings: WebhookSettings, token: str | None) -> None:
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        self._at = (parts.hostname or "", parts.port or (443 if self._secure else 80))
        self._target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        self._headers = {"Content-Type": "application/json", **({} if token is None else {"X-Auth-Token": token})}
        self._timeout = settings.timeout
        self._trusted: ssl.SSLContext | None = None
        if self._secure:
            try:
                self._trusted = ssl.create_default_context(cafile=settings.ca)
            except OSError as error:
                raise SettingsError(f"webhooks.ca: {settings.ca}: {error.strerror or 'not PEM'}") from error

    def __call__(self, body: bytes) -> tuple[int, bytes]:
        if self._trusted is None:
            connection = http.client.HTTPConnection(*self._at, timeout=self._timeout)
        else:
            connection = http.client.HTTPSConnection(*self._at, timeout=self._timeout, context=self._trusted)
        try:
            connection.request("POST", self._target, body, self._headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read(_ANSWER_MOST)
        except http.client.HTTPException as error:
            raise OSError(f"not HTTP: {type(error).__name__}") from error
        finally:
            connection.close()


def _by_keystone(settings: WebhookSettings, keystone: KeystoneSettings) -> Post:
    """POST as the user as whom Keystone is asked, with a token that is fetched anew when it is needed."""
    try:
        from keystoneauth1 import exceptions  # noqa: PLC0415  (only whoever has a Keystone installs this)
        from keystoneauth1.identity import Password  # noqa: PLC0415
        from keystoneauth1.session import Session  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(f"webhooks.keystone: {error.name} is missing: pip install 'vl2[keystone]'") from error
    auth = Password(
        auth_url=keystone.url,
        username=keystone.username,
        password=password(keystone.password_file),
        user_domain_name=keystone.user_domain,
        project_name=keystone.project,
        project_domain_name=keystone.project_domain,
    )
    trusted = settings.ca or keystone.ca
    session = Session(auth=auth, verify=True if trusted is None else str(trusted), timeout=settings.timeout)

    def post(body: bytes) -> tuple[int, bytes]:
        try:
            headers = {"Content-Type": "application/json"}
            answer = session.post(settings.url, data=body, headers=headers, raise_exc=False, redirect=False)
        except exceptions.ClientException as error:
            raise OSError(f"{type(error).__name__}") from error
        return answer.status_code, answer.content[:_ANSWER_MOST]

    return post
