"""Where a training step on a card spends its time, kernel by kernel.

    python3 benches/profile_training.py PENTIMENTO SPEC [--device cuda:0] [--skip 20000] [--count 4000] [--json FILE]

Runs `pentimento train` under Nsight Compute (`ncu`, one counter: the duration of each kernel), takes `count` launches after the
first `skip`, and adds them up by kernel. What the processor does between launches is not in it: compare the sum with the time of a
step in the training's own log.
"""

import argparse
import collections
import csv
import io
import json
import re
import subprocess
import tempfile

# A training step gathers rows twice (embedding, asked rows), and each gather has one of these in its backward pass.
MARK, MARKS_A_STEP = "gather_rows_sums", 2


def kernels(arguments):
    """(name, microseconds) of every launch."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["ncu", "--clock-control", "none", "--csv", "--page", "raw", "--metrics", "gpu__time_duration.sum"]
        command += ["--launch-skip", str(arguments.skip), "--launch-count", str(arguments.count)]
        command += [arguments.pentimento, "train", arguments.spec, "-o", folder, "--device", arguments.device, "--force"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=arguments.timeout)
    lines = [line for line in ran.stdout.splitlines() if line.startswith('"')]
    if not lines:
        raise SystemExit("ncu reported no kernel:\n" + (ran.stdout + ran.stderr)[-2000:])
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "nsecond": 1e-3, "usecond": 1.0}
    column = "gpu__time_duration.sum"
    unit = scale.get(rows[0][column], None)
    if unit is None:  # no row of units: nanoseconds
        return [(row["Kernel Name"], float(row[column].replace(",", "")) * 1e-3) for row in rows]
    return [(row["Kernel Name"], float(row[column].replace(",", "")) * unit) for row in rows[1:]]


def short(name):
    """A name without templates and arguments."""
    return re.sub(r"\(.*", "", re.sub(r"<.*", "", name.removeprefix("void "))).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pentimento")
    parser.add_argument("spec")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--skip", type=int, default=20000)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--timeout", type=int, default=300)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    found = kernels(arguments)
    marks = [place for place, (name, _) in enumerate(found) if MARK in name]
    n_steps = (len(marks) - 1) // MARKS_A_STEP
    if n_steps < 1:
        raise SystemExit(f"{len(found)} launches hold no whole step: raise --count")
    found = found[marks[0] : marks[n_steps * MARKS_A_STEP]]
    table = collections.defaultdict(lambda: [0, 0.0])
    for name, microseconds in found:
        table[short(name)][0] += 1
        table[short(name)][1] += microseconds
    rows = sorted(((time, count, name) for name, (count, time) in table.items()), reverse=True)
    total = sum(time for time, _, _ in rows)
    print(f"{n_steps} steps; a step: {total / n_steps / 1000:.3f} ms in {len(found) / n_steps:.0f} kernels")
    print(f"{'kernel':<44} {'launches':>9} {'ms a step':>10} {'share':>7}")
    for time, count, name in rows:
        print(f"{name[:44]:<44} {count / n_steps:>9.1f} {time / n_steps / 1000:>10.4f} {time / total:>7.1%}")
    if arguments.json:
        table = [{"kernel": name, "launches": count / n_steps, "milliseconds": time / n_steps / 1000} for time, count, name in rows]
        with open(arguments.json, "w") as file:
            json.dump({"steps": n_steps, "milliseconds": total / n_steps / 1000, "kernels": table}, file, indent=1)


if __name__ == "__main__":
    main()
