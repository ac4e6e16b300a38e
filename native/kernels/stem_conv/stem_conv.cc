#include "kernels/stem_conv/stem_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/rounding.h"
#include "memory/scratch_pool.h"
#include "simd/isa.h"
#include "threading/claim.h"

namespace bnn {

BNN_DECLARE_ROWS(StemConvRow, stem_conv_row);

namespace {

constexpr int64_t kOutputs = kStemOutputs;
constexpr int64_t kPhases = 8;
// What whole vectors may read or write beyond a row.
constexpr int64_t kSlack = 64;
// Tiles whose results are kept at a time: those of all outputs fit a second-level cache.
constexpr int64_t kMostTiles = 192;

const StemConvRow& stem_conv_row() {
  static constexpr KernelRow<StemConvRow> rows[] = BNN_ROWS(stem_conv_row);
  return active_row(rows);
}

int64_t product_count(int64_t channels) { return stem_products_before(channels, kStemPoints - 1, kStemPoints - 1) + channels; }

// G g for the taps of every other position from `parity` on, in double precision.
void filter_points(const double* taps, int64_t count, int64_t stride, double (&points)[kStemPoints]) {
  constexpr double kAt[] = {0, 1, -1, 2, -2, 0.5};
  for (int p = 0; p < 6; p++) {
    double value = 0, power = 1, polynomial = 1;
    for (int64_t t = 0; t < count; t++, power *= kAt[p]) value += power * taps[t * stride];
    for (const double other : kAt) polynomial *= other == kAt[p] ? 1 : kAt[p] - other;
    points[p] = value / polynomial;
  }
  points[6] = count == kStemTile ? taps[3 * stride] : 0;
}

// The transformed filter of one channel and parity, [row point][column point].
void filter_tile(const BinaryConvShape& s, const float* w, int64_t rowParity, int64_t columnParity,
                 double (&points)[kStemPoints][kStemPoints]) {
  double taps[kStemTile][kStemPoints] = {};
  const int64_t rows = (s.kernel[0] - rowParity + 1) / 2, columns = (s.kernel[1] - columnParity + 1) / 2;
  for (int64_t r = 0; r < rows; r++) {
    double row[kStemTile] = {};
    for (int64_t t = 0; t < columns; t++) row[t] = static_cast<double>(w[(2 * r + rowParity) * s.kernel[1] + 2 * t + columnParity]);
    filter_points(row, columns, 1, taps[r]);
  }
  for (int q = 0; q < kStemPoints; q++) {
    double column[kStemPoints];
    filter_points(&taps[0][q], rows, kStemPoints, column);
    for (int r = 0; r < kStemPoints; r++) points[r][q] = column[r];
  }
}

// How a picture of one size is cut into tiles.
struct StemLayout {
  int64_t height, width, outHeight, outWidth, pooledHeight, pooledWidth;
  int64_t tileRows, rowTiles;  // a row has one element more than tiles: padding between rows
  int64_t plane;               // of the data, of one remainder of rows and of columns

