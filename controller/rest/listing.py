"""Which objects did a list ask for, in which order and piece by piece, and which of their fields?

Neutron's filters (exact values by field name, a field given twice means either, tags in four ways), its sorting
(``sort_key`` and ``sort_dir`` in pairs) and its pages (``limit``, ``marker``, ``page_reverse``, and links to the pages
beside); ``fields=`` chooses what is shown.

What a caller may not see is taken away first, so it can neither be shown nor guessed by filtering or sorting.  Filters
and sorting read single attributes; JSON is built for what is shown, and of that only the fields that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import zip_longest
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)
from urllib.parse import urlencode

from flask import request
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from controller.rest.access import caller
from controller.rest.errors import bad_request
from controller.rest.fields import Asked, Body, Count, Flag, Maybe, Shown, refused
from controller.turns import paced
from overlay.values import Record

Json: TypeAlias = dict[str, Any]
"""A JSON object on its way out."""

T = TypeVar("T")
Attributes: TypeAlias = Mapping[str, Callable[[T], Any]]
"""How each field is read of an object, as the JSON value that it is; in the order in which fields are shown."""

_ANY_OF: Final = "Exact value; given more than once: any of them."

Values: TypeAlias = Annotated[list[str] | None, Field(description=_ANY_OF)]
"""A filter by text; an empty one also finds what is null."""

Truths: TypeAlias = Annotated[list[Flag] | None, Field(description=_ANY_OF)]
"""A filter by true or false, in any of their spellings."""

Numbers: TypeAlias = Annotated[list[Count] | None, Field(description=_ANY_OF)]
"""A filter by a whole number."""

LowerCase: TypeAlias = Annotated[
    list[Annotated[str, BeforeValidator(lambda text: str(text).lower())]] | None, Field(description=_ANY_OF)
]
"""A filter by text of which case does not matter, as that of MAC and IP addresses."""


class FieldsQuery(Asked, Body):
    """What a request for one object may add."""

    fields: list[str] | None = Field(None, description="Names of the attributes to show; all when left out.")


class ListQuery(FieldsQuery):
    """How a list may be sorted and cut; the filters of a kind of objects stand in its own model."""

    sort_key: list[str] | None = Field(None, description="What to sort by; given more than once: then by that.")
    sort_dir: list[Literal["asc", "desc"]] | None = Field(
        None, description="As often as sort_key, in the same order; ascending when left out."
    )
    limit: Annotated[int, Field(ge=0)] | None = Field(None, description="The most to show; 0 is no limit.")
    marker: str | None = Field(None, description="The id of the object that the page begins behind.")
    page_reverse: Flag = Field(default=False, description="Whether the page ends before the marker instead.")


def _moment(text: object) -> object:
    """Read a time as Neutron takes it: ``2016-03-08T20:19:41``, with or without ``Z``."""
    try:
        return datetime.strptime(str(text).removesuffix("Z"), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise refused(f"{text!r} is not a time like 2016-03-08T20:19:41Z") from None


def _tags(value: object) -> object:
    """Several tags stand in one value between commas, and the value may come more than once."""
    texts = value if isinstance(value, list) else [value]
    return [tag for text in texts for tag in str(text).split(",") if tag]


Tags: TypeAlias = Annotated[list[str] | None, BeforeValidator(_tags)]


class RecordQuery(ListQuery):
    """The filters by what is kept of every object that a tenant can make."""

    revision_number: Numbers = None
    changed_since: (
        Annotated[float, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})] | None
    ) = Field(None, description="Objects made or changed then or later.")
    tags: Tags = Field(None, description="Tags that it has, all of them; between commas.")
    tags_any: Tags = Field(None, alias="tags-any", description="Tags of which it has one.")
    not_tags: Tags = Field(None, alias="not-tags", description="Tags that it has not all of.")
    not_tags_any: Tags = Field(None, alias="not-tags-any", description="Tags of which it has none.")


class PageLink(BaseModel):
    """Where the page beside is."""

    rel: Literal["next", "previous"]
    href: str


PageLinks: TypeAlias = Maybe[list[PageLink]]
"""Beside a list of which ``limit`` was asked for."""


class Recorded(Protocol):
    """An object with Neutron's standard attributes."""

    @property
    def record(self) -> Record:
        """Its revision, times and tags."""


