"""The files that TLS takes: for the load, and for the client that looks around before there is any."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import UsageError


@dataclass(frozen=True, slots=True)
class Trust:
    """Files of PEM for TLS: who signed the server's certificate (else the system's), and who the generator is."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def context(trust: Trust) -> ssl.SSLContext:
    """Return who is believed to be the server, and who asks. Raises ``UsageError`` for files of something else."""
    try:
        made = ssl.create_default_context(cafile=trust.authorities)
    except OSError as error:
        raise UsageError(
            f"option `--tls-ca`: `{trust.authorities}` holds no certificate: {error}", hint="name a file of PEM"
        ) from error
    if trust.certificate:
        try:
            # Without a password it would be asked for on the terminal; the generator knows none either.
            made.load_cert_chain(trust.certificate, trust.key, password="")
        except OSError as error:
            raise UsageError(
                f"option `--tls-certificate`: `{trust.certificate}` and `{trust.key}` do not go together: {error}",
                hint="name a certificate and its key, in PEM and without a password",
            ) from error
    return made
