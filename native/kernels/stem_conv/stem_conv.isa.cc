// The loops of stem_conv.h with tiles as lanes, for the instruction set of its compilation.
#include "kernels/stem_conv/stem_conv.h"
#include "simd/shuffle.h"
#include "simd/vec.h"

// Sums must stay in registers.
#define BNN_UNROLL _Pragma("GCC unroll 16")

namespace bnn {
namespace BNN_ISA {

constexpr int kOutputs = 4;
constexpr int kPhases = 8;
constexpr int kPoints = kStemPoints, kTile = kStemTile;

static inline V larger(V a, V b) { return select(a > b, a, b); }

// Bᵀ d; without ∞ there is neither d[6] nor t[6]. u is d times (x − ½).
template <bool kInfinity>
static inline void input_points(const V (&d)[kPoints], V (&t)[kPoints]) {
  const V half = splat(0.5f), two = splat(2.0f), four = splat(4.0f), five = splat(5.0f);
  V u[6];
  BNN_UNROLL
  for (int i = 0; i < (kInfinity ? 6 : 5); i++) u[i] = d[i + 1] - half * d[i];
  const V even1 = u[4] - four * u[2], odd1 = u[3] - four * u[1];
  const V even2 = u[4] - u[2], odd2 = u[3] - u[1];
  t[0] = four * u[0] + (u[4] - five * u[2]);
  t[1] = even1 + odd1;
  t[2] = even1 - odd1;
  t[3] = even2 + two * odd2;
  t[4] = even2 - two * odd2;
  t[5] = four * d[1] + (d[5] - five * d[3]);
  if (kInfinity) t[6] = four * u[1] + (u[5] - five * u[3]);
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

// A channel of one parity of rows and columns, whose products are at `spectrum` for the first column point and `next` floats further for each one more.
template <bool kRowInfinity, bool kColumnInfinity>
static inline void input_channel(const StemInputJob& job, const float* channel, int rowParity, int columnParity, float* spectrum,
                                 const int64_t* columns) {
  constexpr int kRows = kRowInfinity ? 7 : 6, kColumns = kColumnInfinity ? 7 : 6;
  V points[kRows][kPoints];
  for (int k = 0; k < kColumns; k++) {
    const int column = 2 * k + columnParity;
    V d[kPoints], t[kPoints];
    BNN_UNROLL
    for (int r = 0; r < kRows; r++) {
      const int row = 2 * r + rowParity;
      d[r] = load(channel + (row % kPhases * kPhases + column % kPhases) * job.plane + row / kPhases * job.rowTiles + column / kPhases);
    }
    input_points<kRowInfinity>(d, t);
    BNN_UNROLL
    for (int r = 0; r < kRows; r++) points[r][k] = t[r];
  }
  for (int r = 0; r < kRows; r++) {
    V t[kPoints];
    input_points<kColumnInfinity>(points[r], t);
    BNN_UNROLL
    for (int k = 0; k < kColumns; k++) store(spectrum + columns[k] + r * W, t[k]);
  }
}

static void input(const StemInputJob& job) {
  // Products of one parity of columns, for one column point.
  const int64_t half = job.channels * (7 + 6) * W;
  int64_t even[kPoints], odd[kPoints];
  for (int k = 0; k < kPoints; k++) {
    even[k] = k * 2 * half;
    odd[k] = even[k] + half;
  }
  for (int64_t c = 0; c < job.channels; c++) {
    const float* channel = job.planes + c * kPhases * kPhases * job.plane;
    float *to = job.spectrum + c * 7 * W, *toOdd = job.spectrum + (job.channels * 7 + c * 6) * W;
    input_channel<true, true>(job, channel, 0, 0, to, even);
    input_channel<true, false>(job, channel, 0, 1, to, odd);
    input_channel<false, true>(job, channel, 1, 0, toOdd, even);
    input_channel<false, false>(job, channel, 1, 1, toOdd, odd);
  }
}

// kRows points of one channel.
template <int kRows, int kCount>
static inline void add_products(const float*& data, const float*& weights, V (&sum)[kPoints][kCount]) {
  BNN_UNROLL
  for (int r = 0; r < kRows; r++) {
    const V d = load(data + r * W);
    BNN_UNROLL
    for (int o = 0; o < kCount; o++) sum[r][o] = d * splat(weights[r * kOutputs + o]) + sum[r][o];
  }
  data += kRows * W;
  weights += kRows * kOutputs;
}

// Rows or columns of a tile for its own maxima and those of its neighbours.
static inline void maxima_of(const V (&z)[kTile], V (&to)[3]) {
  to[0] = larger(z[0], z[1]);
  to[1] = larger(larger(z[1], z[2]), z[3]);
  to[2] = z[3];
}

template <int kCount>
static inline void products_of(const StemProductsJob& job, int first) {
  V column[kCount][kTile][kPoints];
  const float *data = job.spectrum, *weights = job.weights + first;
  for (int q = 0; q < kPoints; q++) {
    V sum[kPoints][kCount];
    BNN_UNROLL
    for (int r = 0; r < kPoints; r++) {
      BNN_UNROLL
      for (int o = 0; o < kCount; o++) sum[r][o] = zero();
    }
    for (int parity = 0; parity < (q < 6 ? 2 : 1); parity++) {
      for (int64_t c = 0; c < job.channels; c++) add_products<7, kCount>(data, weights, sum);
      for (int64_t c = 0; c < job.channels; c++) add_products<6, kCount>(data, weights, sum);
    }
    BNN_UNROLL
    for (int o = 0; o < kCount; o++) {
      V m[kPoints], y[kTile];
      BNN_UNROLL
      for (int r = 0; r < kPoints; r++) m[r] = sum[r][o];
      output_points(m, y);
      BNN_UNROLL
      for (int i = 0; i < kTile; i++) column[o][i][q] = y[i];
    }
  }
  const V none = splat(-__builtin_inff()), rowsLeft = load(job.rowsLeft), columnsLeft = load(job.columnsLeft);
  for (int o = 0; o < kCount; o++) {
    V rows[3][kTile], z[kTile][kTile];
    BNN_UNROLL
    for (int i = 0; i < kTile; i++) {
      output_points(column[o][i], z[i]);
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
    float* maxima = job.maxima + (first + o) * kStemMaxima * job.plane;
    BNN_UNROLL
    for (int i = 0; i < 3; i++) {
      V to[3];
      maxima_of(rows[i], to);
      BNN_UNROLL
      for (int j = 0; j < 3; j++) store(maxima + (3 * i + j) * job.plane, to[j]);
    }
  }
}

static void products(const StemProductsJob& job) {
  constexpr int kCount = kRegisters >= 32 ? 4 : 2;
  for (int o = 0; o < kOutputs; o += kCount) products_of<kCount>(job, o);
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

BNN_DEFINE_ROW(StemConvRow, stem_conv_row) = {BNN_ISA_NAME, BNN_ISA::W, BNN_ISA::split, BNN_ISA::input, BNN_ISA::products,
                                              BNN_ISA::pool};

}  // namespace bnn
