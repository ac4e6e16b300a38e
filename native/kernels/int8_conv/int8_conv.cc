#include "kernels/int8_conv/int8_conv.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "simd/isa.h"
#include "threading/claim.h"

namespace bnn {

BNN_BINARY_ISAS(BNN_DECLARE_ROW, Int8ConvRow, int8_conv_row)

namespace {

constexpr int kOutputs = 4;
// What whole vectors may read or write beyond a row: bytes, and sums in front of one as well.
constexpr int64_t kSlackBytes = 128;
constexpr int64_t kSlackSums = 16;
// Rows of the image that are quantized, and of the result that are made, at a time.
constexpr int64_t kQuantizedRows = 16;
constexpr int64_t kBandRows = 4;

const Int8ConvRow& int8_conv_row() {
  static constexpr KernelRow<Int8ConvRow> rows[] = {BNN_BINARY_ISAS(BNN_KERNEL_ROW, , int8_conv_row)};
  return active_row(rows);
}

int64_t words_of(const BinaryConvShape& s) { return ceil_div(s.kernel[1], int64_t{4}); }
int64_t groups_of(const BinaryConvShape& s) { return s.channels * s.kernel[0] * words_of(s); }

// The padded bytes of an image, u8[channels][rows][rowBytes].
struct Planes {
  int64_t rows, rowBytes;

  Planes(const BinaryConvShape& s, int64_t height, int64_t width)
      : rows(height + s.pads[0] + s.pads[2]), rowBytes(width + s.pads[1] + s.pads[3] + kSlackBytes) {}
  int64_t plane() const { return rows * rowBytes; }
};

void quantize_image(const Int8Conv& conv, const Planes& planes, int64_t height, int64_t width, const float* x, uint8_t* bytes,
                    const Parallel& parallel) {
  const BinaryConvShape& s = conv.shape;
  const Int8ConvRow& row = int8_conv_row();
  const int64_t rows = s.channels * planes.rows, zero = conv.parameters.dataZero;
  claim_all(parallel, ceil_div(rows, kQuantizedRows), rows * width / 4, [&](const auto& claim) {
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      for (int64_t at = piece * kQuantizedRows; at < std::min(rows, (piece + 1) * kQuantizedRows); at++) {
        uint8_t* target = bytes + at * planes.rowBytes;
        std::memset(target, static_cast<int>(zero), static_cast<size_t>(planes.rowBytes));
        const int64_t c = at / planes.rows, i = at % planes.rows - s.pads[0];
        if (i < 0 || i >= height) continue;
        row.quantize({x + (c * height + i) * width, width, conv.parameters.dataScale, conv.parameters.dataZero, target + s.pads[1]});
      }
    }
  });
}

// Makes the rows of the result; a worker keeps the sums that the next one sees too.
class Pooled {
 public:
  Pooled(const Int8Conv& conv, const Planes& planes, int64_t height, int64_t width, const uint8_t* bytes, float* y)
      : conv_(conv),
        planes_(planes),
        bytes_(bytes),
        y_(y),
        outHeight_(conv.shape.out_size(0, height)),
        outWidth_(conv.shape.out_size(1, width)),
        pooledHeight_(conv.pool.out_size(0, outHeight_)),
        pooledWidth_(conv.pool.out_size(1, outWidth_)),
        pitch_((outWidth_ + 2 * kSlackSums - 1) / kSlackSums * kSlackSums + kSlackSums),
        blocks_(ceil_div(conv.shape.outputs, int64_t{kOutputs})) {
    const BinaryConvShape& s = conv.shape;
    for (int64_t c = 0; c < s.channels; c++) {
      for (int64_t r = 0; r < s.kernel[0]; r++) {
        for (int64_t word = 0; word < words_of(s); word++) offsets_.push_back(c * planes.plane() + r * planes.rowBytes + 4 * word);
      }
    }
  }

  int64_t rows() const { return pooledHeight_; }
  size_t sums_bytes() const { return static_cast<size_t>(2 * kSlackSums + conv_.pool.kernel[0] * blocks_ * kOutputs * pitch_) * 4; }
  int64_t work() const { return outHeight_ * outWidth_ * conv_.shape.outputs * groups_of(conv_.shape) / 16; }

  // Row i; where it is not the one after the last, no sums are there. `state` is of one worker, −1 at first.
  void run(int64_t i, int32_t* sums, int64_t& state) const {
    const BinaryConvShape& pool = conv_.pool;
    const int64_t top = i * pool.strides[0] - pool.pads[0];
    const int64_t begin = std::max<int64_t>(top, 0), end = std::min(top + pool.kernel[0], outHeight_);
    const int64_t made = state >= begin && state <= end ? state : begin;
    std::vector<PoolTap> taps;
    for (int64_t row = begin; row < end; row++) add_taps(row, taps);
    for (int64_t block = 0; block < blocks_; block++) {
      for (int64_t row = made; row < end; row++) sum_row(block, row, sums);
      for (int64_t o = block * kOutputs; o < std::min(conv_.shape.outputs, (block + 1) * kOutputs); o++) pool_row(o, i, taps, sums);
    }
    state = end;
  }

