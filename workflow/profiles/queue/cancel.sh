#!/bin/sh
# cancel.sh RESULTS_DIR/.queue/NUMBER...: cancels jobs; one that has ended meanwhile is accepted.
for path; do
    qdel "$(basename "$path")" > /dev/null 2>&1
done
true
