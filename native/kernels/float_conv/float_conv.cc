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

const FloatConvRow& float_conv_row() {
  static constexpr KernelRow<FloatConvRow> rows[] = BNN_ROWS(float_conv_row);
  return active_row(rows);
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

}  // namespace

FloatConv make_float_conv(const BinaryConvShape& s, bool relu, const float* weights, std::vector<float> bias, std::vector<float> scale,
                          std::vector<float> shift) {
  FloatConv conv;
  conv.shape = s;
  conv.relu = relu;
  const int64_t blocks = ceil_div(s.outputs, int64_t{kOutputs}), terms = s.channels * s.taps();
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
        for (int64_t q = 0; q < std::min<int64_t>(kOutputs, s.outputs - output); q++) {
          const size_t o = static_cast<size_t>(output + q);
          const bool isScaled = !conv.scale.empty();
          row.scale(job.y + q * pitch, job.count, isScaled, isScaled ? conv.scale[o] : 1.0f, isScaled ? conv.shift[o] : 0.0f,
                    y + static_cast<ptrdiff_t>(o) * layout.pixels() + i * layout.outWidth);
        }
      }
    }
  });
}

}  // namespace bnn
