"""Read a Pentimento trace in plain Python: zarr, xarray and numpy, nothing else.

    >>> from pentimento_trace import Trace
    >>> trace = Trace("run.trace.zarr")
    >>> S = trace.memory(layer=0, head=1, step=100)             # [d_k, d_v], after the write
    >>> S = trace.memory(0, 1, 100, batch=2, phase="erase")     # before | decay | erase | write
    >>> frame = trace.scalars(layer=0)                          # one row per batch, step, head
    >>> data = trace.dataset(layer=0)                           # all streams as an xarray.Dataset

A memory is replayed from the checkpoint before it: S = retention * S, then S = S + direction pseudo_value^T for every
edit. The recorder rounds once per edit (a fused multiply-add in float32). Here products and sums are made in float64 and
rounded to float32, which gives the same bits but for ties one in about 10^8 operations, where the last bit may differ.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import numpy as np
import pandas as pd
import xarray as xr
import zarr

SCHEMA_MAJOR = 1
PHASES = ("before", "decay", "erase", "write")


class Trace:
    """A trace directory, opened for reading. Steps, heads, layers and sequences count from 0."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.root = zarr.open_group(str(self.path), mode="r")
        self.attributes = dict(self.root.attrs)
        if self.attributes.get("format") != "pentimento trace":
            raise ValueError(f"this is not a trace: {self.path}")
        version = self.attributes["schema_version"]
        if int(version.split(".")[0]) > SCHEMA_MAJOR:
            raise ValueError(f"schema version {version} is newer than this reader ({SCHEMA_MAJOR}): {self.path}")

    @property
    def status(self) -> str:
        """`complete` or `repaired`; `recording` and `aborted` traces hold an exact prefix."""
        return self.attributes["status"]

    @property
    def n_steps(self) -> int:
        return self.attributes["committed_steps"]

    @property
    def layers(self) -> dict[int, dict]:
        """Attributes of every layer (rule, n_key_heads, n_value_heads, d_k, d_v) by its number."""
        groups = ((name, group) for name, group in self.root.groups() if name.startswith("layer_"))
        return dict(sorted((int(name.removeprefix("layer_")), dict(group.attrs)) for name, group in groups))

    def array(self, layer: int, name: str) -> zarr.Array:
        """An array of a layer, unread: `query`, `checkpoint/memory`, `scalars/erase_energy`, ..."""
        return self.root[f"layer_{layer:02}/{name}"]

    def stream(self, layer: int, name: str, head: int, batch: int = 0, steps: slice = slice(None)) -> np.ndarray:
        """A factor or pseudo-value of one head: [step, channels], or [step] for a strength."""
        array = self.array(layer, name)
        n_heads = self.layers[layer]["n_value_heads"]
        return array[batch, steps, head * array.shape[2] // n_heads]

    def edits(self, layer: int) -> list[tuple[str, str, str | None, str]]:
        """What changes the memory after its decay, in order: (phase, direction, gate on the direction, pseudo-value)."""
        group = self.root[f"layer_{layer:02}"]
        edits = []
        if "erase_value" in group:
            gate = "erase_gate" if "erase_gate" in group else None
            edits.append(("erase", "erase_direction", gate, "erase_value"))
        for index in range(256):
            suffix = f"_{index}" if index else ""
            if f"write_value{suffix}" not in group:
                return edits
            edits.append(("write", f"write_direction{suffix}", None, f"write_value{suffix}"))
        return edits

    def states(self, layer: int, head: int, steps: range, batch: int = 0, phase: str = "write") -> Iterator[np.ndarray]:
        """The memory [d_k, d_v] at a phase of each of these steps, in order."""
        if phase not in PHASES:
            raise ValueError(f"unknown phase {phase!r}: known are {', '.join(PHASES)}")
        if steps.step != 1 or not 0 <= steps.start <= steps.stop <= self.n_steps:
            raise IndexError(f"steps {steps} are out of range: the trace has {self.n_steps}")
        checkpoints = self.array(layer, "checkpoint/step")[:]
        nearest = int(np.searchsorted(checkpoints, steps.start, side="right")) - 1
        first = int(checkpoints[nearest])
        memory = self.array(layer, "checkpoint/memory")[batch, nearest, head].astype(np.float32)
        span = slice(first, steps.stop)
        retention = self.stream(layer, "retention", head, batch, span)
        edits = []
        for edit_phase, direction, gate, pseudo_value in self.edits(layer):
            u = self.stream(layer, direction, head, batch, span)
            if gate is not None:
                u = u * self.stream(layer, gate, head, batch, span)
            edits.append((edit_phase, u, self.stream(layer, pseudo_value, head, batch, span)))
        for offset, step in enumerate(range(first, steps.stop)):
            if phase == "before" and step >= steps.start:
                yield memory.copy()
            memory = retention[offset][:, None] * memory
            seen = memory
            for edit_phase, u, a in edits:
                memory = (memory + np.outer(u[offset].astype(np.float64), a[offset])).astype(np.float32)
                if PHASES.index(edit_phase) <= PHASES.index(phase):
                    seen = memory
            if phase != "before" and step >= steps.start:
                yield seen.copy()

    def memory(self, layer: int, head: int, step: int, batch: int = 0, phase: str = "write") -> np.ndarray:
        """The memory [d_k, d_v] of a head at a phase of a step."""
        return next(self.states(layer, head, range(step, step + 1), batch, phase))

    def scalars(self, layer: int) -> pd.DataFrame:
        """Energies, norms and angles: one row per (batch, step, head), one column per scalar."""
        group = self.root[f"layer_{layer:02}/scalars"]
        dims = ("batch", "step", "head")
        data = xr.Dataset({name: (dims, array[:]) for name, array in sorted(group.arrays())})
        return data.to_dataframe(dim_order=list(dims)).reset_index()

    def dataset(self, layer: int) -> xr.Dataset:
        """All streams of a layer, loaded lazily by xarray (complete and repaired traces)."""
        return xr.open_zarr(str(self.path), group=f"layer_{layer:02}", consolidated=False)

    def tokens(self) -> np.ndarray | None:
        """Token ids [batch, step], -1 where there is none."""
        return self.root["tokens"][:] if "tokens" in self.root else None


if __name__ == "__main__":
    trace = Trace(sys.argv[1])
    print(f"{trace.path.name}: {trace.status}, {trace.n_steps} steps")
    for layer, attributes in trace.layers.items():
        print(f"layer {layer}: {attributes}")
        print(trace.scalars(layer).drop(columns=["batch", "step"]).groupby("head").mean())
