"""The files that TLS takes, for the client that looks around before there is load."""

import ssl

from windlass.bench.load import Trust
from windlass.errors import UsageError


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
