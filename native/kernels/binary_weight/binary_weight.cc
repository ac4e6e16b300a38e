#include "kernels/binary_weight/binary_weight.h"

#include <algorithm>

#include "kernels/binary_weight/winograd.h"
#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "threading/claim.h"

namespace bnn {

BNN_DECLARE_ROWS(FloatTileRow, float_tile_row);

const FloatTileRow& float_tile_row() {
  static constexpr KernelRow<FloatTileRow> rows[] = BNN_ROWS(float_tile_row);
  return active_row(rows);
}

namespace {

// A panel stays in the near caches: this many of its rows are summed up before the next ones are built.
constexpr int64_t kPanelRows = 256;

float weight_at(const BinaryConvShape& s, const uint8_t* bits, int64_t output, int64_t tap, int64_t channel) {
  const uint8_t byte = bits[(output * s.taps() + tap) * ceil_div(s.channels, 8) + channel / 8];
  return (byte >> (channel % 8) & 1) != 0 ? 1.0f : -1.0f;
}

float finish(float sum, bool relu, float scale, float bias) {
  if (relu && sum < 0.0f) sum = 0.0f;
  return scale * sum + bias;
}

// Padded planes of the data of all images, or the data themselves.
const uint32_t* pad_images(const BinaryConvShape& s, const ConvLayout& layout, const WeightLayerCall& call, const Parallel& parallel,
                           uint32_t* planes) {
  const uint32_t* x = reinterpret_cast<const uint32_t*>(call.x);
  if (layout.is_plain()) return x;
  const int64_t count = call.batch * s.groups * s.channels, pixels = layout.height * layout.width;
  claim_all(parallel, count, count * pixels / 16, [&](const auto& claim) {
    for (int64_t i = claim(); i >= 0; i = claim()) {
      uint32_t* plane = planes + i * layout.planeWords;
      clear_padding(s, layout, 0, layout.paddedHeight, 0, plane);
      scatter(s, layout, x + i * pixels, 0, pixels, 0, plane);
    }
  });
  return planes;
}

// Whether it leaves pixels out that no tap sees.
bool skips_pixels(const BinaryConvShape& s) {
  const bool padded = s.pads[0] + s.pads[1] + s.pads[2] + s.pads[3] > 0;
  return s.taps() == 1 && !padded && s.strides[0] * s.strides[1] > 1;
}

// The pixels that it sees, of all images: what is left is a convolution that moves by one pixel.
void pick_pixels(const BinaryConvShape& s, const WeightLayerCall& call, int64_t height, int64_t width, const Parallel& parallel,
                 float* picked) {
  const int64_t count = call.batch * s.groups * s.channels;
  claim_all(parallel, count, count * height * width / 4, [&](const auto& claim) {
    for (int64_t i = claim(); i >= 0; i = claim()) {
      float* to = picked + i * height * width;
      for (int64_t row = 0; row < height; row++) {
        const float* from = call.x + (i * call.height + row * s.strides[0]) * call.width;
        for (int64_t column = 0; column < width; column++, from += s.strides[1]) *to++ = *from;
      }
    }
  });
}

// Outputs of a group, up to whole tiles.
int tiled_outputs(const BinaryConvShape& s) { return static_cast<int>(ceil_div(s.outputs / s.groups, kTileOutputs) * kTileOutputs); }

// at(output, tap, channel)
template <typename At>
UnpackedWeights conv_values(const BinaryConvShape& s, const At& at) {
  UnpackedWeights result;
  const int64_t perGroup = s.outputs / s.groups;
  result.groupOutputs = tiled_outputs(s);
  result.values = AlignedArray<float>(static_cast<size_t>(s.groups * result.groupOutputs * s.bits()));
  for (int64_t o = 0; o < s.outputs; o++) {
    const int64_t row = o / perGroup * result.groupOutputs + o % perGroup;
    float* values = result.values.data() + row / kTileOutputs * s.bits() * kTileOutputs + row % kTileOutputs;
    for (int64_t t = 0; t < s.taps(); t++) {
      for (int64_t c = 0; c < s.channels; c++) values[(t * s.channels + c) * kTileOutputs] = at(o, t, c);
    }
  }
  return result;
}

// at(output, channel)
template <typename At>
UnpackedWeights dense_values(const BinaryConvShape& s, const At& at) {
  UnpackedWeights result;
  result.groupOutputs = static_cast<int>(ceil_div(s.outputs, kTilePixels) * kTilePixels);
  result.values = AlignedArray<float>(static_cast<size_t>(result.groupOutputs * s.channels));
  for (int64_t o = 0; o < s.outputs; o++) {
    float* values = result.values.data() + o / kTilePixels * s.channels * kTilePixels + o % kTilePixels;
    for (int64_t c = 0; c < s.channels; c++) values[c * kTilePixels] = at(o, c);
  }
  return result;
}

}  // namespace

UnpackedWeights unpack_conv_weights(const BinaryConvShape& s, const uint8_t* bits) {
  if (suits_winograd(s)) {
    UnpackedWeights result;
    result.groupOutputs = tiled_outputs(s);
    result.spectra = winograd_weights(s, bits);
    return result;
  }
  return conv_values(s, [&](int64_t o, int64_t t, int64_t c) { return weight_at(s, bits, o, t, c); });
}

UnpackedWeights arrange_conv_weights(const BinaryConvShape& s, const float* weights) {
  return conv_values(s, [&](int64_t o, int64_t t, int64_t c) { return weights[(o * s.channels + c) * s.taps() + t]; });
}

UnpackedWeights unpack_dense_weights(const BinaryConvShape& s, const uint8_t* bits) {
  return dense_values(s, [&](int64_t o, int64_t c) { return weight_at(s, bits, o, 0, c); });
}

UnpackedWeights arrange_dense_weights(const BinaryConvShape& s, const float* weights) {
  return dense_values(s, [&](int64_t o, int64_t c) { return weights[o * s.channels + c]; });
}

void binary_weight_conv(const BinaryConvShape& s, const UnpackedWeights& weights, const WeightLayerCall& call,
                        const Parallel& parallel) {
  if (weights.spectra.size() > 0) return winograd_conv(s, weights, call, parallel);
  if (skips_pixels(s)) {
    BinaryConvShape rest = s;
    rest.strides[0] = rest.strides[1] = 1;
    WeightLayerCall picked = call;
    picked.height = s.out_size(0, call.height);
    picked.width = s.out_size(1, call.width);
    Scratch memory(static_cast<size_t>(call.batch * s.groups * s.channels * picked.height * picked.width) * 4);
    pick_pixels(s, call, picked.height, picked.width, parallel, memory.as<float>());
    picked.x = memory.as<float>();
    return binary_weight_conv(rest, weights, picked, parallel);
  }
  const FloatTileRow& row = float_tile_row();
  const ConvLayout layout = layout_of(s, call.height, call.width);
  const int64_t pixels = layout.pixels(), blocks = ceil_div(pixels, kTilePixels), perGroup = s.outputs / s.groups;
  const size_t planeCount = static_cast<size_t>(call.batch * s.groups * s.channels);
  Scratch memory(layout.is_plain() ? 64 : planeCount * static_cast<size_t>(layout.planeWords) * 4);
  const uint32_t* planes = pad_images(s, layout, call, parallel, memory.as<uint32_t>());

  const int64_t panels = call.batch * s.groups * blocks;
  const int64_t splits = std::clamp<int64_t>(ceil_div(8, panels), 1, std::max<int64_t>(1, perGroup / 32));
  const int64_t splitOutputs = ceil_div(ceil_div(perGroup, splits), kTileOutputs) * kTileOutputs;
  const int64_t rows = s.bits(), panelRows = std::min(rows, kPanelRows);
  const int64_t work = panels * kTilePixels * perGroup * rows / 16;
  claim_all(parallel, panels * splits, work, [&](const auto& claim) {
    Scratch scratch(static_cast<size_t>((panelRows + splitOutputs) * kTilePixels) * 4);
    float* panel = scratch.as<float>();
    float* sums = panel + panelRows * kTilePixels;
    PanelRun runs[kTilePixels];
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t index = piece / splits, image = index / blocks, group = image % s.groups;
      const int64_t first = index % blocks * kTilePixels, firstOutput = piece % splits * splitOutputs;
      if (firstOutput >= perGroup) continue;
      const int64_t outputs = std::min(splitOutputs, perGroup - firstOutput);
      const int count = static_cast<int>(std::min<int64_t>(kTilePixels, pixels - first));
      const int width = (count + 15) / 16 * 16;
      const int runCount = runs_of(s, layout, first, count, runs);
      const float* data = reinterpret_cast<const float*>(planes) + image * s.channels * layout.planeWords;
      int64_t built = 0, used = 0;
      const auto flush = [&] {
        const float* block = weights.values.data() + (group * weights.groupOutputs + firstOutput) * rows + used * kTileOutputs;
        const FloatBlocks filters{block, static_cast<int>(ceil_div(outputs, kTileOutputs)), rows * kTileOutputs};
        row.multiply(panel, kTilePixels, filters, built - used, width, used > 0, sums);
        used = built;
      };
      for (int64_t t = 0; t < s.taps(); t++) {
        const ptrdiff_t tap = tap_offset(s, layout, t / s.kernel[1], t % s.kernel[1]);
        for (int64_t c = 0; c < s.channels;) {
          if (built - used == panelRows) flush();
          const int64_t some = std::min(s.channels - c, panelRows - (built - used));
          row.copy_runs(data + c * layout.planeWords + tap, layout.planeWords, some, runs, runCount,
                        panel + (built - used) * kTilePixels);
          c += some;
          built += some;
        }
      }
      flush();
      for (int64_t q = 0; q < outputs; q++) {
        const int64_t o = group * perGroup + firstOutput + q;
        const ptrdiff_t at = (image / s.groups * s.outputs + o) * pixels + first;
        row.finish(sums + q * kTilePixels, count, call.relu, call.scale[o], call.bias[o],
                   call.residual != nullptr ? call.residual + at : nullptr, call.y + at);
      }
    }
  });
}

