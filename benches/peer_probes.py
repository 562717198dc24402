#!/usr/bin/env python3
"""Readouts beside scikit-learn and PyTorch: the same data, one run, ratios.

    cargo build --release
    python3 benches/peer_probes.py [--binary target/release/pentimento] [--threads 2] [--rounds 3] [--only TEXT] [--memory] [--json FILE]

`pentimento bench probes --data` writes the data; each round then fits every case here and there, one after the other, so
that both see the same machine. Wall times (or processor times, `--clock cpu`), all of them, with their medians, and the ratio of medians (theirs over ours:
above 1 we are quicker). Both sides have the same
number of threads. With --memory also the largest memory of the
process during the first fit of a case, beyond what it held before. numpy, scikit-learn and PyTorch are installed from their registry into the running Python if they are missing:
run it in a virtual environment.
"""
import argparse, importlib.util, json, os, shutil, statistics, subprocess, sys, tempfile, time, warnings

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--binary", default="target/release/pentimento")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: processor time of all threads, for a machine that is shared")
parser.add_argument("--memory", action="store_true", help="the memory of each fit; times taken with it are not to be quoted")
parser.add_argument("--only", default="")
parser.add_argument("--json")
arguments = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)
if arguments.memory and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
    # What is freed goes back to the system, so that each fit shows what it takes; the allocator reads this when a process starts. It
    # costs time, and more so where much is allocated: times are taken without it.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    os.execv(sys.executable, [sys.executable, *sys.argv])
missing = [package for module, package in (("numpy", "numpy"), ("sklearn", "scikit-learn"), ("torch", "torch")) if importlib.util.find_spec(module) is None]
if missing:
    print("installing", *missing, file=sys.stderr)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *missing], check=True)
    importlib.invalidate_caches()
warnings.filterwarnings("ignore")
import numpy as np, sklearn, torch, torch.nn.functional as F
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV

torch.set_num_threads(arguments.threads)
RIDGE, LOGISTIC, STATES, ALPHA, C = [(4096, 1024, 32), (8192, 4096, 128)], [(4096, 1024, 16), (8192, 1024, 64)], (32, 128, 64, 8), 10.0, 0.01
folder = tempfile.mkdtemp(prefix="probe-bench-")


def load(name):
    return np.load(os.path.join(folder, name + ".npy"))


def ridge_objective(x, y, w, alpha):
    x, y, w = (np.asarray(a, np.float64) for a in (x, y, w))
    return float((((y - x @ w) ** 2).sum() + alpha * (w**2).sum()) / len(x))


def logistic_objective(x, labels, w, b):
    z = x.astype(np.float64) @ w + b
    top = z.max(1, keepdims=True)
    log_sum = (top + np.log(np.exp(z - top).sum(1, keepdims=True)))[:, 0]
    return float((log_sum - z[np.arange(len(z)), labels]).mean() + (w.astype(np.float64) ** 2).sum() / (2 * C * len(x)))


def states():
    stretches, steps, d, m = STATES
    alpha, e, a, k, u = (load("states_" + n).reshape(stretches, steps, d) for n in ("retention", "erase_direction", "erase_value", "write_direction", "write_value"))
    out = np.empty((stretches, steps, d, d), np.float32)
    memory = np.zeros((stretches, d, d), np.float32)
    for t in range(steps):
        memory = alpha[:, t, :, None] * memory + e[:, t, :, None] * a[:, t, None, :] + k[:, t, :, None] * u[:, t, None, :]
        out[:, t] = memory
    return out.reshape(stretches * steps, d * d)


