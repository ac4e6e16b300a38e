"""Names what is on pictures with stock onnxruntime (1.15 or newer), numpy and Pillow:

    python docs/deploy/python.py MODEL.onnx PICTURE.jpg ...

How pictures are prepared is in the file's metadata. With the operator library of this project, the same file runs its
binary layers on bits: BNN_OPS=build/libbnn_ops.so python docs/deploy/python.py MODEL.onnx PICTURE.jpg
"""

import json
import os
import sys

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps


def frame(picture, description):
    """Resizes, cuts and pads; Pillow's BILINEAR is the triangle filter that the model was trained with."""
    size = description["size"]["width"], description["size"]["height"]
    fit = description["fit"]
    if fit == "squash":
        return picture.resize(size, Image.Resampling.BILINEAR)
    ratio = description["shorterSide"] / min(size) if fit == "crop" else 1
    across, down = (int(side * ratio + 0.5) for side in size)
    width, height = picture.size
    # Cropped pictures cover the size, padded ones fit into it.
    by_width = width * down <= height * across if fit == "crop" else width * down >= height * across
    new = (across, max(1, height * across // width)) if by_width else (max(1, width * down // height), down)
    picture = picture.resize(new, Image.Resampling.BILINEAR)
    if fit == "crop":
        left, top = (round((n - s) / 2) for n, s in zip(new, size))
        return picture.crop((left, top, left + size[0], top + size[1]))
    padded = Image.new("RGB", size)
    padded.paste(picture, ((size[0] - new[0]) // 2, (size[1] - new[1]) // 2))
    return padded


def prepare(path, description):
    # Photographs of phones lie on their side, and say so.
    picture = frame(ImageOps.exif_transpose(Image.open(path)).convert("RGB"), description)
    if description["channelOrder"] == "grey":
        picture = picture.convert("L")
    pixels = np.asarray(picture, dtype=np.float64).reshape(picture.height, picture.width, -1)
    x = ((pixels / 255 - description["mean"]) / description["std"]).astype(np.float32)
    return (x.transpose(2, 0, 1) if description["layout"] == "NCHW" else x)[np.newaxis]


def rank(scores, description):
    """Most likely first, with probabilities. One number decides between two classes."""
    output, classes = description.get("output", "logits"), description["classes"]
    numbers = np.asarray(scores, dtype=np.float64)
    if len(numbers) == 1:
        other = {"logits": 0 * numbers, "probabilities": 1 - numbers, "signed": -numbers}[output]
        numbers = np.concatenate([other, numbers])
    if output == "logits":
        powers = np.exp(numbers - numbers.max())
        probabilities = powers / powers.sum()
    else:
        probabilities = (1 + numbers) / 2 if output == "signed" else numbers
    order = np.argsort(-numbers, kind="stable")
    return [(classes[i] if i < len(classes) else f"class {i}", probabilities[i]) for i in order]


def main(model, pictures):
    options = ort.SessionOptions()
    if "BNN_OPS" in os.environ:
        options.register_custom_ops_library(os.environ["BNN_OPS"])
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    description = json.loads(session.get_modelmeta().custom_metadata_map["bnn.preprocessing"])
    (taken,) = session.get_inputs()
    for path in pictures:
        scores = session.run(None, {taken.name: prepare(path, description)})[0].ravel()
        print(path)
        for name, probability in rank(scores, description)[:5]:
            print(f"{100 * probability:5.1f} %  {name}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python python.py MODEL.onnx PICTURE.jpg ...")
    main(sys.argv[1], sys.argv[2:])
