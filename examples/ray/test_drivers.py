"""Every driver, a machine lost on the way, one result: the bytes of a single process.

    PENTIMENTO=target/release/pentimento python3 test_drivers.py TRACE

Ray and Dask are tried where they are installed (`pip install -r requirements.txt`); the SLURM recipe runs under a stand-in for the
scheduler and needs nothing.
"""

import importlib.util
import os
import pathlib
import random
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import pentimento_map as work  # noqa: E402

TRACE = None
STATS = "--layer 0 --head 0 --lag 1 --folds 3"


def installed(name):
    return importlib.util.find_spec(name) is not None


class Drivers(unittest.TestCase):
    def setUp(self):
        self.program = os.environ.get("PENTIMENTO", "pentimento")
        self.folder = tempfile.TemporaryDirectory()
        self.here = pathlib.Path(self.folder.name)
        self.single = self.here / "single.safetensors"
        work.run(["stats", "--trace", TRACE, *STATS.split(), "-o", self.single])
        self.log = self.here / "starts.log"
        self.parts = self.here / "parts"

    def tearDown(self):
        os.environ["PENTIMENTO"] = self.program
        self.folder.cleanup()

    def slow(self, seconds):
        """Puts a slow program in the place of the fast one, so that a machine can be lost while it works; it notes every start."""
        slow = self.here / "slow"
        real = shlex.quote(os.path.abspath(self.program))
        # A part that was begun leaves its line, whether or not it is ever finished.
        slow.write_text(f'#!/bin/sh\n[ "$1" = stats ] && {{ echo "$*" >> {self.log}; sleep {seconds}; }}\nexec {real} "$@"\n')
        slow.chmod(slow.stat().st_mode | stat.S_IEXEC)
        os.environ["PENTIMENTO"] = str(slow)

    def commands(self):
        commands = work.plan(TRACE, str(self.parts), sequences_a_part=1, settings=STATS.split())
        self.assertGreater(len(commands), 5)
        return commands

    def equals_the_single_process(self, parts, lost=True):
        # Far fewer starts than that would mean that nothing was running on the machine that was lost.
        starts = len(self.log.read_text().splitlines())
        self.assertGreater(starts, len(parts) if lost else 0, "a part was lost and made again")
        merged = work.merge(random.sample(parts, len(parts)), str(self.here / "all.safetensors"))
        self.assertEqual(pathlib.Path(merged).read_bytes(), self.single.read_bytes())
        return starts

    @unittest.skipUnless(installed("ray"), "ray is not installed")
    def test_ray_loses_one_of_three_nodes(self):
        import ray
        from ray.cluster_utils import Cluster

        self.slow(1.0)
        os.environ["PYTHONPATH"] = str(HERE)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        lost = cluster.add_node(num_cpus=1)
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            import ray_driver

            stopped = []

            def report(done, _total):
                if done == 2 and not stopped:
                    # At once, as if its power went: mid-run, with a part under way.
                    cluster.remove_node(lost, allow_graceful=False)
                    stopped.append(True)

            parts = ray_driver.parts_of(self.commands(), report)
            # The cluster may take its time to declare it dead; the work does not wait for that.
            for _ in range(300):
                alive = sum(node["Alive"] for node in ray.nodes())
                if alive == 2:
                    break
                time.sleep(0.2)
        finally:
            ray.shutdown()
            cluster.shutdown()
        self.assertEqual((stopped, alive), ([True], 2))
        starts = self.equals_the_single_process(parts)
        print(f"\nray: one of three nodes stopped mid-run; {len(parts)} parts, {starts} starts, the bytes of one process")

    @unittest.skipUnless(installed("dask") and installed("distributed"), "dask is not installed")
    def test_dask_loses_a_worker(self):
        import dask_driver
        from dask.distributed import Client, LocalCluster

        self.slow(1.0)
        with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            killed = []

            def report(done, _total):
                if done == 2 and not killed:
                    killed.append(cluster.workers[0].pid)
                    os.kill(killed[0], signal.SIGKILL)

            parts = dask_driver.parts_of(client, self.commands(), report)
        self.assertTrue(killed)
        starts = self.equals_the_single_process(parts)
        print(f"\ndask: one of three workers killed mid-run; {len(parts)} parts, {starts} starts, the bytes of one process")

    def test_slurm_recipe_under_a_stand_in(self):
        self.slow(0.05)
        words = [sys.executable, HERE / "pentimento_map.py", TRACE, "-o", "unused", "--parts", self.parts, "--sequences-a-part", "1"]
        listed = subprocess.run([*words, f"--stats={STATS}"], capture_output=True, text=True, check=True)
        plan = self.here / "plan.txt"
        plan.write_text(listed.stdout)
        tasks = list(range(1, len(listed.stdout.splitlines()) + 1))

        def begin(task):
            return subprocess.Popen(
                ["bash", HERE / "slurm_array.sh", plan],
                env={**os.environ, "SLURM_ARRAY_TASK_ID": str(task)},
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

        # The scheduler's own order; one task dies with its machine and is queued again.
        random.shuffle(tasks)
        dying = begin(tasks[0])
        while not self.log.exists():
            time.sleep(0.002)
        os.killpg(dying.pid, signal.SIGKILL)
        dying.wait()
        for task in [*tasks[1:], tasks[0]]:
            self.assertEqual(begin(task).wait(), 0)
        self.assertEqual(begin(len(tasks) + 1).wait(), 2, "a task without a command says so")
        self.equals_the_single_process([str(path) for path in self.parts.iterdir()])
        merged = subprocess.run(
            ["bash", HERE / "slurm_merge.sh", self.here / "slurm.safetensors", self.parts], capture_output=True, text=True, check=True
        )
        self.assertIn("held-out R2", merged.stdout)
        self.assertEqual((self.here / "slurm.safetensors").read_bytes(), self.single.read_bytes())


if __name__ == "__main__":
    TRACE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