  StemLayout(const StemConv& conv, int64_t height, int64_t width)
      : height(height),
        width(width),
        outHeight(conv.shape.out_size(0, height)),
        outWidth(conv.shape.out_size(1, width)),
        pooledHeight(conv.pool.out_size(0, outHeight)),
        pooledWidth(conv.pool.out_size(1, outWidth)),
        tileRows(ceil_div(outHeight, int64_t{kStemTile})),
        rowTiles(ceil_div(outWidth, int64_t{kStemTile}) + 1),
        plane((tileRows + 2) * rowTiles + kSlack) {}
};

// f32[channels][8][8][plane]
void place(const BinaryConvShape& s, const StemLayout& layout, const float* x, float* planes, const Parallel& parallel) {
  const StemConvRow& row = stem_conv_row();
  // The last row of tiles reads half a row of tiles more.
  const int64_t rows = (layout.tileRows + 1) * kPhases;
  claim_all(parallel, s.channels * kPhases, s.channels * layout.height * layout.width / 4, [&](const auto& claim) {
    Scratch memory(static_cast<size_t>(layout.rowTiles + kSlack) * kPhases * 4);
    float* padded = memory.as<float>();
    std::fill_n(padded, (layout.rowTiles + kSlack) * kPhases, 0.0f);
    for (int64_t piece = claim(); piece >= 0; piece = claim()) {
      const int64_t c = piece / kPhases, remainder = piece % kPhases;
      for (int64_t r = remainder; r < rows; r += kPhases) {
        const int64_t i = r - s.pads[0];
        float* target = planes + piece * kPhases * layout.plane + r / kPhases * layout.rowTiles;
        if (i < 0 || i >= layout.height) {
          for (int64_t k = 0; k < kPhases; k++) std::fill_n(target + k * layout.plane, layout.rowTiles, 0.0f);
          continue;
        }
        std::copy_n(x + (c * layout.height + i) * layout.width, layout.width, padded + s.pads[1]);
        row.split(padded, layout.rowTiles, target, layout.plane);
      }
    }
  });
}

// How many rows of tiles fill whole vectors best.
int64_t rows_of_group(const StemLayout& layout) {
  const int64_t width = stem_conv_row().width;
  int64_t best = 1, bestTiles = 0, bestLanes = 1;
  for (int64_t rows = 1; rows <= layout.tileRows && (rows == 1 || rows * layout.rowTiles <= kMostTiles); rows++) {
    const int64_t tiles = rows * layout.rowTiles, lanes = ceil_div(tiles, width) * width;
    if (tiles * bestLanes >= bestTiles * lanes) best = rows, bestTiles = tiles, bestLanes = lanes;
  }
  return best;
}

// Makes rows of the result, for one thread.
class Tiles {
 public:
  Tiles(const StemConv& conv, const StemLayout& layout, const float* planes, float* y)
      : conv_(conv),
        layout_(layout),
        planes_(planes),
        y_(y),
        row_(stem_conv_row()),
        blocks_(ceil_div(conv.shape.outputs, kOutputs)),
        front_(ceil_div(layout.rowTiles + 1, kSlack) * kSlack),
        group_(rows_of_group(layout)),
        plane_(front_ + ceil_div(group_ * layout.rowTiles, int64_t{row_.width}) * row_.width),
        spectrum_(static_cast<size_t>(product_count(conv.shape.channels) * row_.vectors * row_.width) * 4),
        maxima_(static_cast<size_t>(blocks_ * kOutputs * kStemMaxima * plane_ + kSlack) * 4),
        left_(static_cast<size_t>(2 * plane_) * 4) {}

  // A group of rows of tiles. Where it is not the one after the last, the row above it is made again.
  void run(int64_t index) {
    const int64_t begin = index * group_, rows = std::min(group_, layout_.tileRows - begin);
    if (begin != next_) start(begin);
    make(begin, rows);
    for (int64_t o = 0; o < conv_.shape.outputs; o++) {
      for (int64_t i = 0; i < rows; i++) pool(o, begin + i, i);
    }
    keep_last(rows);
    next_ = begin + rows;
  }

 private:
  void start(int64_t begin) {
    const float none = -std::numeric_limits<float>::infinity();
    for (int64_t at = 0; at < blocks_ * kOutputs * kStemMaxima; at++) std::fill_n(maxima_.as<float>() + at * plane_, front_, none);
    if (begin == 0) return;
    make(begin - 1, 1);
    keep_last(1);
  }

  // The maxima of `count` rows of tiles, of all outputs, behind those of the row above them.
  void make(int64_t row, int64_t count) {
    const int64_t tiles = count * layout_.rowTiles;
    float *rowsLeft = left_.as<float>(), *columnsLeft = rowsLeft + plane_;
    std::fill_n(rowsLeft, 2 * plane_, 0.0f);
    for (int64_t t = 0; t < tiles; t++) {
      rowsLeft[t] = static_cast<float>(layout_.outHeight - (row + t / layout_.rowTiles) * kStemTile);
      columnsLeft[t] = static_cast<float>(layout_.outWidth - t % layout_.rowTiles * kStemTile);
    }
    const int64_t vectors = ceil_div(tiles, int64_t{row_.width});
    for (int64_t vector = 0, together = 1; vector < vectors; vector += together) {
      together = vectors - vector >= row_.vectors ? row_.vectors : 1;
      const int64_t t = vector * row_.width;
      row_.input({planes_ + row * layout_.rowTiles + t, conv_.shape.channels, layout_.plane, layout_.rowTiles,
                  static_cast<int>(together), spectrum_.as<float>()});
      for (int64_t block = 0; block < blocks_; block++) {
        row_.products({spectrum_.as<float>(), conv_.weights.data() + block * product_count(conv_.shape.channels) * kOutputs,
                       conv_.shape.channels, static_cast<int>(together), rowsLeft + t, columnsLeft + t,
                       maxima_.as<float>() + block * kOutputs * kStemMaxima * plane_ + front_ + t, plane_});
      }
    }
  }

