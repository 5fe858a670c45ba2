#!/bin/sh
# submit.sh RESULTS_DIR WILDCARDS... -- QSUB_OPTIONS... JOBSCRIPT: submits the script and prints RESULTS_DIR/.queue/NUMBER.
#
# What the queue does not keep is kept there: NUMBER.cell, the values of the wildcards, by which `renorm status` finds the
# cell's job, and NUMBER.exit, the job's exit code, which a scheduler without history forgets.
set -eu
results=$1
shift
cell=
while [ "$1" != -- ]; do
    cell="${cell:+${cell}_}$1"
    shift
done
shift
mkdir -p "$results/.queue"
queue=$(cd "$results/.queue" && pwd)
for script; do :; done # the last argument
job="$queue/$(basename "$script").$$.sh"
cat > "$job" << END
#!/bin/sh
cd "$(pwd)" || exit 1
# The queue signals every process of a job: shells wait for the trainer, which saves a checkpoint and ends.
trap '' TERM USR1 USR2
number=\${PBS_JOBID:-\$JOB_ID}
sh "$script"
code=\$?
echo \$code > "$queue/\$number.exit.part" && mv "$queue/\$number.exit.part" "$queue/\$number.exit"
exit \$code
END
# The options: all arguments but the last.
left=$(($# - 1))
while [ "$left" -gt 0 ]; do
    set -- "$@" "$1"
    shift
    left=$((left - 1))
done
shift
# The number may be among a site's greetings.
number=$(qsub -N renorm -o "$queue/" -e "$queue/" "$@" "$job" | grep -E '^[0-9]+(\.[A-Za-z0-9.-]+)?$' | tail -n 1)
[ -n "$number" ] || { echo "qsub printed no job number" >&2; exit 1; }
printf '%s\n' "$cell" > "$queue/$number.cell"
echo "$queue/$number"
