#include "kernels/float_conv/float_conv.h"

#include <algorithm>
#include <utility>

#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "simd/isa.h"
#include "threading/claim.h"

namespace bnn {

BNN_DECLARE_ROWS(FloatConvRow, float_conv_row);

namespace {

constexpr int kOutputs = 4;
// What whole vectors may read or write beyond a row.
constexpr int64_t kSlack = 64;
// Pixels beside whole vectors that do not make one.
constexpr int64_t kLeftColumns = 4;

const FloatConvRow& float_conv_row() {
  static constexpr KernelRow<FloatConvRow> rows[] = BNN_ROWS(float_conv_row);
  return active_row(rows);
}

// Four outputs from a tile to their planes.
void finish(const FloatConv& conv, const FloatConvRow& row, const float* tile, ptrdiff_t pitch, int64_t output, int64_t count,
            float* y, int64_t plane) {
  const bool isScaled = !conv.scale.empty();
  for (int64_t q = 0; q < std::min<int64_t>(kOutputs, conv.shape.outputs - output); q++) {
    const size_t o = static_cast<size_t>(output + q);
    row.scale(tile + q * pitch, static_cast<int>(count), isScaled, isScaled ? conv.scale[o] : 1.0f, isScaled ? conv.shift[o] : 0.0f,
              y + (output + q) * plane);
  }
}

// f32[channels][planeWords]: padded, and columns sorted by their remainder modulo the stride.
void place(const BinaryConvShape& s, const ConvLayout& layout, const float* x, float* planes) {
  const int64_t pixels = layout.height * layout.width;
  for (int64_t c = 0; c < s.channels; c++) {
    uint32_t* plane = reinterpret_cast<uint32_t*>(planes + c * layout.planeWords);
    clear_padding(s, layout, 0, layout.paddedHeight, 0, plane);
    scatter(s, layout, reinterpret_cast<const uint32_t*>(x + c * pixels), 0, pixels, 0, plane);
  }
}

// The pixels that a kernel of one element sees, f32[channels][pitch].
void pick(const BinaryConvShape& s, const ConvLayout& layout, const float* x, ptrdiff_t pitch, float* planes) {
  for (int64_t c = 0; c < s.channels; c++) {
    float* to = planes + c * pitch;
    for (int64_t i = 0; i < layout.outHeight; i++, to += layout.outWidth) {
      const float* from = x + (c * layout.height + i * s.strides[0]) * layout.width;
      if (s.strides[1] == 2) {
        // A constant, so that it becomes a loop over vectors.
        for (int64_t j = 0; j < layout.outWidth; j++) to[j] = from[2 * j];
      } else {
        for (int64_t j = 0; j < layout.outWidth; j++) to[j] = from[j * s.strides[1]];
      }
    }
  }
}

void pointwise_conv(const FloatConv& conv, const ConvLayout& layout, const float* x, float* y, const Parallel& parallel) {
  const BinaryConvShape& s = conv.shape;
  constexpr int64_t kTogether = kOutputs * kColumnBlocks;
  const int64_t pieces = ceil_div(s.outputs, kTogether), pixels = layout.pixels();
  const ptrdiff_t pitch = ceil_div(pixels, kSlack) * kSlack;
  const FloatConvRow& row = float_conv_row();
  Scratch memory(static_cast<size_t>(s.channels * pitch + kSlack) * 4);
  float* planes = memory.as<float>();
  pick(s, layout, x, pitch, planes);
  FloatRowJob job{};
  job.tapCount = std::min(s.channels, kBatch);
  job.channels = s.channels / job.tapCount;
  job.channelStride = job.tapCount * pitch;
  std::vector<ptrdiff_t> taps;
  for (int64_t t = 0; t < job.tapCount; t++) taps.push_back(t * pitch);
  job.taps = taps.data();
  job.relu = conv.relu;
  job.pitch = pitch;
  // What is left over behind whole vectors, where that is little.
  const int64_t left = pixels % row.width <= kLeftColumns ? pixels % row.width : 0, whole = pixels - left;
  claim_all(parallel, pieces, pixels * s.outputs * s.channels / 16, [&](const auto& claim) {
    Scratch tile(static_cast<size_t>(kTogether * pitch) * 4);
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t first = piece * kTogether;
      FloatRowJob own = job;
      own.x = planes;
      own.count = static_cast<int>(whole);
      for (int64_t o = 0; o < kTogether; o += kOutputs) {
        own.weights = conv.weights.data() + (first + o) * s.channels;
        own.bias = conv.bias.empty() ? nullptr : conv.bias.data() + first + o;
        own.y = tile.as<float>() + o * pitch;
        row.sums(own);
      }
      own.x = planes + whole;
      own.count = static_cast<int>(left);
      own.weights = conv.weights.data() + first * s.channels;
      own.bias = conv.bias.empty() ? nullptr : conv.bias.data() + first;
      own.y = tile.as<float>() + whole;
      row.columns(own);
      for (int64_t o = 0; o < kTogether; o += kOutputs)
        finish(conv, row, tile.as<float>() + o * pitch, pitch, first + o, pixels, y, pixels);
    }
  });
}

}  // namespace

