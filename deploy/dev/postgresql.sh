#!/bin/bash
# PostgreSQL from Debian's package, without systemd, for development and CI.  Any number side by side.
#
#   postgresql.sh start DIR PORT   start it, or see that it runs; returns when it answers
#   postgresql.sh status DIR       exit status 0 when it answers
#   postgresql.sh stop DIR         end it, and only it
#   postgresql.sh wipe DIR         end it and forget all databases; the address stays
#
# In DIR: url (postgresql+psycopg://pileus:password@127.0.0.1:PORT/; append the name of a database), pid, log.  It listens
# on 127.0.0.1 and on a socket that only its own user reaches; both want the password (scram-sha-256).
# PILEUS_DEV_FSYNC=off makes it quick and unsafe, for tests that never pull the plug.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

DATABASES="identity compute image"           # one for each service
USAGE="usage: postgresql.sh start DIR PORT | status DIR | stop DIR | wipe DIR"
PROGRAMS=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)

main() {
  [ $# -ge 2 ] || fail "$USAGE"
  local verb=$1
  [ "$verb" != start ] || mkdir -p "$2"
  [ -d "$2" ] || { [ "$verb" = status ] && fail "not running: no folder $2"; exit 0; }
  DIR=$(realpath "$2")
  cd /                           # the owner of the data may not be allowed where we are
  PORT=${3:-$(cat "$DIR/port" 2>/dev/null || true)}
  DATA=$(cat "$DIR/data-folder" 2>/dev/null || true)
  case $verb in
    start) [ -n "$PORT" ] || fail "$USAGE"; lock_folder; start ;;
    status) status ;;
    stop) lock_folder; stop ;;
    wipe) lock_folder; stop; wipe ;;
    *) fail "$USAGE" ;;
  esac
}

# PostgreSQL refuses to run as root: then it runs as postgres, whom Debian's package has made.
AS_OWNER=()
OWNED=()
if [ "$(id -u)" = 0 ]; then
  AS_OWNER=(setpriv --reuid=postgres --regid=postgres --init-groups --inh-caps=-all)
  OWNED=(-o postgres -g postgres)
fi

# Where the data is: in DIR, unless its owner can not get there (a folder under /root, say): then under /var/lib.
choose_data_folder() {
  [ -z "$DATA" ] || return 0
  DATA=$DIR/data
  if [ "$(id -u)" = 0 ]; then
    chmod go+x "$DIR"            # to pass through; what is inside stays closed, file by file
    if ! "${AS_OWNER[@]}" test -x "$DIR"; then
      local elsewhere=/var/lib/pileus/dev
      mkdir -p "$elsewhere"
      chmod 755 /var/lib/pileus "$elsewhere"
      DATA=$elsewhere/postgresql-$(echo "$DIR" | sha256sum | cut -c 1-12)
    fi
  fi
  echo "$DATA" >"$DIR/data-folder"
}

pid() { head -n 1 "$DATA/postmaster.pid" 2>/dev/null || true; }
is_running() { [ -n "$DATA" ] && is_ours "$(pid)" "$DATA"; }

answers() { "$PROGRAMS/pg_isready" -q -h 127.0.0.1 -p "$PORT" -t 2; }
answers_or_died() { ! is_running || answers; }
has_come_up_or_died() { has_ended "$1" || answers; }

status() {
  { is_running && answers; } || fail "not running"
  say "answers on 127.0.0.1:$PORT, pid $(pid), data in $DATA"
}

start() {
  # one that was just killed may look alive for a moment more
  ! is_running || wait_for "$START_S" answers_or_died || true
  [ -n "$PROGRAMS" ] || fail "PostgreSQL is missing; do: apt-get install --no-install-recommends postgresql"
  if ! is_running; then
    require_free_port
    choose_data_folder
    [ -e "$DATA/PG_VERSION" ] || make_cluster
    launch
  fi
  (umask 077 && echo "127.0.0.1:$PORT:*:pileus:$(secret "$DIR/password")" >"$DIR/pgpass")
  make_databases
  pid >"$DIR/pid"
  echo "postgresql+psycopg://pileus:$(secret "$DIR/password")@127.0.0.1:$PORT/" >"$DIR/url"
  status
}

make_cluster() {
  # made beside and moved into place, so that an interrupted start leaves no half of a cluster
  local fresh=$DATA.new
  rm -rf "$fresh" "$DATA"
  install -d -m 700 "${OWNED[@]}" "$fresh"
  install -m 600 "${OWNED[@]}" /dev/stdin "$fresh.password" <<<"$(secret "$DIR/password")"
  "${AS_OWNER[@]}" "$PROGRAMS/initdb" -D "$fresh" -U pileus --pwfile="$fresh.password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 >"$DIR/initdb.log" 2>&1 || fail "initdb failed: $(tail -n 3 "$DIR/initdb.log")"
  rm "$fresh.password"
  mv "$fresh" "$DATA"
}

# After a kill -9 its children still end themselves.  PostgreSQL waits for none of that: it refuses to start, and where
# PID 1 is slow to collect the dead it even takes the dead server for a living one.
settle_after_crash() {
  [ -e "$DATA/postmaster.pid" ] || return 0
  wait_for 30 nobody_in "$DATA" || fail "processes of an earlier run are still in $DATA"
  rm -f "$DATA/postmaster.pid" "$DATA"/.s.PGSQL.*
}

launch() {
  settle_after_crash
  echo "$PORT" >"$DIR/port"
  local socket_folder=$DATA
  [ ${#DATA} -le 80 ] || socket_folder=     # the path of a unix socket holds 107 bytes: then TCP alone
  local settings=(
    -c listen_addresses=127.0.0.1
    -c port="$PORT"
    -c unix_socket_directories="$socket_folder"
    -c max_connections=200
    -c shared_buffers=32MB
    -c max_wal_size=256MB
    -c fsync="${PILEUS_DEV_FSYNC:-on}"
    -c logging_collector=off
    -c log_error_verbosity=terse
  )
  "${AS_OWNER[@]}" setsid "$PROGRAMS/postgres" -D "$DATA" "${settings[@]}" >>"$DIR/log" 2>&1 </dev/null 9>&- &
  local launched=$!
  { wait_for "$START_S" has_come_up_or_died "$launched" && is_running; } ||
    fail "did not start; the end of $DIR/log: $(tail -n 5 "$DIR/log")"
}

query() { PGPASSFILE=$DIR/pgpass "$PROGRAMS/psql" -X -q -A -t -h 127.0.0.1 -p "$PORT" -U pileus -d postgres "$@"; }

make_databases() {
  local database there
  there=$(query -c 'select datname from pg_database')
  for database in $DATABASES; do
    grep -qx "$database" <<<"$there" || query -c "create database $database"
  done
}

stop() {
  if is_running; then
    end_process "$(pid)" INT     # "fast": ends the sessions, writes a checkpoint
    say "stopped"
  fi
  rm -f "$DIR/pid"
}

wipe() {
  [ -z "$DATA" ] || rm -rf "$DATA"
  rm -f "$DIR/data-folder"
  say "empty"
}

main "$@"
