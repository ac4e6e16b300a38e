"""Training speed of the same networks in PyTorch, for comparison with `bnn-bench train`.

    python pytorch_resnet.py --model resnet20 --batch 128 --threads 2 [--gpu] [--precision bf16] [--channels-last] [--steps 10] [--rounds 3]
    python pytorch_resnet.py ... --interactive      one round per line on stdin, which gives its number of steps

Prints one line of JSON per round: {"device", "processorMs", "imagesPerSecond", "seconds", "steps", "peakMiB", "startMiB"}. The pictures are
random and ready in memory, `processorMs` is the time of all threads per step; a step is forward, loss, backward and SGD with momentum.
`peakMiB` is the largest resident size of the process, `startMiB` what it had before the network was built.

`--precision bf16` computes under autocast in bfloat16, parameters and loss in float32, `tf32` allows TF32 on a GPU; `--channels-last` keeps
pictures and weights in that layout, which oneDNN and cuDNN have other kernels for.

With `--gpu` and a GPU that CUDA (or ROCm) finds, everything is there, without TF32 unless asked for, with the fastest algorithms that cuDNN finds;
the loss of a step is read after the next one has been given to the GPU, and `peakMiB` is the memory taken there.
"""

import argparse
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

RESTE_O, RESTE_T, RESTE_M = 2.0, 1.5, 0.1


class ResteSign(torch.autograd.Function):
    """sign with the gradient of ReSTE (arXiv:2308.06689)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        power = (1 - RESTE_O) / RESTE_O
        a = x.abs()
        slope = a.clamp(min=RESTE_M).pow(power) / RESTE_O
        slope = torch.where(a <= RESTE_M, RESTE_M**power, slope)
        return dy * slope * (a <= RESTE_T)


class BinaryConv(nn.Conv2d):
    """Conv(sign(x), sign(w)) times the mean magnitude of the layer's weights."""

    def __init__(self, from_channels, to_channels, stride, binary_input):
        super().__init__(from_channels, to_channels, 3, stride, 1, bias=False)
        self.binary_input = binary_input

    def forward(self, x):
        data = ResteSign.apply(x) if self.binary_input else x
        total = F.conv2d(data, ResteSign.apply(self.weight), None, self.stride, self.padding)
        return total * self.weight.abs().mean()


class PadShortcut(nn.Module):
    """Every second pixel and zero channels around the old ones."""

    def __init__(self, added):
        super().__init__()
        self.before, self.after = added // 2, added - added // 2

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


class Block(nn.Module):
    def __init__(self, from_channels, to_channels, stride, binary_input, pads, bi_real):
        super().__init__()
        self.bi_real = bi_real
        self.conv1 = BinaryConv(from_channels, to_channels, stride, binary_input)
        self.bn1 = nn.BatchNorm2d(to_channels)
        self.conv2 = BinaryConv(to_channels, to_channels, 1, binary_input)
        self.bn2 = nn.BatchNorm2d(to_channels)
        if stride == 1 and from_channels == to_channels:
            self.shortcut = nn.Identity()
        elif pads:
            self.shortcut = PadShortcut(to_channels - from_channels)
        else:
            convolution = nn.Conv2d(from_channels, to_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(to_channels))

    def forward(self, x):
        skip = self.shortcut(x)
        h = self.bn1(F.relu(self.conv1(x)))
        if self.bi_real:
            skip = h = h + skip
        return self.bn2(F.relu(self.conv2(h))) + skip


class Resnet(nn.Module):
    def __init__(self, widths, blocks, binary_input, pads, large=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False) if large else nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.pool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.bn1 = nn.BatchNorm2d(widths[0])
        layers, width = [], widths[0]
        for stage, to in enumerate(widths):
            for i in range(blocks):
                layers.append(Block(width, to, 2 if stage > 0 and i == 0 else 1, binary_input, pads, large))
                width = to
        self.layers = nn.Sequential(*layers)
        self.bn2 = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, 1000 if large else 10)

    def forward(self, x):
        x = self.layers(self.pool(self.bn1(F.relu(self.conv1(x)))))
        return self.linear(self.bn2(x.mean((2, 3))))


class VggSmall(nn.Module):
    def __init__(self, binary_input):
        super().__init__()
        layers, width = [], 3
        for i, to in enumerate([128, 128, 256, 256, 512, 512]):
            conv = nn.Conv2d(3, to, 3, 1, 1, bias=False) if i == 0 else BinaryConv(width, to, 1, binary_input)
            layers += [conv, nn.ReLU(), nn.BatchNorm2d(to)]
            if i % 2 == 1:
                layers.append(nn.MaxPool2d(2))
            width = to
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(512 * 4 * 4, 10)

    def forward(self, x):
        return self.fc(self.layers(x).flatten(1))


def build(name):
    base, _, variant = name.partition("-1w32a")
    if variant or name.endswith("-fp"):
        raise SystemExit(f"unknown model {name}")
    binary_input = not name.endswith("-1w32a")
    if base == "resnet20":
        return Resnet([16, 32, 64], 3, binary_input, pads=True)
    if base == "resnet18-cifar":
        return Resnet([64, 128, 256, 512], 2, binary_input, pads=False)
    if base == "resnet18":
        return Resnet([64, 128, 256, 512], 2, binary_input, pads=False, large=True)
    if base == "vgg-small":
        return VggSmall(binary_input)
    raise SystemExit(f"unknown model {name}; known: resnet20, resnet18-cifar, resnet18, vgg-small, each also with -1w32a")


def peak_mib():
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1024 if sys.platform != "darwin" else kilobytes / 2**20


def main():
    parser = argparse.ArgumentParser(description="Training speed in PyTorch.")
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--interactive", action="store_true")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    on_gpu = options.gpu and torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    name = torch.cuda.get_device_name() if on_gpu else "cpu"
    torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    start = 0 if on_gpu else peak_mib()
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    autocast = torch.autocast(device, dtype=torch.bfloat16, enabled=options.precision == "bf16")
    model = build(options.model).to(device, memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    # Of ImageNet, or of CIFAR-10.
    size, classes = (224, 1000) if options.model.partition("-1w32a")[0] == "resnet18" else (32, 10)
    images = torch.randn(options.batch, 3, size, size, device=device).to(memory_format=layout)
    labels = torch.randint(0, classes, (options.batch,), device=device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def run(steps):
        pending = None
        for _ in range(steps):
            loss = step()
            if not on_gpu:
                loss.item()
            elif pending is not None:
                pending.item()
            pending = loss
        pending.item()

    def measure(steps):
        begin, used = time.perf_counter(), time.process_time()
        run(steps)
        seconds = time.perf_counter() - begin
        processor_ms = 1000 * (time.process_time() - used) / steps
        peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_mib()
        figures = {"device": name, "processorMs": processor_ms, "imagesPerSecond": steps * options.batch / seconds, "seconds": seconds, "steps": steps}
        print(json.dumps({**figures, "peakMiB": peak, "startMiB": start}), flush=True)

    if options.interactive:
        for line in sys.stdin:
            measure(int(line))
        return
    run(2)
    for _ in range(options.rounds):
        measure(options.steps)


if __name__ == "__main__":
    main()
