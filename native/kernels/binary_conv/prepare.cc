#include <algorithm>
#include <cmath>

#include "kernels/binary_conv/binary_conv.h"
#include "kernels/rounding.h"

namespace bnn {
namespace {

// Taps of one axis that lie inside the image, [first, last): their positions only grow.
struct TapRange {
  int64_t first, last;
};

// The distinct ranges of one axis, and which one each output position has.
struct AxisClasses {
  std::vector<int32_t> ofPosition;
  std::vector<TapRange> ranges;
};

AxisClasses classify(const BinaryConvShape& s, int axis, int64_t size, int64_t outSize) {
  AxisClasses result;
  const int64_t dilation = s.dilations[axis];
  for (int64_t i = 0; i < outSize; i++) {
    const int64_t origin = i * s.strides[axis] - s.pads[axis];
    const int64_t first = origin < 0 ? ceil_div(-origin, dilation) : 0;
    const int64_t last = origin < size ? ceil_div(size - origin, dilation) : 0;
    TapRange range{std::min(first, s.kernel[axis]), std::min(last, s.kernel[axis])};
    // Without any tap inside, one empty range stands for all.
    if (range.first >= range.last) range = {0, 0};
    // Positions come in order, so a range that was seen before is among the latest.
    auto found = std::find_if(result.ranges.rbegin(), result.ranges.rend(),
                              [&](const TapRange& other) { return other.first == range.first && other.last == range.last; });
    if (found == result.ranges.rend()) {
      result.ranges.push_back(range);
      found = result.ranges.rbegin();
    }
    result.ofPosition.push_back(static_cast<int32_t>(result.ranges.rend() - found - 1));
  }
  return result;
}

// prefix[r][t] = Σ of the sums of all taps above r and left of t.
void add_up(const BinaryConvShape& s, const int32_t* sums, std::vector<int32_t>& prefix) {
  const int64_t width = s.kernel[1] + 1;
  for (int64_t r = 0; r < s.kernel[0]; r++) {
    int32_t row = 0;
    for (int64_t t = 0; t < s.kernel[1]; t++) {
      row += sums[r * s.kernel[1] + t];
      prefix[static_cast<size_t>((r + 1) * width + t + 1)] = prefix[static_cast<size_t>(r * width + t + 1)] + row;
    }
  }
}

}  // namespace

namespace {

// A window is moved when it is full; this many more rows than a block needs make that rare.
constexpr int64_t kSpareRows = 8;

void plan_blocks(const BinaryConvShape& s, BinaryConvPlan& plan) {
  const ConvLayout& layout = plan.layout;
  int64_t most = 0;
  for (int64_t first = 0; first < layout.pixels(); first += kTilePixels) {
    const int count = static_cast<int>(std::min<int64_t>(kTilePixels, layout.pixels() - first));
    PanelRun runs[kTilePixels];
    BlockPlan block{};
    block.firstRun = static_cast<int>(plan.runs.size());
    block.runCount = runs_of(s, layout, first, count, runs);
    block.rowBegin = first / layout.outWidth * s.strides[0];
    block.rowEnd = (first + count - 1) / layout.outWidth * s.strides[0] + (s.kernel[0] - 1) * s.dilations[0] + 1;
    for (int i = 0; i < block.runCount; i++) {
      runs[i].source -= block.rowBegin * layout.rowWords;
      plan.runs.push_back(runs[i]);
    }
    plan.blocks.push_back(block);
    most = std::max(most, block.rowEnd - block.rowBegin);
  }
  plan.windowRows = std::min(layout.paddedHeight, most + kSpareRows);
  plan.windowWords = plan.windowRows * layout.rowWords;
}

}  // namespace

BinaryWeights empty_weights(const BinaryConvShape& s) {
  BinaryWeights result;
  result.kWords = static_cast<int>(ceil_div(s.bits(), 32));
  result.kStride = static_cast<int>(ceil_div(result.kWords, 4) * 4);
  result.groupOutputs = static_cast<int>(ceil_div(s.outputs / s.groups, kTileOutputs) * kTileOutputs);
  const size_t padded = static_cast<size_t>(s.groups) * static_cast<size_t>(result.groupOutputs);
  result.words = AlignedArray<uint32_t>(padded * static_cast<size_t>(result.kStride));
  result.tapSums = AlignedArray<int32_t>(padded * static_cast<size_t>(s.taps()));
  return result;
}

BinaryWeights pack_binary_weights(const BinaryConvShape& s, const uint8_t* bits) {
  BinaryWeights result = empty_weights(s);
  const int64_t perGroup = s.outputs / s.groups, taps = s.taps(), rowBytes = ceil_div(s.channels, 8);
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
  add_triples(result);
  return result;
}

void add_triples([[maybe_unused]] BinaryWeights& weights) {
#if !defined(__wasm_simd128__)
  weights.triples = AlignedArray<uint32_t>(weights.words.size());
  const uint32_t* from = weights.words.data();
  uint32_t* to = weights.triples.data();
  const ptrdiff_t blockWords = static_cast<ptrdiff_t>(weights.kStride) * kTileOutputs;
  for (size_t block = 0; block < weights.words.size();
       block += static_cast<size_t>(blockWords), from += blockWords, to += blockWords) {
    std::copy_n(from, blockWords, to);
    for (ptrdiff_t k = 2; k < weights.kWords; k += 3) {
      for (ptrdiff_t i = k * kTileOutputs; i < (k + 1) * kTileOutputs; i++)
        to[i] ^= from[i - kTileOutputs] ^ from[i - 2 * kTileOutputs];
    }
  }
#endif
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
  plan_blocks(s, plan);

  for (int64_t r = 0; r < s.kernel[0]; r++) {
    for (int64_t t = 0; t < s.kernel[1]; t++) {
      const ptrdiff_t tap = tap_offset(s, plan.layout, r, t);
      for (int c = 0; c < plan.channelWords; c++) {
        const int64_t at = (r * s.kernel[1] + t) * s.channels + 32 * c;
        const int64_t bits = std::min<int64_t>(32, s.channels - 32 * c);
        plan.pieces.push_back(
            {c * plan.windowWords + tap, static_cast<int32_t>(at / 32), static_cast<int32_t>(at % 32), at % 32 + bits > 32});
      }
    }
  }

  const AxisClasses rows = classify(s, 0, height, plan.layout.outHeight);
  const AxisClasses columns = classify(s, 1, width, plan.layout.outWidth);
  plan.pixelClass.reserve(plan.blocks.size() * kTilePixels);
  for (const int32_t row : rows.ofPosition) {
    const int32_t first = row * static_cast<int32_t>(columns.ranges.size());
    for (const int32_t column : columns.ofPosition) plan.pixelClass.push_back(first + column);
  }
  plan.pixelClass.resize(plan.blocks.size() * kTilePixels);
  plan.classes = static_cast<int>(rows.ranges.size() * columns.ranges.size());
  plan.classStride = std::max(plan.classes, kSmallClasses);
  const size_t outputs = weights.words.size() / static_cast<size_t>(weights.kStride);
  plan.base = AlignedArray<float>(outputs * static_cast<size_t>(plan.classStride));
  const int64_t stride = s.kernel[1] + 1;
  std::vector<int32_t> prefix(static_cast<size_t>((s.kernel[0] + 1) * stride));
  const auto below = [&](int64_t r, int64_t t) { return prefix[static_cast<size_t>(r * stride + t)]; };
  for (size_t o = 0; o < outputs; o++) {
    add_up(s, weights.tapSums.data() + o * static_cast<size_t>(s.taps()), prefix);
    float* base = plan.base.data() + o * static_cast<size_t>(plan.classStride);
    for (const TapRange& r : rows.ranges) {
      for (const TapRange& t : columns.ranges) {
        const int32_t inside = below(r.last, t.last) - below(r.first, t.last) - below(r.last, t.first) + below(r.first, t.first);
        *base++ = static_cast<float>(static_cast<int32_t>(s.bits()) + below(s.kernel[0], s.kernel[1]) - inside);
      }
    }
  }
  return plan;
}

AlignedArray<int32_t> most_counts(const BinaryConvPlan& plan, const float* threshold) {
  if (plan.classes > kSmallClasses) return {};
  AlignedArray<int32_t> most(plan.base.size());
  for (size_t i = 0; i < most.size(); i++) {
    // base − 2 pop >= threshold. Sums are whole numbers up to 2^24, so a threshold beyond them may be taken for one just beyond.
    const double least = std::ceil(static_cast<double>(threshold[i / static_cast<size_t>(plan.classStride)]));
    const double bound = (static_cast<double>(plan.base[i]) - std::clamp(least, -0x1p26, 0x1p26)) / 2;
    most[i] = std::isnan(least) ? -1 : static_cast<int32_t>(std::floor(std::max(bound, -1.0)));
  }
  return most;
}

}  // namespace bnn
