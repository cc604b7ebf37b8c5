"""Which spellings of a field does the API take, and what do they mean?

Pydantic types that turn JSON into the domain's values.  They are the only validation of requests, and the OpenAPI
document is printed from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from overlay.refusals import Refusal
from overlay.tags import TAGS_MOST
from overlay.values import HostName, IpAddress, IpNetwork, Mac, Vni

T = TypeVar("T")

REFUSED: Final = "refused"
"""The type of our own validation errors, whose message is a whole sentence's reason."""

_CIDR: Final = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
_IPV4: Final = 4


class Body(BaseModel):
    """A JSON object that a client sends: what is not declared is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def says(self, name: str) -> bool:
        """Whether the client gave this field (by the API's name), if only with its default."""
        return _attribute(type(self), name) in self.model_fields_set


@cache
def _attribute(model: type[BaseModel], name: str) -> str | None:
    """The attribute of a field that the API calls so."""
    return next((own for own, field in model.model_fields.items() if name == (field.alias or own)), None)


_SCHEMAS: Final[dict[type[BaseModel], dict[str, Any]]] = {}


class Asked(BaseModel):
    """Parameters of a request that stand beside its body."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Remember the plain form, which flask-openapi3 asks for at every request: it takes a millisecond to make."""
        if args or kwargs:
            return super().model_json_schema(*args, **kwargs)
        if cls not in _SCHEMAS:
            _SCHEMAS[cls] = super().model_json_schema()
        return _SCHEMAS[cls]


def _by_choice(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class Shown(BaseModel):
    """A JSON object that we answer with; ``fields=`` may leave any of it out."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, json_schema_extra=_by_choice)


class RecordShown(Shown):
    """What is shown of every object that a tenant can make (Neutron's standard attributes)."""

    tags: tuple[str, ...]
    revision_number: int
    created_at: str = Field(description="UTC, as 2016-03-08T20:19:41Z.")
    updated_at: str


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


if TYPE_CHECKING:
    Maybe: TypeAlias = T | None
else:
    Maybe = Annotated[T, Field(json_schema_extra=_without_default)]
"""A field that may be left out, and is then None; a null in the JSON is refused like any other wrong type."""


def refused(reason: str) -> PydanticCustomError:
    """An error for pydantic to collect; its text reaches the client, so it must not be a format string."""
    return PydanticCustomError(REFUSED, "{reason}", {"reason": reason})


def _no_bool(value: object) -> object:
    if isinstance(value, bool | float):
        raise refused(f"{str(value).lower()} is not a whole number")
    return value


Count: TypeAlias = Annotated[int, BeforeValidator(_no_bool)]
"""A whole number; also in quotes, as the ``openstack`` command sends it."""

Name: TypeAlias = Annotated[str, Field(max_length=255)]
Identity: TypeAlias = Annotated[str, Field(min_length=1, max_length=255)]
Mtu: TypeAlias = Annotated[int, Field(ge=68, le=65535), BeforeValidator(_no_bool)]
"""68 is IPv4's least (RFC 791)."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise refused("must be a string")
    return value


def ip_of(value: object, wanted: str = "an IP address") -> IpAddress:
    """Read an IP address; ``wanted`` says in the refusal what would have done."""
    text = _text(value)
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or (isinstance(address, IPv6Address) and address.scope_id is not None):
        raise refused(f"{text!r} is not {wanted}")
    return address


def _ip(value: object) -> IpAddress:
    return ip_of(value)


def _cidr(value: object) -> IpNetwork:
    text = _text(value)
    if not _CIDR.fullmatch(text):
        raise refused(f"{text!r} is not a prefix like 192.0.2.0/24")
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise refused(f"{text!r} is not a prefix like 192.0.2.0/24") from None
    raise refused(f"{text!r} has bits set behind its mask, {str(loose)!r} would do")


def _prefix(value: object) -> IpNetwork:
    """Read a prefix, or an address, which is the prefix of itself."""
    return _cidr(value) if "/" in _text(value) else ip_network(ip_of(value, "an IP address or prefix"))


def _domain(parse: Callable[[str, str], T]) -> Callable[[object, ValidationInfo], T]:
    """Let the domain's own parser judge; its refusal becomes pydantic's error."""

    def validate(value: object, info: ValidationInfo) -> T:
        text = _text(value)
        field = info.field_name or ""
        try:
            return parse(text, field)
        except Refusal as refusal:
            raise refused(refusal.message.removeprefix(f"{field}: ")) from None

    return validate


def _vni(value: object) -> Vni:
    _no_bool(value)
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int):
        raise refused(f"{value!r} is not a whole number")
    try:
        return Vni.parse(number, "")
    except Refusal as refusal:
        raise refused(refusal.message.removeprefix(": ")) from None


IpText: TypeAlias = Annotated[
    IpAddress,
    PlainValidator(_ip),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}),
]
CidrText: TypeAlias = Annotated[
    IpNetwork, PlainValidator(_cidr), WithJsonSchema({"type": "string", "examples": ["192.0.2.0/24", "2001:db8::/64"]})
]
PrefixText: TypeAlias = Annotated[
    IpNetwork,
    PlainValidator(_prefix),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.0/24", "192.0.2.1", "2001:db8::/64"]}),
]
MacText: TypeAlias = Annotated[
    Mac,
    PlainValidator(_domain(Mac.parse)),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"}),
]
HostText: TypeAlias = Annotated[
    HostName,
    PlainValidator(_domain(HostName.parse)),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}),
]
VniNumber: TypeAlias = Annotated[
    Vni, PlainValidator(_vni), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": (1 << 24) - 1})
]


def truth(value: object) -> object:
    """Read true or false in any of the spellings that Neutron takes."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if known is None or isinstance(value, float):
        raise refused(f"{value!r} cannot be converted to boolean")
    return known


Flag: TypeAlias = Annotated[bool, BeforeValidator(truth), WithJsonSchema({"type": "boolean"})]


def only(value: object, why: str) -> Callable[[object], object]:
    """A validator for a field of Neutron's of which we can honour one value: any other is refused with the reason."""

    def validate(given: object) -> object:
        # Python holds True == 1: the openstack command sends either for a boolean.
        if (truth(given) if isinstance(value, bool) else given) != value:
            raise refused(f"only {_json(value)} can be had: {why}")
        return value

    return validate


def _json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


def empty(why: str) -> object:
    """The type of a list or object of Neutron's that has to stay empty, because nothing follows from it yet."""

    def validate(given: object) -> object:
        if given:
            raise refused(f"must be empty: {why}")
        return given

    return BeforeValidator(validate)


Tag: TypeAlias = Annotated[str, Field(min_length=1, max_length=255)]


def _distinct(tags: list[str]) -> list[str]:
    twice = next((tag for place, tag in enumerate(tags) if tag in tags[:place]), None)
    if twice is not None:
        raise refused(f"{twice!r} is there twice")
    return tags


TagList: TypeAlias = Annotated[list[Tag], Field(max_length=TAGS_MOST), AfterValidator(_distinct)]


def version_of(cidr: IpNetwork) -> int:
    """4 or 6."""
    return _IPV4 if isinstance(cidr, IPv4Network) else 6
