# shellcheck shell=bash
# shellcheck disable=SC2034  # its readers are the scripts that source it
# What the two services of deploy/dev share: one folder per service, one lock on it, processes known by pid.
set -euo pipefail
export LC_ALL=C
umask 077

NAME=$(basename "$0" .sh)
START_S=90                      # how long a start may take on a busy machine
STOP_S=30                       # how long a clean end may take before it is a kill

say() { echo "$NAME: $*"; }
fail() { echo "$NAME: $*" >&2; exit 1; }

# One start or stop at a time for each folder; the service itself must not inherit the lock: 9>&- where it is started.
lock_folder() {
  exec 9>"$DIR/lock"
  flock 9
}

# is_ours PID CWD: does this process still run, and is it the one of this folder rather than a later one of the same pid?
is_ours() {
  [ -n "$1" ] && [ "$(readlink "/proc/$1/cwd")" = "$2" ]
} 2>/dev/null

# wait_for SECONDS COMMAND...: until the command succeeds; fails when it has not in time
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# Ended, though perhaps not yet collected: where PID 1 is no init, a dead process keeps its pid for long.
has_ended() { ! readlink "/proc/$1/cwd" >/dev/null; }

# nobody_in FOLDER: does no process work there?
# What find printed counts, not its exit status: that is a failure whenever some process of the machine ends meanwhile.
nobody_in() {
  local found
  found=$(find /proc -mindepth 2 -maxdepth 2 -name cwd -path '/proc/[0-9]*' -lname "$1" 2>/dev/null || true)
  [ -z "$found" ]
}

# end_process PID SIGNAL: ask, wait, and only then insist
end_process() {
  kill -s "$2" "$1" 2>/dev/null || return 0
  wait_for "$STOP_S" has_ended "$1" && return
  say "process $1 did not end within $STOP_S s: killed"
  kill -s KILL "$1" 2>/dev/null || return 0
  wait_for 10 has_ended "$1"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }

# A killed process gives its port back a moment after it is gone.
require_free_port() { wait_for 5 port_is_free || fail "port $PORT on 127.0.0.1 is taken by something else"; }

require_program() { [ -x "$1" ] || fail "$1 is missing; do: apt-get install --no-install-recommends $2"; }

random_hex() { od -A n -t x1 -N 20 /dev/urandom | tr -d ' \n'; }

# secret FILE: what is in the file, made up on first use
secret() {
  [ -s "$1" ] || random_hex >"$1"
  cat "$1"
}
