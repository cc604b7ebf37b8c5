"""Which certificates does a network of ours need, and what do they say about whom?

Three kinds, and a list of those that count no more, built here from values and a given time, without files: the
authority, which signs the others; the controller's, which may only be a server's; and a machine's, which may only be a
client's, so that no hypervisor can pose as the controller.  The alternative names of a machine's certificate say who it
may be: a hypervisor's name, or the datapath id of a fabric switch (16 hex digits).  All keys are on the curve P-256
(RFC 5480).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3650
LEAF_DAYS: Final = 825
"""The longest that clients still trust where they limit it at all."""

_BACKDATED: Final = timedelta(minutes=5)
"""The clocks of the machines that have to believe it need not agree to the second."""
_COMMON_NAME_MAX: Final = 64


class CertificateError(Exception):
    """What was asked for, or what was found, is no certificate or key that could be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both as PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Pair(…)"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says."""

    common_name: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serves: bool
    """Whether a server may show it: nothing in it says that it is for another purpose."""
    serial: int
    fingerprint: str
    """SHA-256, as ``openssl x509 -fingerprint -sha256`` prints it."""


def authority(name: str, now: datetime, days: int = AUTHORITY_DAYS) -> Pair:
    """Make an authority: it signs, and nothing else.

    :raises CertificateError: for a name that no certificate can carry.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def controller(issuer: Pair, name: str, names: Iterable[str], now: datetime, days: int = LEAF_DAYS) -> Pair:
    """Make the certificate of a controller, which is called by these names and addresses."""
    return _leaf(issuer, name, map(_place, names), now, days, ExtendedKeyUsageOID.SERVER_AUTH)


def machine(issuer: Pair, name: str, names: Iterable[str], now: datetime, days: int = LEAF_DAYS) -> Pair:
    """Make the certificate of a hypervisor or switch, which may be whom the names say."""
    return _leaf(issuer, name, map(_name, names), now, days, ExtendedKeyUsageOID.CLIENT_AUTH)


def self_made(name: str, names: Iterable[str], now: datetime, days: int = LEAF_DAYS) -> Pair:
    """Make a server's certificate that nobody but itself has signed: it is known by its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = _usable(
        _builder(subject, subject, key.public_key(), now, days), map(_place, names), ExtendedKeyUsageOID.SERVER_AUTH
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def revocations(issuer: Pair, serials: Iterable[int], now: datetime) -> bytes:
    """Make the list of certificates of an authority that count no more.

    It is valid as long as the authority: it says what was revoked, not that nothing has been since.
    """
    above = _parsed(issuer.certificate)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(above.subject)
        .last_update(now)
        .next_update(_moment(above, "not_valid_after"))
        .add_extension(_issued_by(above), critical=False)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
    )
    for serial in sorted(set(serials)):
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(_key(issuer.key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def revoked(listed: bytes) -> frozenset[int]:
    """Read the serial numbers in a list.

    :raises CertificateError: when it is none.
    """
    try:
        return frozenset(each.serial_number for each in x509.load_pem_x509_crl(listed))
    except ValueError as error:
        raise CertificateError("not a list of revoked certificates in PEM") from error


def facts(certificate: bytes) -> Facts:
    """Read a certificate.

    :raises CertificateError: when it is none.
    """
    return _facts(_parsed(certificate))


def _facts(found: x509.Certificate) -> Facts:
    try:
        held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = (*held.get_values_for_type(x509.DNSName), *map(str, held.get_values_for_type(x509.IPAddress)))
    except x509.ExtensionNotFound:
        names = ()
    try:
        purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        serves = ExtendedKeyUsageOID.SERVER_AUTH in purposes
    except x509.ExtensionNotFound:
        serves = True
    common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Facts(
        common_name=str(common[0].value) if common else "",
        names=tuple(names),
        not_before=_moment(found, "not_valid_before"),
        not_after=_moment(found, "not_valid_after"),
        serves=serves,
        serial=found.serial_number,
        fingerprint=found.fingerprint(hashes.SHA256()).hex(":").upper(),
    )


def check(certificate: bytes, now: datetime) -> Facts:
    """Read a certificate that is to be used now.

    :raises CertificateError: when it is none, or is not valid at that time.
    """
    found = facts(certificate)
    if now < found.not_before:
        raise CertificateError(f"the certificate is not valid before {_day(found.not_before)}")
    if now > found.not_after:
        raise CertificateError(f"the certificate has expired on {_day(found.not_after)}")
    return found


def check_key(key: bytes, certificate: bytes) -> None:
    """Refuse a key that is none, or that belongs to another certificate.

    :raises CertificateError: saying which of the two.
    """
    plain = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if _key(key).public_key().public_bytes(*plain) != _parsed(certificate).public_key().public_bytes(*plain):
        raise CertificateError("the key is not that of the certificate")


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _moment(found: x509.Certificate, column: str) -> datetime:
    """A time in a certificate; the library has told it without a zone before version 42, and deprecates that since."""
    told: datetime | None = getattr(found, f"{column}_utc", None)
    return told if told is not None else getattr(found, column).replace(tzinfo=UTC)


def _day(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _parsed(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateError("not a certificate in PEM") from error


def _key(key: bytes) -> Any:
    try:
        return serialization.load_pem_private_key(key, None)
    except TypeError as error:
        raise CertificateError("the key is encrypted; a controller that starts by itself has no password") from error
    except ValueError as error:
        raise CertificateError("not a private key in PEM") from error


def _subject(name: str) -> x509.Name:
    if not 0 < len(name) <= _COMMON_NAME_MAX or not name.isprintable():
        raise CertificateError(f"{name!r} cannot be the name in a certificate: 1 to {_COMMON_NAME_MAX} characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _usable(
    builder: x509.CertificateBuilder, names: Iterable[x509.GeneralName], purpose: x509.ObjectIdentifier
) -> x509.CertificateBuilder:
    alternatives = list(dict.fromkeys(names))
    if not alternatives:
        raise CertificateError("a certificate without names is nobody's")
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )


def _place(name: str) -> x509.GeneralName:
    """Where a server is called: an address, or a name."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return _name(name)


def _name(name: str) -> x509.GeneralName:
    if not name or not name.isascii() or not name.isprintable() or " " in name or "*" in name:
        raise CertificateError(f"{name!r} is neither a name nor an IP address")
    return x509.DNSName(name)


def _leaf(  # noqa: PLR0917  (one private step of two makers)
    issuer: Pair, name: str, names: Iterable[x509.GeneralName], now: datetime, days: int, purpose: x509.ObjectIdentifier
) -> Pair:
    signer, above = _key(issuer.key), _parsed(issuer.certificate)
    check(issuer.certificate, now)
    check_key(issuer.key, issuer.certificate)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise CertificateError("the authority's key is not on an elliptic curve, as ours are")
    key = ec.generate_private_key(ec.SECP256R1())
    # What an authority has signed cannot be valid for longer than itself.
    left = (_moment(above, "not_valid_after") - now).days
    builder = _usable(_builder(_subject(name), above.subject, key.public_key(), now, min(days, left)), names, purpose)
    builder = builder.add_extension(_issued_by(above), critical=False)
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def _issued_by(above: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