  // The last of `rows` rows of tiles becomes the one in front of the next: of its results, the lowest rows are all that it reads.
  void keep_last(int64_t rows) {
    for (int64_t at = 0; at < blocks_ * kOutputs * kStemMaxima; at++) {
      if (at % kStemMaxima < 6) continue;
      float* plane = maxima_.as<float>() + at * plane_ + front_ - layout_.rowTiles - 1;
      std::memmove(plane, plane + rows * layout_.rowTiles, static_cast<size_t>(layout_.rowTiles + 1) * 4);
    }
  }

  // What becomes of a row of tiles, the `i`-th of its group.
  void pool(int64_t output, int64_t row, int64_t i) {
    const int64_t top = 2 * row;
    if (top >= layout_.pooledHeight) return;
    const auto at = [&](const std::vector<float>& vector) { return vector.empty() ? 0.0f : vector[static_cast<size_t>(output)]; };
    StemPoolJob job{};
    job.maxima = maxima_.as<float>() + output * kStemMaxima * plane_ + front_ + i * layout_.rowTiles;
    job.plane = plane_;
    job.rowTiles = layout_.rowTiles;
    job.rows = std::min<int64_t>(2, layout_.pooledHeight - top);
    job.columns = layout_.pooledWidth;
    job.sign = conv_.least[static_cast<size_t>(output)] ? -1.0f : 1.0f;
    job.bias = at(conv_.bias);
    job.relu = conv_.relu;
    job.isScaled = !conv_.scale.empty();
    job.scale = at(conv_.scale);
    job.shift = at(conv_.shift);
    job.y = y_ + (output * layout_.pooledHeight + top) * layout_.pooledWidth;
    row_.pool(job);
  }

  const StemConv& conv_;
  const StemLayout& layout_;
  const float* planes_;
  float* y_;
  const StemConvRow& row_;
  int64_t blocks_, front_, group_, plane_, next_ = -1;
  Scratch spectrum_, maxima_, left_;
};

}  // namespace

bool suits_stem_conv(const BinaryConvShape& s, const BinaryConvShape& pool) {
  for (int axis : {0, 1}) {
    if (s.kernel[axis] < kStemLeastKernel || s.kernel[axis] > kStemMostKernel || s.strides[axis] != 2 || s.dilations[axis] != 1)
      return false;
    if (pool.kernel[axis] != 3 || pool.strides[axis] != 2 || pool.pads[axis] != 1 || pool.pads[axis + 2] > 1) return false;
  }
  return s.groups == 1;
}

StemConv make_stem_conv(const BinaryConvShape& s, const BinaryConvShape& pool, bool relu, const float* weights,
                        std::vector<float> bias, std::vector<float> scale, std::vector<float> shift, std::vector<bool> least) {
  StemConv conv;
  conv.shape = s;
  conv.pool = pool;
  conv.relu = relu;
  const int64_t products = product_count(s.channels);
  conv.weights = AlignedArray<float>(static_cast<size_t>(ceil_div(s.outputs, kOutputs) * products * kOutputs));
  for (int64_t o = 0; o < s.outputs; o++) {
    float* target = conv.weights.data() + o / kOutputs * products * kOutputs + o % kOutputs;
    for (int64_t c = 0; c < s.channels; c++) {
      for (int parity = 0; parity < 4; parity++) {
        const int rowParity = parity >> 1, columnParity = parity & 1;
        double points[kStemPoints][kStemPoints];
        filter_tile(s, weights + (o * s.channels + c) * s.taps(), rowParity, columnParity, points);
        for (int q = 0; q < kStemPoints - columnParity; q++) {
          for (int r = 0; r < kStemPoints - rowParity; r++) {
            const double value = least[static_cast<size_t>(o)] ? -points[r][q] : points[r][q];
            target[stem_product(s.channels, c, r, q, rowParity, columnParity) * kOutputs] = static_cast<float>(value);
          }
        }
      }
    }
  }
  conv.bias = std::move(bias);
  conv.scale = std::move(scale);
  conv.shift = std::move(shift);
  conv.least = std::move(least);
  return conv;
}

void stem_conv(const StemConv& conv, int64_t height, int64_t width, const float* x, float* y, const Parallel& parallel) {
  const StemLayout layout(conv, height, width);
  const BinaryConvShape& s = conv.shape;
  Scratch memory(static_cast<size_t>(s.channels * kPhases * kPhases * layout.plane + kSlack) * 4);
  float* planes = memory.as<float>();
  place(s, layout, x, planes, parallel);
  const int64_t work = layout.tileRows * layout.rowTiles * product_count(s.channels) * s.outputs / 16;
  claim_all(parallel, ceil_div(layout.tileRows, rows_of_group(layout)), work, [&](const auto& claim) {
    Tiles tiles(conv, layout, planes, y);
    for (int64_t group = claim(); group >= 0; group = claim()) tiles.run(group);
  });
}

}  // namespace bnn
