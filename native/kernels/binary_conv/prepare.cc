#include <algorithm>
#include <stdexcept>

#include "kernels/binary_conv/binary_conv.h"

namespace bnn {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Which taps of one axis lie inside the image, for each output position, as an index into the distinct sets.
struct AxisClasses {
  std::vector<int32_t> ofPosition;
  std::vector<std::vector<bool>> taps;  // of each class
};

AxisClasses classify(const BinaryConvShape& s, int axis, int64_t size, int64_t outSize) {
  AxisClasses result;
  for (int64_t i = 0; i < outSize; i++) {
    std::vector<bool> inside(static_cast<size_t>(s.kernel[axis]));
    for (int64_t r = 0; r < s.kernel[axis]; r++) {
      const int64_t at = i * s.strides[axis] + r * s.dilations[axis] - s.pads[axis];
      inside[static_cast<size_t>(r)] = at >= 0 && at < size;
    }
    // Positions come in order, so an old class is found near the end.
    const auto found = std::find(result.taps.rbegin(), result.taps.rend(), inside);
    result.ofPosition.push_back(static_cast<int32_t>(result.taps.rend() - found - 1));
    if (found == result.taps.rend()) {
      result.ofPosition.back() = static_cast<int32_t>(result.taps.size());
      result.taps.push_back(std::move(inside));
    }
  }
  return result;
}

}  // namespace

BinaryWeights pack_binary_weights(const BinaryConvShape& s, const uint8_t* bits) {
  BinaryWeights result;
  const int64_t perGroup = s.outputs / s.groups, taps = s.taps(), rowBytes = ceil_div(s.channels, 8);
  result.kWords = static_cast<int>(ceil_div(s.bits(), 32));
  result.kStride = static_cast<int>(ceil_div(result.kWords, 4) * 4);
  result.groupOutputs = static_cast<int>(ceil_div(perGroup, kTileOutputs) * kTileOutputs);
  const size_t padded = static_cast<size_t>(s.groups) * static_cast<size_t>(result.groupOutputs);
  result.words = AlignedArray<uint32_t>(padded * static_cast<size_t>(result.kStride));
  result.tapSums = AlignedArray<int32_t>(padded * static_cast<size_t>(taps));
  for (int64_t o = 0; o < s.outputs; o++) {
    const int64_t row = o / perGroup * result.groupOutputs + o % perGroup;
    uint32_t* words = result.words.data() + (row / kTileOutputs * result.kStride) * kTileOutputs + row % kTileOutputs;
    for (int64_t t = 0; t < taps; t++) {
      const uint8_t* source = bits + (o * taps + t) * rowBytes;
      int32_t ones = 0;
      for (int64_t c = 0; c < s.channels; c++) {
        const uint32_t bit = source[c / 8] >> (c % 8) & 1u;
        const int64_t at = t * s.channels + c;
        words[at / 32 * kTileOutputs] |= bit << (at % 32);
        ones += static_cast<int32_t>(bit);
      }
      result.tapSums[static_cast<size_t>(row * taps + t)] = 2 * ones - static_cast<int32_t>(s.channels);
    }
  }
  return result;
}

void pad_outputs(const BinaryConvShape& s, const BinaryWeights& weights, const float* values, float* padded) {
  const int64_t perGroup = s.outputs / s.groups;
  std::fill_n(padded, s.groups * weights.groupOutputs, 0.0f);
  for (int64_t g = 0; g < s.groups; g++) {
    std::copy_n(values + g * perGroup, perGroup, padded + g * weights.groupOutputs);
  }
}

BinaryConvPlan plan_binary_conv(const BinaryConvShape& s, const BinaryWeights& weights, int64_t height, int64_t width) {
  BinaryConvPlan plan;
  plan.layout = layout_of(s, height, width);
  plan.channelWords = static_cast<int>(ceil_div(s.channels, 32));

  for (int64_t r = 0; r < s.kernel[0]; r++) {
    for (int64_t t = 0; t < s.kernel[1]; t++) {
      const ptrdiff_t tap = tap_offset(s, plan.layout, r, t);
      for (int c = 0; c < plan.channelWords; c++) {
        const int64_t at = (r * s.kernel[1] + t) * s.channels + 32 * c;
        const int64_t bits = std::min<int64_t>(32, s.channels - 32 * c);
        plan.pieces.push_back({c * plan.layout.planeWords + tap, static_cast<int32_t>(at / 32), static_cast<int32_t>(at % 32),
                               at % 32 + bits > 32});
      }
    }
  }

  const AxisClasses rows = classify(s, 0, height, plan.layout.outHeight);
  const AxisClasses columns = classify(s, 1, width, plan.layout.outWidth);
  plan.columnClass = columns.ofPosition;
  for (const int32_t row : rows.ofPosition) plan.rowClass.push_back(row * static_cast<int32_t>(columns.taps.size()));
  plan.classes = static_cast<int>(rows.taps.size() * columns.taps.size());
  plan.classStride = std::max(plan.classes, kSmallClasses);
  const size_t outputs = weights.words.size() / static_cast<size_t>(weights.kStride);
  plan.base = AlignedArray<int32_t>(outputs * static_cast<size_t>(plan.classStride));
  for (size_t o = 0; o < outputs; o++) {
    const int32_t* sums = weights.tapSums.data() + o * static_cast<size_t>(s.taps());
    int32_t* base = plan.base.data() + o * static_cast<size_t>(plan.classStride);
    for (const std::vector<bool>& row : rows.taps) {
      for (const std::vector<bool>& column : columns.taps) {
        int32_t sum = static_cast<int32_t>(s.bits());
        for (size_t r = 0; r < row.size(); r++) {
          for (size_t t = 0; t < column.size(); t++) {
            if (!row[r] || !column[t]) sum += sums[r * column.size() + t];
          }
        }
        *base++ = sum;
      }
    }
  }
  return plan;
}

}  // namespace bnn
