"""One readout from many machines: the parts of the work, each one command, and their merge.

Nothing here depends on a scheduler: `ray_driver.py`, `dask_driver.py` and `slurm_array.sh` run these commands, each in its own way.
A part is `pentimento stats` with a deterministic file name. It is written whole or not at all, and made again for free, so a lost
machine costs its unfinished parts and nothing else.
"""

import json
import os
import re
import shlex
import subprocess

#: Steps of a block: parts cut at multiples of it merge to the very bytes of one process.
BLOCK = 256


def pentimento():
    """The program: `$PENTIMENTO`, or `pentimento` on the path."""
    return os.environ.get("PENTIMENTO", "pentimento")


def run(words):
    """Runs one command; its standard output. Raises with the command's own message."""
    done = subprocess.run([pentimento(), *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"pentimento {words[0]} failed ({done.returncode}): {done.stderr.strip()}")
    return done.stdout


def sizes(trace):
    """Sequences and steps of a trace."""
    attributes = json.loads(run(["trace", "info", trace, "--json"]))["attributes"]
    return attributes["committed_batch"], attributes["committed_steps"]


def ranges(total, size):
    """`0:total` in ranges of at most `size`."""
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def plan(trace, folder, sequences_a_part=16, steps_a_part=None, settings=()):
    """The commands of all parts of one trace: lists of words. Cut by sequences first; by steps only where sequences are few and long."""
    n_sequences, n_steps = sizes(trace)
    steps = ranges(n_steps, steps_a_part or n_steps)
    if steps_a_part and steps_a_part % BLOCK:
        raise ValueError(f"cut steps at multiples of {BLOCK}, so that the merge has the bytes of one process")
    return [
        ["stats", "--trace", trace, "--batch", f"{b0}:{b1}", "--steps", f"{s0}:{s1}", "--into", folder, *settings]
        for b0, b1 in ranges(n_sequences, sequences_a_part)
        for s0, s1 in steps
    ]


def made(words):
    """Runs the command of one part; the path of its file."""
    return re.match(r"(.*\.safetensors): ", run(words)).group(1)


def merge(parts, output, partial=False):
    """Merges parts; order does not matter. The path of the sums."""
    run(["merge", *sorted(parts), "-o", output, "--force", *(["--partial"] if partial else [])])
    return output


def solve(sums):
    """The readout, as a dictionary."""
    return json.loads(run(["solve", sums, "--json"]))


def arguments(description):
    """The command line that all drivers share."""
    import argparse

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("trace", nargs="+", help="traces of one piece of work (recorded with `--range`), reachable from every machine")
    parser.add_argument("-o", "--output", required=True, help="where to write the merged sums")
    parser.add_argument("--parts", default="parts", help="folder of the parts, shared by all machines")
    parser.add_argument("--sequences-a-part", type=int, default=16)
    parser.add_argument("--steps-a-part", type=int, default=None, help=f"a multiple of {BLOCK}; for few, long sequences")
    parser.add_argument("--stats", default="", help="settings of every part, for example '--layer 1 --head 0 --lag 8'")
    return parser


def all_parts(options):
    """The commands of all parts of all traces."""
    settings = shlex.split(options.stats)
    return [
        words
        for trace in options.trace
        for words in plan(trace, options.parts, options.sequences_a_part, options.steps_a_part, settings)
    ]


def finish(parts, options):
    """Merges, solves and prints."""
    merge(parts, options.output)
    readout = solve(options.output)
    target = readout["target"]
    print(f"{len(parts)} parts, {readout['n_samples']} samples: R2 {target['r2']:.3f} [{target['low']:.3f}, {target['high']:.3f}]")
    print(options.output)


if __name__ == "__main__":
    # Without a scheduler: the commands, one a line, for xargs, make or a batch system.
    for words in all_parts(arguments(__doc__).parse_args()):
        print(shlex.join([pentimento(), *words]))
