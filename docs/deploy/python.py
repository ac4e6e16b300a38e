"""Runs a packed model with stock onnxruntime (1.15 or newer): python docs/deploy/python.py MODEL.onnx

With the operator library of this project (build/libbnn_ops.so), the same file runs its binary layers on bits:
python docs/deploy/python.py MODEL.onnx build/libbnn_ops.so
"""

import sys

import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
if len(sys.argv) > 2:
    options.register_custom_ops_library(sys.argv[2])
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

# One picture, normalized as in training: (pixel / 255 - mean) / std; the file's metadata holds mean and std.
_, channels, height, width = session.get_inputs()[0].shape
picture = np.linspace(-1, 1, channels * height * width, dtype=np.float32).reshape(1, channels, height, width)
(logits,) = session.run(None, {"input": picture})
print("class", int(logits.argmax()))
