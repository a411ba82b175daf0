"""How a model repository in a bucket comes onto a volume: fetched, compared with the source, then with its own list."""

from windlass.config.project.repository import Repository

# Speaks to every kind of bucket, and compares checksums while it copies.
IMAGE = "rclone/rclone:1.71.2"

# Servers of one's own that speak S3 are named by lines of the credentials: RCLONE_S3_PROVIDER=Minio (or Ceph, Other)
# and RCLONE_S3_ENDPOINT=https://….
_KINDS = {
    "s3": "s3,provider=${RCLONE_S3_PROVIDER:-AWS},env_auth=true",
    "gs": "gcs,env_auth=true",
    "az": "azureblob,env_auth=true",
}

# Lines of the secret are `NAME=value`. They are read, not run.
_CREDENTIALS = """\
while IFS='=' read -r name value || [ -n "$name" ]; do
  case "$name" in ''|'#'*) ;; *) export "$name=$value" ;; esac
done <"{secret}"
"""

_FETCH = """\
rclone sync --checksum --transfers=8 --stats-one-line {source} {folder}
rclone check --one-way --stats-one-line {source} {folder}
if [ -f {folder}/SHA256SUMS ]; then
  cd {folder}
  told=$(sha256sum -c SHA256SUMS 2>&1) || {{ echo "$told" | grep -v ': OK$' >&2; exit 1; }}
fi
"""


def script(repository: Repository, *, folder: str = "/models", secret: str | None = None) -> str:
    """Return the shell script that fetches and verifies; ``secret`` is the file with the bucket's credentials.

    It ends with something else than 0 where anything differs, and copies only what is new when it runs again.
    """
    if repository.url is None:
        raise ValueError("this is a bug in windlass: a repository without a URL was to be fetched")
    return head(secret) + _FETCH.format(source=f'"{remote(repository.url)}"', folder=folder)


def head(secret: str | None) -> str:
    """Return how a script begins that talks to a bucket: any failure ends it, and it has the credentials."""
    return "set -eu\n" + (_CREDENTIALS.format(secret=secret) if secret else "")


def remote(url: str) -> str:
    """Return a bucket as rclone names it, without a configuration file."""
    scheme, _, rest = url.partition("://")
    if scheme == "https":
        return f":http,url='{url.rstrip('/')}/':"
    return f":{_KINDS[scheme]}:{rest.rstrip('/')}"
