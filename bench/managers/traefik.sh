#!/bin/bash
# Traefik on Podman's Docker-compatible API, with its defaults.
set -eu
exec "$TRAEFIK" \
  --global.checknewversion=false --global.sendanonymoususage=false \
  --entrypoints.web.address="127.0.0.1:$PORT" \
  --providers.docker=true --providers.docker.endpoint="unix://$PODMAN_SOCK" \
  --providers.docker.exposedbydefault=false --log.level=INFO