 private:
  // Sums of the last rows: i32[blocks][4][pool rows][pitch].
  ptrdiff_t place_of(int64_t row) const { return kSlackSums + row % conv_.pool.kernel[0] * pitch_; }
  ptrdiff_t output_pitch() const { return conv_.pool.kernel[0] * pitch_; }
  int64_t even_count() const { return ceil_div(outWidth_, int64_t{2}); }

  void sum_row(int64_t block, int64_t row, int32_t* sums) const {
    Int8RowJob job{};
    job.even = bytes_ + row * conv_.shape.strides[0] * planes_.rowBytes;
    job.odd = job.even + 2 - 4 * even_count();
    job.evenCount = static_cast<int>(even_count());
    job.count = static_cast<int>(outWidth_);
    job.offsets = offsets_.data();
    job.groups = static_cast<int64_t>(offsets_.size());
    job.weights = conv_.weights.data() + block * job.groups * kOutputs;
    job.pitch = output_pitch();
    job.sums = sums + place_of(row) + block * kOutputs * job.pitch;
    int8_conv_row().sums(job);
  }

  void add_taps(int64_t row, std::vector<PoolTap>& taps) const {
    const BinaryConvShape& pool = conv_.pool;
    for (int64_t t = 0; t < pool.kernel[1]; t++) {
      // Column 2·j + at of the sums: by its parity and half of it.
      const int64_t at = t - pool.pads[1], half = (at - (at & 1)) / 2;
      const int64_t first = at < 0 ? ceil_div(-at, int64_t{2}) : 0, last = ceil_div(outWidth_ - at, int64_t{2});
      // What whole vectors read beyond the last window is nothing to anybody.
      const int end = last < pooledWidth_ ? static_cast<int>(last) : INT_MAX / 2;
      taps.push_back({place_of(row) + ((at & 1) != 0 ? even_count() : 0) + half, static_cast<int>(first), end});
    }
  }

  void pool_row(int64_t output, int64_t i, const std::vector<PoolTap>& taps, const int32_t* sums) const {
    const Int8ConvParameters& p = conv_.parameters;
    const size_t o = static_cast<size_t>(output);
    Int8PoolJob job{};
    job.sums = sums + output * output_pitch();
    job.taps = taps.data();
    job.tapCount = static_cast<int>(taps.size());
    job.count = static_cast<int>(pooledWidth_);
    job.bias = p.bias[o];
    job.multiplier = p.multiplier[o];
    job.resultZero = p.resultZero;
    job.stepZero = p.stepZero[o];
    job.stepScale = p.stepScale[o];
    job.isScaled = !p.scale.empty();
    if (job.isScaled) job.scale = p.scale[o], job.shift = p.shift[o];
    job.y = y_ + (output * pooledHeight_ + i) * pooledWidth_;
    int8_conv_row().pool(job);
  }

  const Int8Conv& conv_;
  const Planes& planes_;
  const uint8_t* bytes_;
  float* y_;
  int64_t outHeight_, outWidth_, pooledHeight_, pooledWidth_;
  ptrdiff_t pitch_;
  int64_t blocks_;
  std::vector<ptrdiff_t> offsets_;
};

}  // namespace

Int8Conv make_int8_conv(const BinaryConvShape& s, const BinaryConvShape& pool, const int8_t* weights, Int8ConvParameters parameters) {
  Int8Conv conv;
  conv.shape = s;
  conv.pool = pool;
  conv.parameters = std::move(parameters);
  const int64_t groups = groups_of(s), words = words_of(s);
  conv.weights = AlignedArray<uint32_t>(static_cast<size_t>(ceil_div(s.outputs, int64_t{kOutputs}) * groups * kOutputs));
  for (int64_t o = 0; o < s.outputs; o++) {
    uint32_t* target = conv.weights.data() + o / kOutputs * groups * kOutputs + o % kOutputs;
    int32_t sum = 0;
    for (int64_t row = 0; row < s.channels * s.kernel[0]; row++) {
      for (int64_t t = 0; t < s.kernel[1]; t++) {
        const int8_t weight = *weights++;
        sum += weight;
        target[(row * words + t / 4) * kOutputs] |= static_cast<uint32_t>(static_cast<uint8_t>(weight)) << (8 * (t % 4));
      }
    }
    conv.parameters.bias[static_cast<size_t>(o)] -= sum * conv.parameters.dataZero;
  }
  return conv;
}

void int8_conv(const Int8Conv& conv, int64_t height, int64_t width, const float* x, float* y, const Parallel& parallel) {
  const Planes planes(conv.shape, height, width);
  Scratch memory(static_cast<size_t>(conv.shape.channels * planes.plane() + 2 * kSlackBytes));
  // A vector of which the first half is of even columns reads in front of the odd ones.
  uint8_t* bytes = memory.as<uint8_t>() + kSlackBytes;
  quantize_image(conv, planes, height, width, x, bytes, parallel);
  const Pooled pooled(conv, planes, height, width, bytes, y);
  claim_all(parallel, ceil_div(pooled.rows(), kBandRows), pooled.work(), [&](const auto& claim) {
    Scratch sums(pooled.sums_bytes());
    int64_t state = -1;
    for (int64_t band = claim(); band >= 0; band = claim()) {
      for (int64_t i = band * kBandRows; i < std::min(pooled.rows(), (band + 1) * kBandRows); i++)
        pooled.run(i, sums.as<int32_t>(), state);
    }
  });
}

}  // namespace bnn
