#!/bin/sh
# Stands where an installation has the dynamic loader that runs QEMU. What it does is in two files beside it: "version"
# for --version, "body" for a machine. It leaves its process id and its arguments, the last of them atomically.
here=$(dirname "$0")
echo $$ > "$here/pid"
for argument; do
    if [ "$argument" = --version ]; then
        . "$here/version"
        exit
    fi
done
printf '%s\n' "$@" > "$here/arguments.new"
mv "$here/arguments.new" "$here/arguments"
. "$here/body"
