#!/usr/bin/env bash
# Run pytest, then once more, one after another, what failed.  Thousands of tests share two cores with real guests, brokers and daemons:
# what fails among them and passes alone need not hold back the change of the day.  It is named at the end all the same, with its
# first failure above, and is a bug of today, in the test or in what it tests.  What fails twice fails.
set -uo pipefail
PYTEST="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/pytest"

"$PYTEST" -q "$@"
first=$?
[ $first -eq 1 ] || exit $first

alone=()
for word in "$@"; do # not shared out among processes
  case "$word" in -n | --dist) drop=1 ;; *) [ "${drop:-}" ] && drop= || alone+=("$word") ;; esac
done
echo "Once more, alone:"
"$PYTEST" -v -x --last-failed --last-failed-no-failures none "${alone[@]}" || exit $first
echo "These failed once and passed alone (above): find out why."
