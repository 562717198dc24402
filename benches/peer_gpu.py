"""Erase-then-Delta Attention on a card with what people have today, to set beside `pentimento bench gpu --json`: fla-core 0.6.0
(EDA as KDA of the interleaved sequence of 2T steps) and a plain PyTorch loop. H 16, d 128, bf16 inputs, f32 memories.

    python benches/peer_gpu.py [--json OUT.json]     needs a CUDA GPU, torch, triton, fla-core==0.6.0, einops, packaging
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

import torch
import torch.nn.functional as F

warnings.filterwarnings("ignore")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--json", help="write all numbers there")
parser.add_argument("--workers", type=int, default=12, help="processes that compile fla's kernel variants before anything is timed")
parser.add_argument("--worker", help=argparse.SUPPRESS)
arguments = parser.parse_args()
H, D = 16, 128
FORWARD = {"forward": {}, "forward, safe_gate": dict(safe_gate=True), "forward + checkpoints every 32 steps": dict(return_intermediate_states=True)}
GRADIENT = {"forward + backward": {}, "forward + backward, safe_gate": dict(safe_gate=True)}


def inputs(batch, steps):
    generator = torch.Generator(device="cuda").manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, device="cuda", generator=generator)
    q, k, e = (F.normalize(normal(batch, steps, H, D), dim=-1).bfloat16() for _ in range(3))
    v, g = normal(batch, steps, H, D).bfloat16(), F.logsigmoid(normal(batch, steps, H, D) + 3).clamp_(min=-4.9)
    return dict(q=q, k=k, v=v, e=e, g=g, beta=torch.sigmoid(normal(batch, steps, H)), gamma=torch.sigmoid(normal(batch, steps, H)))


def interleave(x):
    """EDA of T steps as KDA of 2T: erase (k = e, v = 0, q = 0, the decay), then write (no decay)."""
    pair = lambda a, b: torch.stack([a, b], 2).flatten(1, 2).contiguous()
    zero = torch.zeros_like
    return dict(
        q=pair(zero(x["q"]), x["q"]), k=pair(x["e"], x["k"]), v=pair(zero(x["v"]), x["v"]), g=pair(x["g"], zero(x["g"])), beta=pair(x["gamma"], x["beta"])
    )


def forward(x, **options):
    with torch.inference_mode():
        return chunk_kda(**x, scale=D**-0.5, output_final_state=True, **options)


def forward_backward(x, gradient, **options):
    for tensor in x.values():
        tensor.grad = None
    chunk_kda(**x, scale=D**-0.5, output_final_state=True, **options)[0].backward(gradient)


def with_gradients(x):
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in x.items()}


def record(x, pool, places):
    fused_recurrent_kda_fwd(**x, scale=D**-0.5, initial_state=pool, inplace_final_state=True, ssm_state_indices=places)


def loop(x, steps, recorded):
    """What a researcher writes."""
    q, k, v, e = (x[name].float() for name in ("q", "k", "v", "e"))
    retention, beta, gamma = x["g"].exp(), x["beta"], x["gamma"]
    memory = torch.zeros(q.shape[0], H, D, D, device="cuda")
    for t in range(steps):
        memory = memory * retention[:, t, :, :, None]
        memory = memory - (gamma[:, t, :, None] * e[:, t])[..., None] * torch.einsum("bhk,bhkv->bhv", e[:, t], memory)[..., None, :]
        found = torch.einsum("bhk,bhkv->bhv", k[:, t], memory)
        memory = memory + (beta[:, t, :, None] * k[:, t])[..., None] * (v[:, t] - found)[..., None, :]
        torch.einsum("bhk,bhkv->bhv", q[:, t], memory)
        recorded[t].copy_(memory)


def milliseconds(run, budget=300.0):
    """Median of the card's own events, after one run that is not timed."""
    times = []
    run()
    while len(times) < 3 or sum(times) < budget and len(times) < 50:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


rows = []


def row(work, batch, steps, ms, memories=None):
    rows.append(dict(work=work, batch=batch, step=steps, ms=ms, written_gb_per_s=memories and 4 * memories / ms / 1e6))
    print(f"{work:46s} B {batch} T {steps:6d} {ms:10.3f} ms", *([f"{rows[-1]['written_gb_per_s']:7.0f} GB/s"] if memories else []), flush=True)


def attempt(name, run):
    try:
        run()
    except Exception as error:  # one that fails leaves the others
        print(f"{name}: {error!r}"[:300], flush=True)
    torch.cuda.empty_cache()