def torch_lbfgs(x, labels, classes):
    w, b = torch.zeros(x.shape[1], classes, requires_grad=True), torch.zeros(classes, requires_grad=True)
    step = torch.optim.LBFGS([w, b], max_iter=100, max_eval=200, history_size=10, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def closure():
        step.zero_grad()
        loss = F.cross_entropy(x @ w + b, labels) + w.square().sum() / (2 * C * len(x))
        loss.backward()
        return loss

    step.step(closure)
    return w.detach().numpy(), b.detach().numpy()


def torch_ridge(x, y, alpha):
    gram = x.T @ x
    gram.diagonal().add_(alpha)
    return torch.cholesky_solve(x.T @ y, torch.linalg.cholesky(gram)).numpy()


def peers():
    """(case, peer, fit, objective of what it fitted): every fit from arrays in memory."""
    for index, (n, d, m) in enumerate(RIDGE):
        x, y = load(f"ridge{index}_x"), load(f"ridge{index}_y")
        xt, yt = torch.from_numpy(x), torch.from_numpy(y)
        name = f"ridge N{n} d{d} m{m}, "
        at = lambda w, x=x, y=y: ridge_objective(x, y, w, ALPHA)
        yield name + "one penalty", "scikit-learn Ridge(cholesky)", lambda x=x, y=y: Ridge(alpha=ALPHA, fit_intercept=False, solver="cholesky").fit(x, y).coef_.T, at
        yield name + "one penalty", "torch Gram and Cholesky", lambda xt=xt, yt=yt: torch_ridge(xt, yt, ALPHA), at
        if d < 2000:
            alphas = 10.0 ** (-2 + 0.4 * np.arange(16))
            for how in ("16 penalties by exact leave-one-out", "16 penalties by generalised cross-validation"):
                yield name + how, "scikit-learn RidgeCV (exact leave-one-out)", lambda x=x, y=y: RidgeCV(alphas=alphas, fit_intercept=False).fit(x, y), None
    for index, (n, d, c) in enumerate(LOGISTIC):
        x, labels = load(f"logistic{index}_x"), load(f"logistic{index}_labels")[0].astype(np.int64)
        xt, lt = torch.from_numpy(x), torch.from_numpy(labels)
        at = lambda wb, x=x, labels=labels: logistic_objective(x, labels, *wb)

        def sk(x=x, labels=labels):
            fitted = LogisticRegression(C=C, max_iter=200, tol=1e-6).fit(x, labels)
            return fitted.coef_.T, fitted.intercept_

        yield f"logistic N{n} d{d} c{c}", "scikit-learn LogisticRegression", sk, at
        yield f"logistic N{n} d{d} c{c}", "torch LBFGS", lambda xt=xt, lt=lt, c=c: torch_lbfgs(xt, lt, c), at
    stretches, steps, d, m = STATES
    n = stretches * steps
    y = torch.from_numpy(load("states_y"))
    group = np.repeat(np.arange(stretches), steps) % 2

    def dense(parts):
        x = torch.from_numpy(states()) if parts == "states too" else formed
        for fold in (0, 1):
            rows = torch.from_numpy(group != fold)
            xs, ys = x[rows], y[rows]
            xs, ys = xs - xs.mean(0), ys - ys.mean(0)
            xs = xs / xs.var(0, unbiased=False).mean().sqrt()
            torch_ridge(xs, ys, 1e-2 * len(xs))

    name = f"full state N{n} d{d * d} m{m}, ridge, two folds"
    if arguments.only in name:
        formed = torch.from_numpy(states())
        yield name, "torch Gram and Cholesky, states given", lambda: dense("given"), None
        yield name, "torch Gram and Cholesky, states formed first", lambda: dense("states too"), None


def timed(fit):
    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    start = clock()
    result = fit()
    return (clock() - start) * 1e3, result


def megabytes(name):
    with open("/proc/self/status") as status:
        return next(float(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith(name))


def peak_of(fit):
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    before = megabytes("VmRSS:")
    fit()
    return megabytes("VmHWM:") - before


def ours():
    out = subprocess.run([arguments.binary, "bench", "probes", "--json", "--rounds", "1", "--only", arguments.only], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


try:
    subprocess.run([arguments.binary, "bench", "probes", "--data", folder], check=True, capture_output=True)
    cases = [case for case in peers() if arguments.only in case[0]]
    times, objectives, peaks, seen = {}, {}, {}, []
    for round_number in range(arguments.rounds):
        seen.append(os.getloadavg()[0])
        for row in ours():
            key = (row["case"], "ours, " + row["precision"])
            times.setdefault(key, []).append(row["milliseconds"][0] if arguments.clock == "wall" else row["cpu_milliseconds"])
            objectives[key] = row["objective"]
            peaks.setdefault(key, row["peak_megabytes"])
        for case, peer, fit, objective in cases:
            if round_number == 0:
                peaks[(case, peer)] = peak_of(fit)
            took, result = timed(fit)
            times.setdefault((case, peer), []).append(took)
            objectives[(case, peer)] = objective(result) if objective else None
    print(f"{arguments.clock} time, {arguments.threads} threads, {arguments.rounds} rounds, load average before each {[round(s, 2) for s in seen]}; numpy {np.__version__}, scikit-learn {sklearn.__version__}, torch {torch.__version__}; OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', 'not set')}")
    rows = []
    for case in dict.fromkeys(key[0] for key in times):
        print(f"\n{case}")
        mine = {who: statistics.median(t) for (name, who), t in times.items() if name == case and who.startswith("ours")}
        for (name, who), took in times.items():
            if name != case:
                continue
            median = statistics.median(took)
            ratios = {} if who.startswith("ours") else {m.removeprefix("ours, "): median / t for m, t in mine.items()}
            said = "  ".join(f"/ours {p} = {r:.2f}" for p, r in ratios.items())
            objective = objectives[(name, who)]
            print(f"  {who:44s} {median:9.1f} ms  [{', '.join(f'{t:.1f}' for t in took)}]  {f'{peaks[(name, who)]:7.0f} MB  ' if arguments.memory else ''}{'' if objective is None else f'objective {objective:.9f}'}  {said}")
            rows.append(dict(case=name, who=who, milliseconds=took, median_milliseconds=median, objective=objective, peak_megabytes=peaks[(name, who)], ratio_to_ours=ratios))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(dict(threads=arguments.threads, load=seen, rows=rows), file, indent=1)
finally:
    shutil.rmtree(folder)
