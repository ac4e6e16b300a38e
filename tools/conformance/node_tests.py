"""Writes the node tests of the Python package onnx into a folder, one folder per test, as the package's own generator lays them out."""

import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")

import onnx  # noqa: E402
from onnx.backend.test.case.node import collect_testcases  # noqa: E402

folder = pathlib.Path(sys.argv[1])
for case in collect_testcases(None):
    inputs, outputs = case.data_sets[0]
    values = [*inputs, *outputs]
    if not all(hasattr(value, "dtype") for value in values):
        continue  # sequences, optionals and maps
    target = folder / case.name / "test_data_set_0"
    target.mkdir(parents=True)
    (target.parent / "model.onnx").write_bytes(case.model.SerializeToString())
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for i, array in enumerate(arrays):
            tensor = array if isinstance(array, onnx.TensorProto) else onnx.numpy_helper.from_array(array)
            (target / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())
