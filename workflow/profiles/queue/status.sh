#!/bin/sh
# status.sh ONE RESULTS_DIR/.queue/NUMBER: prints running (also while the job waits), success or failed.
#
# ONE: the command that knows a job in the queue by its number: `qstat` (PBS) or `qstat -j` (Grid Engine).
path=$2
number=$(basename "$path")
if $1 "$number" > /dev/null 2>&1; then
    echo running
    exit
fi
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -e "$path.exit" ] && break
    # A scheduler that does not answer has not forgotten the job.
    qstat > /dev/null 2>&1 || { echo running; exit; }
    sleep 1 # the exit code is on a network file system and may be seen late
done
if [ "$(cat "$path.exit" 2> /dev/null)" = 0 ]; then echo success; else echo failed; fi
