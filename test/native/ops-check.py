"""Runs models with and without the op library; a test program, driven by ops-library.test.ts.

    python ops-check.py LIBRARY JOBS.json

JOBS.json: a list of {"kind": "equal" | "fails" | "concurrent", "model": path, "feeds": {name: {"shape": [...], "seed": n}}}; a
feed may have "integers" (values are whole) or "bytes" (type uint8), "concurrent" has "repeats".
Prints one JSON line per job.
"""

import json
import sys
import threading

import numpy as np
import onnxruntime as ort


def session(path, library, threads=1):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if library:
        options.register_custom_ops_library(library)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feeds_of(job):
    feeds = {}
    for name, feed in job["feeds"].items():
        if feed.get("bytes"):
            feeds[name] = np.random.default_rng(feed["seed"]).integers(0, 256, feed["shape"], dtype=np.uint8)
            continue
        values = np.random.default_rng(feed["seed"]).standard_normal(feed["shape"], dtype=np.float32)
        flat = values.reshape(-1)
        if feed.get("integers"):
            flat[:] = np.round(flat * 8)
        # Zeros of both signs are +1.
        flat[::17] = 0.0
        flat[::29] = -0.0
        feeds[name] = values
    return feeds


def difference(a, b):
    norm = float(np.linalg.norm(b.astype(np.float64)))
    return float(np.linalg.norm(a.astype(np.float64) - b)) / (norm or 1.0)


def equal(job, library):
    feeds = feeds_of(job)
    want = session(job["model"], None).run(None, feeds)[0]
    results = [session(job["model"], library, threads).run(None, feeds)[0] for threads in (1, 2)]
    same = [r.shape == want.shape and r.tobytes() == want.tobytes() for r in results]
    return {"same": all(same), "difference": max(difference(r, want) for r in results), "size": int(want.size)}


def fails(job, library):
    try:
        session(job["model"], library).run(None, feeds_of(job))
        return {"error": None}
    except Exception as error:  # every error of the runtime is what is tested
        return {"error": str(error)}


def concurrent(job, library):
    feeds = feeds_of(job)
    want = session(job["model"], None).run(None, feeds)[0]
    sessions = [session(job["model"], library, 2) for _ in range(2)]
    wrong = []

    def work(s):
        for _ in range(job["repeats"]):
            if difference(s.run(None, feeds)[0], want) > 1e-6:
                wrong.append(1)

    workers = [threading.Thread(target=work, args=(s,)) for s in sessions for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"wrong": len(wrong)}


KINDS = {"equal": equal, "fails": fails, "concurrent": concurrent}

if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        for item in json.load(file):
            print(json.dumps(KINDS[item["kind"]](item, sys.argv[1])), flush=True)
