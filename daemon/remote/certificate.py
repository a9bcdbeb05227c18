"""What a server is known by: a key and a certificate of its own, signed by itself, and a token; made once."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uncnn.daemon.files.folders import private
from uncnn.daemon.remote.access import BYTES, AccessError, AccessKey, keep, new_token
from uncnn.plugins.extras import require

_FOLDER: Final = "serve"
_IDENTITY: Final = "identity.pem"
_TOKEN: Final = "token"
_BEGUN: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # no clock has to be right
_ENDS: Final = datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC)  # RFC 5280, 4.1.2.5: it does not expire


@dataclass(frozen=True, slots=True)
class Identity:
    """What is kept on a server."""

    file: Path  # the private key and the certificate, PEM
    key: AccessKey

    def context(self) -> ssl.SSLContext:
        """Return what the server demands of clients, and shows them: TLS 1.3. Raises AccessError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(self.file)
        except (OSError, ssl.SSLError) as error:
            raise _broken(self.file, error) from error
        return context


def identity(data: Path, new: bool = False) -> Identity:
    """Return what this server is known by, made where it is missing or a `new` one is wanted.

    `data` is the folder of the user's data.

    Raises MissingPackage, FolderError, AccessError.
    """
    folder = private(data / _FOLDER)
    file, token = folder / _IDENTITY, folder / _TOKEN
    if new or not (file.exists() and token.exists()):
        require("cryptography")
        keep(file, _made())
        keep(token, new_token())
    return Identity(file, AccessKey(_digest(file), _read(token)))


def _digest(file: Path) -> bytes:
    """Return the SHA-256 digest of the certificate in a file."""
    try:
        text = file.read_text(encoding="ascii")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[begin:])).digest()
    except (OSError, ValueError) as error:
        raise _broken(file, error) from error


def _read(token: Path) -> bytes:
    try:
        content = token.read_bytes()
    except OSError as error:
        raise _broken(token, error) from error
    if len(content) != BYTES:
        raise _broken(token, ValueError(f"{len(content)} bytes in place of {BYTES}"))
    return content


def _broken(file: Path, error: Exception) -> AccessError:
    return AccessError(f"{file} is of no use ({error}): `uncnn-daemon serve --new-access-key` makes another one")


def _made() -> bytes:
    """Return a new private key and its certificate, PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "uncnn")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGUN)
        .not_valid_after(_ENDS)
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private_key + certificate.public_bytes(serialization.Encoding.PEM)
