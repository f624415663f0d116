#!/bin/sh
# The secrets that docker-compose.yml asks for, new at each run: docs/deploy/make-env.sh > .env
# Keep the file: the databases and Redis were made with these passwords.
set -eu
secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
for name in OWNER_PASSWORD APP_PASSWORD REPLICATOR_PASSWORD COORDINATOR_PASSWORD PEER_PASSWORD REDIS_PASSWORD ADMIN_TOKEN SITE_KEY; do
  echo "LASTCALL_$name=$(secret)"
done
