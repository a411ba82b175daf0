#!/bin/sh
# Makes nginx's maps of API keys from the secrets, then becomes nginx. Keys are in memory only: /tmp is no disk.
# Written by windlass 0.1.0.
set -eu
umask 077

keys="/tmp/keys"
mkdir -p "$keys"

# A line of the secret is `client-name key`. A map finds a key at the same cost however many there are.
# What is wrong is told by its line, never by its text.
translate() {
    if [ ! -r "$1" ]; then
        echo "error: secret \`${1##*/}\` cannot be read by user $(id -u): let others read the file, and nobody enter its folder" >&2
        exit 1
    fi
    awk -v secret="${1##*/}" '
        { sub(/\r$/, "") }
        /^[ \t]*(#|$)/ { next }
        NF != 2 || $1 !~ /^[A-Za-z0-9._@-]+$/ || $2 !~ /^[A-Za-z0-9._~+\/=-]+$/ {
            printf "error: secret `%s`, line %d: expected `client-name key`\n", secret, NR > "/dev/stderr"; wrong = 1; next
        }
        length($2) < 16 || length($2) > 200 {
            printf "error: secret `%s`, line %d: expected a key of 16 to 200 characters\n", secret, NR > "/dev/stderr"
            wrong = 1; next
        }
        tolower($2) in known {
            printf "error: secret `%s`, line %d: the key of line %d again\n", secret, NR, known[tolower($2)] > "/dev/stderr"
            wrong = 1; next
        }
        { known[tolower($2)] = NR; printf "\"k%s\" \"%s %s\";\n", $2, $1, $2 }
        END { exit wrong }
    ' "$1" >"$2"
}

translate "/run/secrets/keys" "$keys/gateway.map"

exec nginx -c "/etc/nginx/nginx.conf" -g "daemon off;" "$@"
