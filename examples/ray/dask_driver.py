"""The same over Dask.

    python dask_driver.py big.trace.zarr -o all.safetensors --stats '--layer 1 --head 0 --lag 8' [--scheduler tcp://host:8786]

Without `--scheduler`: this machine's processes.
"""

from dask.distributed import Client, as_completed

import pentimento_map as work


def parts_of(client, commands, report=lambda done, total: None):
    """Runs the commands on the cluster; the files of all parts."""
    client.upload_file(work.__file__)
    # Not pure: what counts is the file, not what Dask remembers of an earlier run.
    futures = client.map(work.made, commands, retries=8, pure=False)
    done = []
    for future in as_completed(futures):
        done.append(future.result())
        report(len(done), len(futures))
    return done


def main():
    parser = work.arguments(__doc__)
    parser.add_argument("--scheduler", default=None)
    options = parser.parse_args()
    with Client(options.scheduler) if options.scheduler else Client(threads_per_worker=1) as client:
        parts = parts_of(client, work.all_parts(options), lambda done, total: print(f"{done} of {total} parts", flush=True))
    work.finish(parts, options)


if __name__ == "__main__":
    main()