def compile_part(index, n_workers):
    """Runs a part of fla's variants once each, so that they stand in Triton's cache on disk."""
    from triton.runtime import autotuner

    original = autotuner.Autotuner.__init__

    def patched(self, function, names, configs, *more, **named):
        configs = list(configs or [])
        part = configs[index::n_workers] or configs[:1]
        original(self, function, names, part + configs[:1] if len(configs) > 1 else configs, *more, **named)
        self.__dict__["do_bench"] = lambda run, quantiles=None, **_: (run(), [1.0, 1.0, 1.0])[1]

    autotuner.Autotuner.__init__ = patched


if arguments.worker:
    compile_part(*map(int, arguments.worker.split("/")))
from fla.ops.kda import chunk_kda
from fla.ops.kda.fused_recurrent import fused_recurrent_kda_fwd

if arguments.worker:
    x = interleave(inputs(1, 128))
    for options in FORWARD.values():
        attempt("compile", lambda: forward(x, **options))
    for options in GRADIENT.values():
        attempt("compile", lambda: forward_backward(with_gradients(x), torch.randn_like(x["v"]), **options))
    sys.exit()

started = time.time()
command = [sys.executable, os.path.abspath(__file__), "--worker"]
workers = [
    subprocess.Popen([*command, f"{i}/{arguments.workers}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, FLA_CACHE_RESULTS="0"))
    for i in range(arguments.workers)
]
for worker in workers:
    try:
        worker.wait(timeout=max(1, started + 100 - time.time()))
    except subprocess.TimeoutExpired:
        worker.kill()
print(f"compiled in {time.time() - started:.0f} s", flush=True)

big = torch.empty(1 << 30, device="cuda")
ms = milliseconds(lambda: big.fill_(1.5))
row("fill f32", 0, 0, ms, big.numel())
del big
# fla tunes once for all lengths: at a size that stands for them.
x = interleave(inputs(2, 4096))
for name, options in FORWARD.items():
    attempt(name, lambda: forward(x, **options))
for name, options in GRADIENT.items():
    attempt(name, lambda: forward_backward(with_gradients(x), torch.randn_like(x["v"]), **options))
print(f"tuned in {time.time() - started:.0f} s", flush=True)

for batch, steps in ((8, 4096), (1, 16384), (4, 16384)):
    plain = inputs(batch, steps)
    x = interleave(plain)
    for name, options in FORWARD.items():
        attempt(name, lambda: row("fla chunk_kda on 2T, " + name, batch, steps, milliseconds(lambda: forward(x, **options))))
    if steps * batch == 65536:
        y, gradient = with_gradients(x), torch.randn_like(x["v"])
        for name, options in GRADIENT.items():
            attempt(name, lambda: row("fla chunk_kda on 2T, " + name, batch, steps, milliseconds(lambda: forward_backward(y, gradient, **options))))
        # The gated delta rule without an erase, for what the erase costs.
        y = with_gradients({name: plain[name] for name in ("q", "k", "v", "g", "beta")})
        gradient = torch.randn_like(plain["v"])
        name = "forward + backward, safe_gate"
        attempt(name, lambda: row("fla chunk_kda on T (no erase), " + name, batch, steps, milliseconds(lambda: forward_backward(y, gradient, safe_gate=True))))
        continue
    memories = batch * steps * H * D * D

    def recorded():
        # Both halves of a step name the place of its memory, which begins with the place before.
        pool = torch.empty(batch * (steps + 1), H, D, D, device="cuda")
        base = torch.arange(batch, device="cuda", dtype=torch.int32)[:, None] * (steps + 1)
        places = torch.empty(batch, 2 * steps, device="cuda", dtype=torch.int32)
        places[:, 0::2] = base
        places[:, 1::2] = base + 1 + torch.arange(steps, device="cuda", dtype=torch.int32)
        pool[base[:, 0].long()] = 0
        row("fla fused_recurrent_kda on 2T, every memory", batch, steps, milliseconds(lambda: record(x, pool, places)), memories)

    attempt("recording", recorded)

    def eager():
        few = 512
        kept = torch.empty(few, batch, H, D, D, device="cuda")
        ms = milliseconds(lambda: loop(plain, few, kept)) / few * steps
        row(f"PyTorch loop, every memory ({few} steps timed)", batch, steps, ms, memories)

    attempt("loop", eager)
    del x, plain
    torch.cuda.empty_cache()
if arguments.json:
    meta = dict(card=torch.cuda.get_device_name(0), torch=torch.__version__)
    with open(arguments.json, "w") as file:
        json.dump(dict(meta, rows=rows), file, indent=1)