void binary_weight_gemm(const BinaryConvShape& s, const UnpackedWeights& weights, const WeightLayerCall& call,
                        const Parallel& parallel) {
  const FloatTileRow& row = float_tile_row();
  const int64_t rowBlocks = ceil_div(call.batch, kTileOutputs), outputBlocks = ceil_div(s.outputs, kTilePixels);
  // f32[rowBlocks][channels][4]
  Scratch memory(static_cast<size_t>(rowBlocks * s.channels) * kTileOutputs * 4);
  float* transposed = memory.as<float>();
  claim_all(parallel, rowBlocks, rowBlocks * s.channels * 4, [&](const auto& claim) {
    for (int64_t block = claim(); block >= 0; block = claim()) {
      float* target = transposed + block * s.channels * kTileOutputs;
      for (int64_t m = 0; m < kTileOutputs; m++) {
        // Rows that do not exist repeat the last one.
        const float* source = call.x + std::min(block * kTileOutputs + m, call.batch - 1) * s.channels;
        for (int64_t c = 0; c < s.channels; c++) target[c * kTileOutputs + m] = source[c];
      }
    }
  });
  const int64_t work = rowBlocks * outputBlocks * s.channels * 16;
  claim_all(parallel, outputBlocks, work, [&](const auto& claim) {
    Scratch scratch(static_cast<size_t>(rowBlocks * kTileOutputs * kTilePixels) * 4);
    float* sums = scratch.as<float>();
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t first = piece * kTilePixels, count = std::min<int64_t>(kTilePixels, s.outputs - first);
      // All rows against the weights that are in the cache, then the next weights.
      for (int64_t c = 0; c < s.channels; c += kPanelRows) {
        const float* panel = weights.values.data() + (first * s.channels + c * kTilePixels);
        const FloatBlocks rows{transposed + c * kTileOutputs, static_cast<int>(rowBlocks), s.channels * kTileOutputs};
        row.multiply(panel, kTilePixels, rows, std::min(kPanelRows, s.channels - c), kTilePixels, c > 0, sums);
      }
      for (int64_t m = 0; m < call.batch; m++) {
        const ptrdiff_t at = m * s.outputs + first;
        const float* sum = sums + m * kTilePixels;
        for (int64_t p = 0; p < count; p++) {
          const float y = finish(sum[p], call.relu, call.scale[first + p], call.bias[first + p]);
          call.y[at + p] = call.residual != nullptr ? y + call.residual[at + p] : y;
        }
      }
    }
  });
}

}  // namespace bnn
