// The loops of stem_conv.h with tiles as lanes, for the instruction set of its compilation.
#include "kernels/stem_conv/stem_conv.h"
#include "simd/shuffle.h"
#include "simd/vec.h"

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 16")

namespace bnn {
namespace BNN_ISA {

// What is multiplied together: eight sums, of vectors that leave the first-level cache room for the spectrum.
constexpr int kVectors = W == 16 ? 1 : 2;
constexpr int kOutputs = 8 / kVectors;
constexpr int kPhases = 8;
constexpr int kPoints = kStemPoints, kTile = kStemTile;

static inline V larger(V a, V b) { return select(a > b, a, b); }

// Bᵀ d. u is d times (x − ½).
static inline void input_points(const V (&d)[kPoints], V (&t)[kPoints]) {
  const V half = splat(0.5f), two = splat(2.0f), four = splat(4.0f), five = splat(5.0f);
  V u[6];
  BNN_UNROLL
  for (int i = 0; i < 6; i++) u[i] = d[i + 1] - half * d[i];
  const V even1 = u[4] - four * u[2], odd1 = u[3] - four * u[1];
  const V even2 = u[4] - u[2], odd2 = u[3] - u[1];
  t[0] = four * u[0] + (u[4] - five * u[2]);
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + two * odd2;
  t[4] = even2 - two * odd2;
  t[5] = four * d[1] + (d[5] - five * d[3]);
  t[6] = four * u[1] + (u[5] - five * u[3]);
}

// Aᵀ m.
static inline void output_points(const V (&m)[kPoints], V (&y)[kTile]) {
  const V sum1 = m[1] + m[2], difference1 = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = (m[0] + sum1) + (sum2 + m[5]);
  y[1] = difference1 + (splat(2.0f) * difference2 + splat(0.5f) * m[5]);
  y[2] = sum1 + (splat(4.0f) * sum2 + splat(0.25f) * m[5]);
  y[3] = (difference1 + m[6]) + (splat(8.0f) * difference2 + splat(0.125f) * m[5]);
}

static void split(const float* row, int64_t count, float* planes, int64_t plane) {
  for (int64_t i = 0; i < count; i += W, row += kPhases * W) {
    V v[kPhases], w[kPhases];
    BNN_UNROLL
    for (int k = 0; k < kPhases; k++) v[k] = load(row + k * W);
    // Three times even elements to the first half, odd ones to the second.
    BNN_UNROLL
    for (int k = 0; k < 4; k++) w[k] = even_elements(v[2 * k], v[2 * k + 1]), w[k + 4] = odd_elements(v[2 * k], v[2 * k + 1]);
    BNN_UNROLL
    for (int h = 0; h < 8; h += 4) {
      BNN_UNROLL
      for (int k = 0; k < 2; k++) {
        v[h + k] = even_elements(w[h + 2 * k], w[h + 2 * k + 1]);
        v[h + 2 + k] = odd_elements(w[h + 2 * k], w[h + 2 * k + 1]);
      }
    }
    // v holds the remainders 0, 0, 2, 2, 1, 1, 3, 3 modulo 4.
    BNN_UNROLL
    for (int k = 0; k < 4; k++) {
      const int remainder = (k & 1) * 2 + (k >> 1);
      store(planes + remainder * plane + i, even_elements(v[2 * k], v[2 * k + 1]));
      store(planes + (remainder + 4) * plane + i, odd_elements(v[2 * k], v[2 * k + 1]));
    }
  }
}

// Where data and products lie.
struct StemPlaces {
  int64_t rows[2][kPoints], columns[2][kPoints];  // of a channel, by parity
  int64_t products[kPoints][kPoints];             // in front of those of a row point and a column point

