#include "kernels/int8_conv/int8_conv.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <numeric>
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

int64_t rows_of(const BinaryConvShape& s) { return s.channels * s.kernel[0]; }
// Words of a row, and taps that are left over.
int64_t words_of(const BinaryConvShape& s) { return s.kernel[1] / 4; }
int64_t left_of(const BinaryConvShape& s) { return s.kernel[1] % 4; }
int64_t groups_of(const BinaryConvShape& s) { return rows_of(s) * words_of(s); }
int64_t shared_of(const BinaryConvShape& s) { return ceil_div(rows_of(s) * left_of(s), int64_t{4}); }

// Where a tap that is left over goes.
struct Place {
  int64_t row, tap;
  int word, byte;
};

// The taps of a row stay together while there is a word with room for all: then they are one part of it.
std::vector<Place> places_of(const BinaryConvShape& s) {
  std::vector<Place> places;
  const int64_t left = left_of(s);
  std::vector<int> used(static_cast<size_t>(shared_of(s)), 0);
  const auto word_with = [&](int64_t room) {
    return std::find_if(used.begin(), used.end(), [&](int bytes) { return bytes + room <= 4; });
  };
  for (int64_t row = 0; row < rows_of(s) && left > 0; row++) {
    auto word = word_with(left);
    for (int64_t t = 0; t < left; t++) {
      if (word == used.end() || *word == 4) word = word_with(1);
      places.push_back({row, 4 * words_of(s) + t, static_cast<int>(word - used.begin()), (*word)++});
    }
  }
  return places;
}

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
    for (const Place& place : places_of(s)) {
      const ptrdiff_t start = place.row / s.kernel[0] * planes.plane() + place.row % s.kernel[0] * planes.rowBytes;
      const SharedPart part{place.word, start + place.tap - place.byte, 0xffu << (8 * place.byte)};
      const auto same = std::find_if(parts_.begin(), parts_.end(),
                                     [&](const SharedPart& p) { return p.word == part.word && p.offset == part.offset; });
      if (same != parts_.end()) {
        same->mask |= part.mask;
      } else {
        parts_.push_back(part);
      }
    }
    std::stable_sort(parts_.begin(), parts_.end(), [](const SharedPart& a, const SharedPart& b) { return a.word < b.word; });
  }

  int64_t rows() const { return pooledHeight_; }
  // Sums, and the shared words of as many rows.
  size_t memory_bytes() const { return static_cast<size_t>(sums_size() + conv_.pool.kernel[0] * shared_size()) * 4; }
  int64_t work() const {
    return outHeight_ * outWidth_ * conv_.shape.outputs * (groups_of(conv_.shape) + shared_of(conv_.shape)) / 16;
  }

  // Row i; where it is not the one after the last, no sums are there. `state` is of one worker, −1 at first.
  void run(int64_t i, int32_t* memory, int64_t& state) const {
    const BinaryConvShape& pool = conv_.pool;
    const int64_t top = i * pool.strides[0] - pool.pads[0];
    const int64_t begin = std::max<int64_t>(top, 0), end = std::min(top + pool.kernel[0], outHeight_);
    const int64_t made = state >= begin && state <= end ? state : begin;
    std::vector<PoolTap> taps;
    for (int64_t row = begin; row < end; row++) add_taps(row, taps);
    int32_t* sums = memory;
    uint32_t* shared = reinterpret_cast<uint32_t*>(memory + sums_size());
    for (int64_t row = made; row < end; row++) share_row(row, shared + (row - made) * shared_size());
    for (int64_t block = 0; block < blocks_; block++) {
      for (int64_t row = made; row < end; row++) sum_row(block, row, shared + (row - made) * shared_size(), sums);
      for (int64_t o = block * kOutputs; o < std::min(conv_.shape.outputs, (block + 1) * kOutputs); o++) pool_row(o, i, taps, sums);
    }
    state = end;
  }

 private:
  int64_t sums_size() const { return 2 * kSlackSums + conv_.pool.kernel[0] * blocks_ * kOutputs * pitch_; }
  int64_t shared_size() const { return shared_of(conv_.shape) * pitch_; }
  const uint8_t* even_of(int64_t row) const { return bytes_ + row * conv_.shape.strides[0] * planes_.rowBytes; }
  const uint8_t* odd_of(int64_t row) const { return even_of(row) + 2 - 4 * even_count(); }

  void share_row(int64_t row, uint32_t* shared) const {
    if (parts_.empty()) return;
    int8_conv_row().share({even_of(row), odd_of(row), static_cast<int>(even_count()), static_cast<int>(outWidth_), parts_.data(),
                           static_cast<int>(parts_.size()), shared, pitch_});
  }

  // Sums of the last rows: i32[blocks][4][pool rows][pitch].
  ptrdiff_t place_of(int64_t row) const { return kSlackSums + row % conv_.pool.kernel[0] * pitch_; }
  ptrdiff_t output_pitch() const { return conv_.pool.kernel[0] * pitch_; }
  int64_t even_count() const { return ceil_div(outWidth_, int64_t{2}); }

  void sum_row(int64_t block, int64_t row, const uint32_t* shared, int32_t* sums) const {
    Int8RowJob job{};
    job.even = even_of(row);
    job.odd = odd_of(row);
    job.evenCount = static_cast<int>(even_count());
    job.count = static_cast<int>(outWidth_);
    job.offsets = offsets_.data();
    job.groups = static_cast<int64_t>(offsets_.size());
    job.shared = shared;
    job.sharedWords = shared_of(conv_.shape);
    job.sharedPitch = pitch_;
    job.weights = conv_.weights.data() + block * (job.groups + job.sharedWords) * kOutputs;
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
  std::vector<SharedPart> parts_;
};

}  // namespace

Int8Conv make_int8_conv(const BinaryConvShape& s, const BinaryConvShape& pool, const int8_t* weights, Int8ConvParameters parameters) {
  Int8Conv conv;
  conv.shape = s;
  conv.pool = pool;
  conv.parameters = std::move(parameters);
  const int64_t groups = groups_of(s), all = groups + shared_of(s), words = words_of(s);
  conv.weights = AlignedArray<uint32_t>(static_cast<size_t>(ceil_div(s.outputs, int64_t{kOutputs}) * all * kOutputs));
  const std::vector<Place> places = places_of(s);
  for (int64_t o = 0; o < s.outputs; o++, weights += s.bits()) {
    uint32_t* target = conv.weights.data() + o / kOutputs * all * kOutputs + o % kOutputs;
    const auto put = [&](int64_t row, int64_t tap, int64_t word, int64_t byte) {
      target[word * kOutputs] |= static_cast<uint32_t>(static_cast<uint8_t>(weights[row * s.kernel[1] + tap])) << (8 * byte);
    };
    for (int64_t row = 0; row < rows_of(s); row++) {
      for (int64_t t = 0; t < 4 * words; t++) put(row, t, row * words + t / 4, t % 4);
    }
    for (const Place& place : places) put(place.row, place.tap, groups + place.word, place.byte);
    const int32_t sum = std::accumulate(weights, weights + s.bits(), int32_t{0});
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
    Scratch sums(pooled.memory_bytes());
    int64_t state = -1;
    for (int64_t band = claim(); band >= 0; band = claim()) {
      for (int64_t i = band * kBandRows; i < std::min(pooled.rows(), (band + 1) * kBandRows); i++)
        pooled.run(i, sums.as<int32_t>(), state);
    }
  });
}

}  // namespace bnn
