"""An authority of the test's own, and the certificates that it hands out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
CURVE = ec.SECP256R1()


@dataclass(frozen=True)
class Certificate:
    """Two PEM files."""

    key: Path
    cert: Path


@dataclass
class Authority:
    """Vouches for names; who trusts `cafile` trusts them."""

    folder: Path
    name: str = "ca"
    _key: ec.EllipticCurvePrivateKey = field(init=False, default_factory=lambda: ec.generate_private_key(CURVE))

    def __post_init__(self) -> None:
        certificate = self._sign(self.name, self._key, from_=-2 * DAY, to=2 * DAY, ca=True)
        self.cafile.write_bytes(certificate)

    @property
    def cafile(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def certificate(self, name: str, *, expired: bool = False) -> Certificate:
        """For a server of this name."""
        made = self.folder / f"{self.name}.{name}{'.expired' if expired else ''}"
        files = Certificate(made.with_name(made.name + ".key"), made.with_name(made.name + ".cert"))
        key = ec.generate_private_key(CURVE)
        files.cert.write_bytes(self._sign(name, key, from_=-2 * DAY, to=-DAY if expired else 2 * DAY, ca=False))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, *, from_: timedelta, to: timedelta, ca: bool) -> bytes:
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(_called(name))
            .issuer_name(_called(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + from_)
            .not_valid_after(now + to)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return signed.public_bytes(serialization.Encoding.PEM)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