  explicit StemPlaces(const StemInputJob& job) {
    for (int parity = 0; parity < 2; parity++) {
      for (int k = 0; k < kPoints; k++) {
        const int at = 2 * k + parity;
        rows[parity][k] = at % kPhases * kPhases * job.plane + at / kPhases * job.rowTiles;
        columns[parity][k] = at % kPhases * job.plane + at / kPhases;
      }
    }
    for (int r = 0; r < kPoints; r++) {
      for (int q = 0; q < kPoints; q++) products[r][q] = stem_products_before(job.channels, q, r);
    }
  }
};

// A channel of one parity of rows and columns, with 7 points of an even and 6 of an odd one.
static inline void input_channel(const StemInputJob& job, const StemPlaces& places, int64_t c, int rowParity, int columnParity,
                                 int lane) {
  const float* channel = job.planes + c * kPhases * kPhases * job.plane + lane;
  const int rows = kPoints - rowParity, columns = kPoints - columnParity;
  V points[kPoints][kPoints];
  for (int k = 0; k < columns; k++) {
    const float* from = channel + places.columns[columnParity][k];
    V d[kPoints], t[kPoints];
    BNN_UNROLL
    for (int r = 0; r < kPoints; r++) d[r] = r < rows ? load(from + places.rows[rowParity][r]) : zero();
    input_points(d, t);
    BNN_UNROLL
    for (int r = 0; r < kPoints; r++) points[r][k] = t[r];
  }
  if (columnParity == 1) {
    for (int r = 0; r < rows; r++) points[r][kPoints - 1] = zero();
  }
  const int64_t pitch = job.vectors * W;
  for (int r = 0; r < rows; r++) {
    V t[kPoints];
    input_points(points[r], t);
    float* to = job.spectrum + ((columnParity * stem_parities(r) + rowParity) * job.channels + c) * pitch + lane;
    BNN_UNROLL
    for (int q = 0; q < kPoints; q++) {
      if (q < columns) store(to + places.products[r][q] * pitch, t[q]);
    }
  }
}

static void input(const StemInputJob& job) {
  const StemPlaces places(job);
  for (int lane = 0; lane < job.vectors * W; lane += W) {
    for (int64_t c = 0; c < job.channels; c++) {
      for (int parity = 0; parity < 4; parity++) input_channel(job, places, c, parity >> 1, parity & 1, lane);
    }
  }
}

// Rows or columns of a tile for its own maxima and those of its neighbours.
static inline void maxima_of(const V (&z)[kTile], V (&to)[3]) {
  to[0] = larger(z[0], z[1]);
  to[1] = larger(larger(z[1], z[2]), z[3]);
  to[2] = z[3];
}

// The second side of Aᵀ m A, and what is kept of a tile.
static inline void write_maxima(const StemProductsJob& job, const V (&column)[kTile][kPoints], int output, int lane) {
  const V none = splat(-__builtin_inff()), rowsLeft = load(job.rowsLeft + lane), columnsLeft = load(job.columnsLeft + lane);
  V rows[3][kTile], z[kTile][kTile];
  BNN_UNROLL
  for (int i = 0; i < kTile; i++) {
    output_points(column[i], z[i]);
    const V left = select(rowsLeft > splat(static_cast<float>(i)), columnsLeft, zero());
    BNN_UNROLL
    for (int j = 0; j < kTile; j++) z[i][j] = select(left > splat(static_cast<float>(j)), z[i][j], none);
  }
  BNN_UNROLL
  for (int j = 0; j < kTile; j++) {
    const V down[kTile] = {z[0][j], z[1][j], z[2][j], z[3][j]};
    V to[3];
    maxima_of(down, to);
    BNN_UNROLL
    for (int i = 0; i < 3; i++) rows[i][j] = to[i];
  }
  float* maxima = job.maxima + output * kStemMaxima * job.plane + lane;
  BNN_UNROLL
  for (int i = 0; i < 3; i++) {
    V to[3];
    maxima_of(rows[i], to);
    BNN_UNROLL
    for (int j = 0; j < 3; j++) store(maxima + (3 * i + j) * job.plane, to[j]);
  }
}

// A part of the outputs, from `first` on: the columns of points by Aᵀ at once, then the rows.
template <int kCount>
static inline void products_of(const StemProductsJob& job, int first) {
  constexpr int kLanes = kCount * W;
  V column[kOutputs][kCount][kTile][kPoints];
  const float *data = job.spectrum, *weights = job.weights + first;
  for (int q = 0; q < kPoints; q++) {
    V m[kOutputs][kCount][kPoints];
    for (int r = 0; r < kPoints; r++) {
      V sum[kOutputs][kCount];
      BNN_UNROLL
      for (int o = 0; o < kOutputs; o++) {
        BNN_UNROLL
        for (int v = 0; v < kCount; v++) sum[o][v] = zero();
      }
      const int64_t count = stem_parities(q) * stem_parities(r) * job.channels;
      for (int64_t i = 0; i < count; i++, data = pinned(data + kLanes), weights = pinned(weights + kStemOutputs)) {
        V d[kCount];
        BNN_UNROLL
        for (int v = 0; v < kCount; v++) d[v] = load(data + v * W);
        BNN_UNROLL
        for (int o = 0; o < kOutputs; o++) {
          const V w = splat(weights[o]);
          BNN_UNROLL
          for (int v = 0; v < kCount; v++) sum[o][v] = d[v] * w + sum[o][v];
        }
      }
      BNN_UNROLL
      for (int o = 0; o < kOutputs; o++) {
        BNN_UNROLL
        for (int v = 0; v < kCount; v++) m[o][v][r] = sum[o][v];
      }
    }
    for (int o = 0; o < kOutputs; o++) {
      for (int v = 0; v < kCount; v++) {
        V y[kTile];
        output_points(m[o][v], y);
        BNN_UNROLL
        for (int i = 0; i < kTile; i++) column[o][v][i][q] = y[i];
      }
    }
  }
  for (int o = 0; o < kOutputs; o++) {
    for (int v = 0; v < kCount; v++) write_maxima(job, column[o][v], first + o, v * W);
  }
}

static void products(const StemProductsJob& job) {
  for (int first = 0; first < kStemOutputs; first += kOutputs) {
    if (job.vectors == kVectors) {
      products_of<kVectors>(job, first);
    } else {
      products_of<1>(job, first);
    }
  }
}

static void pool(const StemPoolJob& job) {
  const V sign = splat(job.sign), bias = splat(job.bias), scale = splat(job.scale), shift = splat(job.shift);
  const auto finish = [&](V z) {
    z = sign * z + bias;
    if (job.relu) z = relu(z);
    return job.isScaled ? z * scale + shift : z;
  };
  const auto write = [&](float* y, int64_t at, V left, V right) {
    const V pair[2] = {interleave_low(left, right), interleave_high(left, right)};
    for (int h = 0; h < 2; h++) {
      const int64_t count = job.columns - at - h * W;
      if (count >= W) {
        store(y + at + h * W, pair[h]);
      } else if (count > 0) {
        store_n(y + at + h * W, pair[h], static_cast<int>(count));
      }
    }
  };
  for (int64_t tile = 0; 2 * tile < job.columns; tile += W) {
    const float* from = job.maxima + tile;
    // Of the tile, and of the ones before it in the row, in the column, and in both.
    const auto own = [&](int i, int j) { return load(from + (3 * i + j) * job.plane); };
    const auto before = [&](int i) { return load(from + (3 * i + 2) * job.plane - 1); };
    const auto above = [&](int j) { return load(from + (6 + j) * job.plane - job.rowTiles); };
    const V corner = load(from + 8 * job.plane - job.rowTiles - 1);
    write(job.y, 2 * tile, finish(larger(larger(own(0, 0), before(0)), larger(above(0), corner))),
          finish(larger(own(0, 1), above(1))));
    if (job.rows > 1) write(job.y + job.columns, 2 * tile, finish(larger(own(1, 0), before(1))), finish(own(1, 1)));
  }
}

}  // namespace BNN_ISA

BNN_DEFINE_ROW(StemConvRow, stem_conv_row) = {BNN_ISA_NAME,   BNN_ISA::W,        BNN_ISA::kVectors, BNN_ISA::split,
                                              BNN_ISA::input, BNN_ISA::products, BNN_ISA::pool};

}  // namespace bnn