R = TypeVar("R", bound=Recorded)


def spell_time(seconds: float) -> str:
    """Print a time as Neutron does: UTC, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def recorded() -> dict[str, Callable[[Recorded], Any]]:
    """The attributes that every object of a tenant has of its record."""
    return {
        "tags": lambda thing: list(thing.record.tags),
        "revision_number": lambda thing: thing.record.revision,
        "created_at": lambda thing: spell_time(thing.record.created_at),
        "updated_at": lambda thing: spell_time(thing.record.updated_at),
    }


class _Sort(NamedTuple):
    """One key of the order, and which way."""

    read: Callable[[Any], Any]
    descending: bool


@dataclass(frozen=True, slots=True)
class Collection(Generic[T]):
    """One kind of objects as it is listed and shown.

    :ivar plural: the name of the list, which its links are named by.
    :ivar attributes: how each field is read.
    :ivar model: the documented form, which says what can be compared and sorted by: what is one value.
    :ivar find: an object by its id, for the marker; refuses what the caller may not see.
    :ivar hidden: names of fields that only the operator sees.
    :ivar key: the field by which an object is found.
    """

    plural: str
    attributes: Attributes[T]
    model: type[Shown]
    find: Callable[[str], T]
    hidden: frozenset[str] = frozenset()
    key: str = "id"

    def show(self, thing: T, query: FieldsQuery | None = None) -> Json:
        """Turn one object into JSON as the caller may see it."""
        return {name: read(thing) for name, read in self._wanted(query)}

    def show_made(self, ids: Iterable[str], there: Mapping[str, T]) -> list[Json]:
        """Show what was just made, in that order; who may see all can have deleted some of it by now."""
        things = [there[id_] for id_ in ids if id_ in there]
        return [self.show(thing) for thing in paced(things)]

    def select(self, things: Iterable[T], query: ListQuery, *conditions: Callable[[T], bool]) -> Json:
        """Answer a list.

        :param things: what the caller may see, of what an index says that it can be about.
        :param conditions: filters that are more than comparing one field's value or the record.
        :raises BadRequest: for what cannot be sorted by.
        :raises NotFound: for a marker that does not exist.
        """
        sorts = self._sorts(query)
        things = paced(tuple(things))
        for condition in (*self._filters(query), *conditions):
            things = filter(condition, things)
        if query.marker is not None:
            things = filter(_beside(self.find(query.marker), sorts, before=query.page_reverse), things)
        page = list(things)
        for read, descending in reversed(sorts):
            page.sort(key=_order(read), reverse=descending)
        if query.limit:
            page = page[-query.limit :] if query.page_reverse else page[: query.limit]
        wanted = self._wanted(query)
        found: Json = {self.plural: [{name: read(thing) for name, read in wanted} for thing in paced(page)]}
        if query.limit:
            ids = [self.attributes[self.key](thing) for thing in page]
            found[f"{self.plural}_links"] = _links(ids, query.limit, reverse=query.page_reverse)
        return found

    def _visible(self, name: str) -> bool:
        return name not in self.hidden or caller().is_operator

    def _wanted(self, query: FieldsQuery | None) -> list[tuple[str, Callable[[T], Any]]]:
        names = query.fields if query is not None and query.fields else self.attributes
        return [(name, read) for name, read in self.attributes.items() if name in names and self._visible(name)]

    def _sorts(self, query: ListQuery) -> list[_Sort]:
        """The order that was asked for, made complete by the id; none where neither order nor pages were asked for."""
        keys, directions = query.sort_key or [], query.sort_dir or []
        if directions and len(directions) != len(keys):
            raise bad_request(
                "sort_dir",
                f"the number of sort_key and sort_dir must be the same, not {len(keys)} and {len(directions)}",
            )
        for key in keys:
            if key not in self.attributes or key not in _scalars(self.model) or not self._visible(key):
                raise bad_request("sort_key", f"{key!r} is no attribute that {self.plural} can be sorted by")
        sorts = [
            _Sort(self.attributes[key], direction == "desc")
            for key, direction in zip_longest(keys, directions, fillvalue="asc")
        ]
        if self.key not in keys and (keys or query.limit or query.marker is not None):
            sorts.append(_Sort(self.attributes[self.key], descending=False))
        return sorts

    def _filters(self, query: ListQuery) -> Iterable[Callable[[T], bool]]:
        given = query.model_dump(by_alias=True, exclude_none=True, exclude=set(ListQuery.model_fields))
        for name, value in given.items():
            if name in _BY_RECORD:
                yield _by_record(name, value)
            elif name in self.attributes and name in _scalars(self.model):
                yield _by_value(self.attributes[name], value) if self._visible(name) else _never


def cut(thing: Json, query: FieldsQuery) -> Json:
    """Leave of what is no member of a collection the fields that are asked for."""
    return {name: value for name, value in thing.items() if not query.fields or name in query.fields}


def _by_value(read: Callable[[Any], Any], values: list[Any]) -> Callable[[Any], bool]:
    wanted = frozenset(values) | ({None} if "" in values else frozenset())
    return lambda thing: read(thing) in wanted


def _never(_thing: object) -> bool:
    return False


_BY_RECORD: Final[Mapping[str, Callable[[Record, Any], bool]]] = {
    "changed_since": lambda record, since: int(record.updated_at) >= since,
    "tags": lambda record, tags: tags <= set(record.tags),
    "tags-any": lambda record, tags: not tags.isdisjoint(record.tags),
    "not-tags": lambda record, tags: not tags <= set(record.tags),
    "not-tags-any": lambda record, tags: tags.isdisjoint(record.tags),
}


def _by_record(name: str, value: list[str] | float) -> Callable[[Any], bool]:
    holds = _BY_RECORD[name]
    wanted = frozenset(value) if isinstance(value, list) else value
    return lambda thing: holds(thing.record, wanted)


@cache
def _scalars(model: type[Shown]) -> frozenset[str]:
    """The fields that hold one value: those that can be compared and sorted by."""
    return frozenset(
        field.serialization_alias or name
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) in {None, Literal, UnionType} and not _is_object(field.annotation)
    )


def _is_object(annotation: Any) -> bool:
    return any(isinstance(part, type) and issubclass(part, Shown) for part in (annotation, *get_args(annotation)))


def _rank(value: Any) -> tuple[bool, Any]:
    """What is null comes first."""
    return (value is not None, value)


def _order(read: Callable[[T], Any]) -> Callable[[T], tuple[bool, Any]]:
    return lambda thing: _rank(read(thing))


def _beside(marker: T, sorts: list[_Sort], *, before: bool) -> Callable[[T], bool]:
    """Whether an object comes behind the marker in this order, or before it."""
    places = [(read, _rank(read(marker)), descending is not before) for read, descending in sorts]

    def is_beside(thing: T) -> bool:
        for read, place, smaller in places:
            value = _rank(read(thing))
            if value != place:
                return (value < place) is smaller
        return False

    return is_beside


def _links(ids: list[str], limit: int, *, reverse: bool) -> list[Json]:
    """Where the pages beside are.  One that is full, or was come to from its other side, has one beside it."""
    full = len(ids) >= limit
    asked = [(name, value) for name, value in request.args.items(multi=True) if name not in {"marker", "page_reverse"}]
    found = []
    if full or reverse:
        found.append(_link("next", [*asked, *(("marker", id_) for id_ in ids[-1:])]))
    if full or not reverse:
        found.append(_link("previous", [*asked, *(("marker", id_) for id_ in ids[:1]), ("page_reverse", "True")]))
    return found


def _link(rel: Literal["next", "previous"], asked: list[tuple[str, str]]) -> Json:
    return PageLink(rel=rel, href=f"{request.base_url}?{urlencode(asked)}").model_dump()
