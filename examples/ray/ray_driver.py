"""A readout over a Ray cluster.

    python ray_driver.py big.trace.zarr -o all.safetensors --stats '--layer 1 --head 0 --lag 8'

Ray runs again elsewhere what a lost worker or node was doing; parts that were finished are found, not made again.
"""

import ray

import pentimento_map as work


@ray.remote(num_cpus=1, max_retries=8)
def made(words):
    """One part. A machine that dies is a retry; a command that refuses (wrong arguments, a damaged trace) is an error at once."""
    return work.made(words)


def parts_of(commands, report=lambda done, total: None):
    """Runs the commands on the cluster; the files of all parts. `report` is told how many are done."""
    waiting = [made.remote(words) for words in commands]
    total, done = len(waiting), []
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1)
        done += ray.get(ready)
        report(len(done), total)
    return done


def main():
    options = work.arguments(__doc__).parse_args()
    # The cluster that RAY_ADDRESS names, else this machine.
    ray.init(log_to_driver=False)
    parts = parts_of(work.all_parts(options), lambda done, total: print(f"{done} of {total} parts", flush=True))
    work.finish(parts, options)


if __name__ == "__main__":
    main()