FloatConv make_float_conv(const BinaryConvShape& s, bool relu, const float* weights, std::vector<float> bias, std::vector<float> scale,
                          std::vector<float> shift) {
  FloatConv conv;
  conv.shape = s;
  conv.relu = relu;
  const int64_t blocks = ceil_div(s.outputs, int64_t{kOutputs * kColumnBlocks}) * kColumnBlocks, terms = s.channels * s.taps();
  conv.weights = AlignedArray<float>(static_cast<size_t>(blocks * terms * kOutputs));
  for (int64_t o = 0; o < s.outputs; o++) {
    float* target = conv.weights.data() + o / kOutputs * terms * kOutputs + o % kOutputs;
    for (int64_t i = 0; i < terms; i++) target[i * kOutputs] = weights[o * terms + i];
  }
  for (std::vector<float>* vector : {&bias, &scale, &shift}) {
    if (!vector->empty()) vector->resize(static_cast<size_t>(blocks * kOutputs));
  }
  conv.bias = std::move(bias);
  conv.scale = std::move(scale);
  conv.shift = std::move(shift);
  return conv;
}

void float_conv(const FloatConv& conv, int64_t height, int64_t width, const float* x, float* y, const Parallel& parallel) {
  const BinaryConvShape& s = conv.shape;
  const ConvLayout layout = layout_of(s, height, width);
  if (is_pointwise(s)) {
    pointwise_conv(conv, layout, x, y, parallel);
    return;
  }
  const int64_t blocks = ceil_div(s.outputs, int64_t{kOutputs}), terms = s.channels * s.taps();
  const FloatConvRow& row = float_conv_row();
  Scratch memory(static_cast<size_t>(s.channels * layout.planeWords + kSlack) * 4);
  float* planes = memory.as<float>();
  place(s, layout, x, planes);
  std::vector<ptrdiff_t> taps;
  for (int64_t r = 0; r < s.kernel[0]; r++) {
    for (int64_t t = 0; t < s.kernel[1]; t++) taps.push_back(tap_offset(s, layout, r, t));
  }
  claim_all(parallel, blocks, layout.pixels() * s.outputs * terms / 16, [&](const auto& claim) {
    const ptrdiff_t pitch = ceil_div(layout.outWidth, kSlack) * kSlack;
    Scratch tile(static_cast<size_t>(kOutputs * pitch) * 4);
    for (int64_t block = claim(); block >= 0; block = claim()) {
      const int64_t output = block * kOutputs;
      FloatRowJob job{};
      job.taps = taps.data();
      job.tapCount = s.taps();
      job.channels = s.channels;
      job.channelStride = layout.planeWords;
      job.weights = conv.weights.data() + output * terms;
      job.count = static_cast<int>(layout.outWidth);
      job.bias = conv.bias.empty() ? nullptr : conv.bias.data() + output;
      job.relu = conv.relu;
      job.y = tile.as<float>();
      job.pitch = pitch;
      for (int64_t i = 0; i < layout.outHeight; i++) {
        job.x = planes + i * s.strides[0] * layout.rowWords;
        row.sums(job);
        finish(conv, row, job.y, pitch, output, layout.outWidth, y + i * layout.outWidth, layout.pixels());
      }
    }
  });
}

}  // namespace bnn
