#!/bin/bash
# Runs a command of the image: `keepline …`, one of Flink's scripts (jobmanager.sh, taskmanager.sh, standalone-job.sh), or what the
# Flink operator for Kubernetes asks for (kubernetes-jobmanager.sh and kubernetes-taskmanager.sh, by `bash -c`).
#
# KEEPLINE_PROFILE=throughput (low-latency, backfill) writes config.yaml for that purpose before the start. Under the operator the
# settings come from the deployment, and its folder cannot be written.
set -euo pipefail

# The kernels that were compiled with the image; a folder that stays gets those of later code as well.
mkdir -p "$KEEPLINE_NUMBA_CACHE"
cp -rn /opt/flink/numba/. "$KEEPLINE_NUMBA_CACHE/"

if [ -n "${KEEPLINE_PROFILE:-}" ]; then
    profile=$KEEPLINE_PROFILE
    unset KEEPLINE_PROFILE
    keepline conf "$profile" > "$FLINK_CONF_DIR/config.yaml"
fi

exec tini -- "$@"
