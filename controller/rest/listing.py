"""Which objects did a list ask for, and which of their fields?

Neutron's filters: exact values by field name, a field given twice means either; ``fields=`` chooses what is shown.
What a caller may not see is taken away first, so it can neither be shown nor guessed by filtering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, Field

from controller.rest.access import caller
from controller.rest.errors import bad_request
from controller.rest.fields import Body, Shown

Json: TypeAlias = dict[str, Any]
"""A JSON object on its way out."""

Values: TypeAlias = Annotated[list[str] | None, Field(description="Exact value; given more than once: any of them.")]


_SCHEMAS: Final[dict[type[BaseModel], Json]] = {}


class FieldsQuery(Body):
    """What a request for one object may add."""

    fields: list[str] | None = Field(None, description="Names of the attributes to show; all when left out.")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> Json:
        """Remember the plain form, which flask-openapi3 asks for at every request: it takes a millisecond to make."""
        if args or kwargs:
            return super().model_json_schema(*args, **kwargs)
        if cls not in _SCHEMAS:
            _SCHEMAS[cls] = super().model_json_schema()
        return _SCHEMAS[cls]


def show(thing: Shown, hidden: frozenset[str], query: BaseModel | None = None) -> Json:
    """Turn one object into JSON as the caller may see it.

    :param hidden: names of fields that only the operator sees.
    """
    return _chosen(_seen(thing, hidden), query)


def select(things: Iterable[Shown], hidden: frozenset[str], query: BaseModel) -> list[Json]:
    """Turn those objects into JSON that match the query's filters."""
    filters: Mapping[str, list[str]] = query.model_dump(by_alias=True, exclude_none=True, exclude={"fields"})
    addresses = [_fixed_ip(text) for text in filters.get("fixed_ips", ())]
    plain = [(name, _wanted(name, values)) for name, values in filters.items() if name != "fixed_ips"]
    out = []
    for thing in things:
        seen = _seen(thing, hidden)
        if all(name in seen and _text(seen[name]) in wanted for name, wanted in plain) and _owns(seen, addresses):
            out.append(_chosen(seen, query))
    return out


def _seen(thing: Shown, hidden: frozenset[str]) -> Json:
    seen: Json = thing.model_dump(mode="json", by_alias=True)
    if not caller().is_operator:
        for name in hidden:
            seen.pop(name, None)
    return seen


def _chosen(seen: Json, query: BaseModel | None) -> Json:
    wanted = getattr(query, "fields", None)
    return {name: value for name, value in seen.items() if name in wanted} if wanted else seen


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _wanted(name: str, values: list[str]) -> frozenset[str]:
    """Booleans and MAC addresses have several spellings of one value; names have not."""
    if name in {"admin_state_up", "shared", "router:external", "enable_dhcp", "mac_address"}:
        return frozenset(value.lower() for value in values)
    return frozenset(values)


def _fixed_ip(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or key not in {"ip_address", "subnet_id"}:
        raise bad_request("fixed_ips", f"{text!r} is neither ip_address=… nor subnet_id=…")
    return key, value.lower()


def _owns(seen: Json, addresses: list[tuple[str, str]]) -> bool:
    if not addresses:
        return True
    wanted: dict[str, set[str]] = {}
    for key, value in addresses:
        wanted.setdefault(key, set()).add(value)
    return any(all(fixed[key] in values for key, values in wanted.items()) for fixed in seen.get("fixed_ips", ()))
