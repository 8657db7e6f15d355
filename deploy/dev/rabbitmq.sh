#!/bin/bash
# RabbitMQ from Debian's package, without systemd, for development and CI.  Any number side by side.
#
#   rabbitmq.sh start DIR PORT   start it, or see that it runs; returns when it answers
#   rabbitmq.sh status DIR       exit status 0 when it answers
#   rabbitmq.sh stop DIR         end it, and only it
#   rabbitmq.sh wipe DIR         end it and forget all queues and messages; the address stays
#
# In DIR: url (amqp://user:password@127.0.0.1:PORT/), pid, log/.  It listens on 127.0.0.1 and nowhere else: Erlang's
# distribution, its port mapper (epmd) and the user guest are off.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SERVER=/usr/lib/rabbitmq/bin/rabbitmq-server
USAGE="usage: rabbitmq.sh start DIR PORT | status DIR | stop DIR | wipe DIR"

main() {
  [ $# -ge 2 ] || fail "$USAGE"
  local verb=$1
  [ "$verb" != start ] || mkdir -p "$2"
  [ -d "$2" ] || { [ "$verb" = status ] && fail "not running: no folder $2"; exit 0; }
  DIR=$(realpath "$2")
  PORT=${3:-$(cat "$DIR/port" 2>/dev/null || true)}
  case $verb in
    start) [ -n "$PORT" ] || fail "$USAGE"; lock_folder; start ;;
    status) status ;;
    stop) lock_folder; stop ;;
    wipe) lock_folder; stop; rm -rf "$DIR/data"; say "empty" ;;
    *) fail "$USAGE" ;;
  esac
}

pid() { cat "$DIR/pid" 2>/dev/null || true; }
is_running() { is_ours "$(pid)" "$DIR"; }

# Does it greet as AMQP 0-9-1 does?  A method frame (type 1) follows the protocol header.
answers() (
  exec 3<>"/dev/tcp/127.0.0.1/$PORT" || exit 1
  printf 'AMQP\x00\x00\x09\x01' >&3
  [ "$(timeout 5 head -c 1 <&3 | od -A n -t x1)" = " 01" ]
) 2>/dev/null

answers_or_died() { ! is_running || answers; }

status() {
  { is_running && answers; } || fail "not running"
  say "answers on 127.0.0.1:$PORT, pid $(pid), $(awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$(pid)/status") MiB"
}

start() {
  # one that was just killed may look alive for a moment more
  ! is_running || wait_for "$START_S" answers_or_died || true
  if ! is_running; then
    require_program "$SERVER" rabbitmq-server
    require_free_port
    write_configuration
    launch
  fi
  { wait_for "$START_S" answers_or_died && is_running; } ||
    fail "did not start; the end of $DIR/log: $(tail -n 5 "$DIR/log/output" 2>/dev/null)"
  status
}

write_configuration() {
  mkdir -p "$DIR/data" "$DIR/log"
  echo "$PORT" >"$DIR/port"
  secret "$DIR/.erlang.cookie" >/dev/null
  echo '[].' >"$DIR/plugins"
  cat >"$DIR/rabbitmq.conf" <<CONFIG
listeners.tcp.1 = 127.0.0.1:$PORT
num_acceptors.tcp = 2
default_user = pileus
default_pass = $(secret "$DIR/password")
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 64MiB
raft.wal_max_size_bytes = 33554432
log.file.level = info
log.console = false
CONFIG
  echo "amqp://pileus:$(secret "$DIR/password")@127.0.0.1:$PORT/" >"$DIR/url"
}

launch() {
  # One scheduler that does not spin, small tables.  RabbitMQ insists on being a distributed node; as one that takes no
  # connections it needs neither cookie nor port mapper, if only it has some number to give when it asks for its port.
  # In the environment, because it starts another Erlang once a minute just to revive the port mapper.
  local beam="+S 1:1 +SDcpu 1:1 +SDio 4 +A 4 +P 131072 +t 1048576 +stbt db +sbwt none +sbwtdcpu none +sbwtdio none"
  cd "$DIR"
  env -i PATH="$PATH" HOME="$DIR" LANG=C.UTF-8 \
    RUNNING_UNDER_SYSTEMD=true \
    RABBITMQ_NODENAME=pileus@localhost \
    RABBITMQ_CONFIG_FILE="$DIR/rabbitmq.conf" \
    RABBITMQ_CONF_ENV_FILE="$DIR/rabbitmq-env.conf" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$DIR/plugins" \
    RABBITMQ_MNESIA_BASE="$DIR/data" \
    RABBITMQ_LOG_BASE="$DIR/log" \
    RABBITMQ_SERVER_ERL_ARGS="$beam" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-sname pileus@localhost" \
    ERL_FLAGS="-dist_listen false -start_epmd false -erl_epmd_port $PORT" \
    setsid "$SERVER" >"$DIR/log/output" 2>&1 </dev/null 9>&- &
  echo $! >"$DIR/pid"          # the scripts on the way to beam.smp each give it their own pid (exec)
}

stop() {
  if is_running; then
    end_process "$(pid)" TERM
    wait_for 30 nobody_in "$DIR" # a small child of beam.smp goes a moment later
    say "stopped"
  fi
  rm -f "$DIR/pid"
}

main "$@"
