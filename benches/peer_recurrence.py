"""The recurrence of Erase-then-Delta Attention in plain PyTorch (in-place bmm), to set beside `pentimento bench memory --json`.

    python benches/peer_recurrence.py --threads 1        needs torch; H 16, d 128, T 256; microseconds per head-step
"""
import argparse
import statistics
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--runs", type=int, default=5)
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(0)
T, H, D = 256, 16, 128
unit = lambda: torch.nn.functional.normalize(torch.randn(T, H, D), dim=-1)
q, k, e, v = unit(), unit(), unit(), torch.randn(T, H, D)
retention, beta, gamma = torch.sigmoid(torch.randn(T, H, D) + 3), torch.rand(T, H, 1), torch.rand(T, H, 1)
recorded = torch.zeros(T, H, D, D)


def run(record):
    memory = torch.zeros(H, D, D)
    for t in range(T):
        memory *= retention[t, :, :, None]
        memory.baddbmm_((gamma[t] * e[t])[..., None], torch.bmm(e[t][:, None], memory), alpha=-1)
        memory.baddbmm_((beta[t] * k[t])[..., None], v[t][:, None] - torch.bmm(k[t][:, None], memory))
        torch.bmm(q[t][:, None], memory)
        if record:
            recorded[t].copy_(memory)


for record in (False, True):
    run(record)
    times = []
    for _ in range(arguments.runs):
        start = time.perf_counter()
        run(record)
        times.append(time.perf_counter() - start)
    name = "record every memory" if record else "forward"
    print(f"threads {arguments.threads}  {name:20s} {statistics.median(times) / T / H * 1e6:.2f} us per head-step")
