"""Save a model's factors for `pentimento import FACTORS.safetensors --rule eda -o X.trace.zarr`.

Call `export` from a forward hook of your own layer, after its normalisations and gates, with the names and shapes below;
tensors may be f32, f64, bf16 or f16. Run as a script it writes a random layer: `python export_factors.py out.safetensors`.
"""

import sys


def export(path, layers, tokens=None):
    """`layers`: {layer number: {factor name: torch tensor or numpy array}}; `tokens`: [batch, step] int32 or int64."""
    tensors = {f"layer_{layer:02}.{name}": tensor for layer, factors in layers.items() for name, tensor in factors.items()}
    if tokens is not None:
        tensors["tokens"] = tokens
    if all(type(tensor).__module__ == "torch" for tensor in tensors.values()):
        from safetensors.torch import save_file
        tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    else:  # The same from numpy arrays.
        from safetensors.numpy import save_file
    save_file(tensors, path)


def random_layer(normal, sigmoid, exp, B=1, T=128, n_key_heads=1, n_heads=2, d_k=16, d_v=16):
    unit = lambda x: x / (x**2).sum(-1)[..., None] ** 0.5
    return {
        "query": unit(normal(B, T, n_key_heads, d_k)) * d_k**-0.5,  # L2-normalised, then scaled
        "write_direction": unit(normal(B, T, n_key_heads, d_k)),  # k_t
        "erase_direction": unit(normal(B, T, n_key_heads, d_k)),  # e_t (leave out, with erase_strength, for kda and gdn)
        "value": normal(B, T, n_heads, d_v),
        "write_strength": sigmoid(normal(B, T, n_heads)),  # beta_t, after the sigmoid
        "erase_strength": sigmoid(normal(B, T, n_heads) - 3),  # gamma_t
        "log_decay": -exp(normal(B, T, n_heads, d_k) - 3),  # g_t <= 0; or `retention` = exp(g_t); per head: [B, T, n_heads]
    }


if __name__ == "__main__":
    if "--numpy" in sys.argv:
        import numpy as np
        random = np.random.default_rng(0)
        normal = lambda *shape: random.standard_normal(shape, dtype=np.float32)
        layers = {layer: random_layer(normal, lambda x: 1 / (1 + np.exp(-x)), np.exp) for layer in (0, 3)}
        export(sys.argv[1], layers, np.arange(128, dtype=np.int64)[None])
    else:
        import torch
        layers = {layer: random_layer(torch.randn, torch.sigmoid, torch.exp) for layer in (0, 3)}
        export(sys.argv[1], layers, torch.arange(128)[None])
