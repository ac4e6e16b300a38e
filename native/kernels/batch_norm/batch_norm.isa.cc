#include "kernels/batch_norm/batch_norm.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

// Rows per block: sums inside a block are float, so the rounding error of a sum is that of about this many terms.
constexpr int64_t kBlockRows = 64;

// Vector j of a row, whole or partial: a template so that the whole case has no test inside the loops.
template <bool kPartial>
inline V get(const float* p, int n) {
  return kPartial ? load_n(p, n) : load(p);
}
template <bool kPartial>
inline void put(float* p, V v, int n) {
  if (kPartial) {
    store_n(p, v, n);
  } else {
    store(p, v);
  }
}

inline void add_to(double* to, V v, int n) {
  for (int i = 0; i < n; i++) to[i] += static_cast<double>(v[i]);
}

// Runs column(first channel, vectors, partial count) over all channels: groups of four vectors, then single ones, then the tail.
template <typename Column>
inline void for_columns(int64_t channels, Column&& column) {
  int64_t c = 0;
  for (; c + 4 * W <= channels; c += 4 * W) column.template run<4, 1, false>(c, W);
  for (; c + W <= channels; c += W) column.template run<1, 4, false>(c, W);
  if (c < channels) column.template run<1, 4, true>(c, static_cast<int>(channels - c));
}

// Sums two per-element terms over the rows of each column: N vectors wide, R rows at a time to hide the latency of the additions.
// Terms: prepare<N>(channel, n) returns the per-channel constants, terms(constants, j, row pointer offset) the two summands.
template <typename Terms>
struct SumColumns {
  const Terms& terms;
  int64_t rows, channels;
  double *first, *second;

  template <int N, int R, bool kPartial>
  void run(int64_t c, int n) const {
    typename Terms::template Constants<N, kPartial> constants(terms, c, n);
    for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
      const int64_t end = begin + kBlockRows < rows ? begin + kBlockRows : rows;
      V a[R][N], b[R][N];
      for (int r = 0; r < R; r++) {
        for (int j = 0; j < N; j++) a[r][j] = b[r][j] = zero();
      }
      int64_t i = begin;
      for (; i + R <= end; i += R) {
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
          for (int j = 0; j < N; j++) constants.add((i + r) * channels + c + j * W, j, a[r][j], b[r][j]);
        }
      }
      for (; i < end; i++) {
        for (int j = 0; j < N; j++) constants.add(i * channels + c + j * W, j, a[0][j], b[0][j]);
      }
      for (int j = 0; j < N; j++) {
        V sum_a = a[0][j], sum_b = b[0][j];
        for (int r = 1; r < R; r++) {
          sum_a += a[r][j];
          sum_b += b[r][j];
        }
        add_to(first + c + j * W, sum_a, n);
        if (second != nullptr) add_to(second + c + j * W, sum_b, n);
      }
    }
  }
};

struct PlainTerms {
  const float* x;
  template <int N, bool kPartial>
  struct Constants {
    const float* x;
    int n;
    Constants(const PlainTerms& t, int64_t, int n) : x(t.x), n(n) {}
    inline void add(int64_t at, int, V& a, V&) const { a += get<kPartial>(x + at, n); }
  };
};

template <bool kRelu>
struct StatisticsTerms {
  const float *x, *scale, *shift;
  template <int N, bool kPartial>
  struct Constants {
    const float* x;
    int n;
    V scale[N], shift[N];
    Constants(const StatisticsTerms& t, int64_t c, int n) : x(t.x), n(n) {
      for (int j = 0; j < N; j++) {
        scale[j] = get<kPartial>(t.scale + c + j * W, n);
        shift[j] = get<kPartial>(t.shift + c + j * W, n);
      }
    }
    inline void add(int64_t at, int j, V& a, V& b) const {
      const V z = scale[j] * get<kPartial>(x + at, n);
      const V r = (kRelu ? relu(z) : z) - shift[j];
      a += r;
      b += r * r;
    }
  };
};

template <bool kRelu>
struct GradTerms {
  const float *x, *dy, *scale, *mean;
  template <int N, bool kPartial>
  struct Constants {
    const float *x, *dy;
    int n;
    V scale[N], mean[N];
    Constants(const GradTerms& t, int64_t c, int n) : x(t.x), dy(t.dy), n(n) {
      for (int j = 0; j < N; j++) {
        scale[j] = get<kPartial>(t.scale + c + j * W, n);
        mean[j] = get<kPartial>(t.mean + c + j * W, n);
      }
    }
    inline void add(int64_t at, int j, V& a, V& b) const {
      const V z = scale[j] * get<kPartial>(x + at, n);
      const V d = get<kPartial>(dy + at, n);
      a += d;
      b += d * ((kRelu ? relu(z) : z) - mean[j]);
    }
  };
};

template <typename Terms>
void sum_terms(const Terms& terms, int64_t rows, int64_t channels, double* first, double* second) {
  // Blocks of rows outside, columns inside: a block is read from memory once.
  for_columns(channels, SumColumns<Terms>{terms, rows, channels, first, second});
}

void sums(const float* x, int64_t rows, int64_t channels, double* sum) { sum_terms(PlainTerms{x}, rows, channels, sum, nullptr); }

void statistics(const float* x, int64_t rows, int64_t channels, const float* scale, const float* shift, bool relu, double* sum,
                double* squares) {
  if (relu) {
    sum_terms(StatisticsTerms<true>{x, scale, shift}, rows, channels, sum, squares);
  } else {
    sum_terms(StatisticsTerms<false>{x, scale, shift}, rows, channels, sum, squares);
  }
}

void grad_sums(const float* x, const float* dy, int64_t rows, int64_t channels, const float* scale, const float* mean, bool relu,
               double* sum, double* products) {
  if (relu) {
    sum_terms(GradTerms<true>{x, dy, scale, mean}, rows, channels, sum, products);
  } else {
    sum_terms(GradTerms<false>{x, dy, scale, mean}, rows, channels, sum, products);
  }
}

template <bool kRelu, bool kResidual>
struct NormalizeColumns {
  const float *x, *residual;
  float* y;
  int64_t rows, channels;
  const NormalizeArgs& args;

  template <int N, int R, bool kPartial>
  void run(int64_t c, int n) const {
    V scale[N], mean[N], factor[N], offset[N];
    for (int j = 0; j < N; j++) {
      scale[j] = get<kPartial>(args.scale + c + j * W, n);
      mean[j] = get<kPartial>(args.mean + c + j * W, n);
      factor[j] = get<kPartial>(args.factor + c + j * W, n);
      offset[j] = get<kPartial>(args.offset + c + j * W, n);
    }
    for (int64_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) {
        const int64_t at = i * channels + c + j * W;
        const V z = scale[j] * get<kPartial>(x + at, n);
        V normalized = ((kRelu ? relu(z) : z) - mean[j]) * factor[j] + offset[j];
        if (kResidual) normalized += get<kPartial>(residual + at, n);
        put<kPartial>(y + at, normalized, n);
      }
    }
  }
};

void normalize(const float* x, int64_t rows, int64_t channels, const NormalizeArgs& args, bool relu, const float* residual, float* y) {
  if (relu && residual != nullptr) {
    for_columns(channels, NormalizeColumns<true, true>{x, residual, y, rows, channels, args});
  } else if (relu) {
    for_columns(channels, NormalizeColumns<true, false>{x, residual, y, rows, channels, args});
  } else if (residual != nullptr) {
    for_columns(channels, NormalizeColumns<false, true>{x, residual, y, rows, channels, args});
  } else {
    for_columns(channels, NormalizeColumns<false, false>{x, residual, y, rows, channels, args});
  }
}

template <bool kRelu, bool kScaleGrad>
struct GradColumns {
  const float *x, *dy;
  float* dx;
  double* dscale;
  int64_t rows, channels;
  const GradArgs& args;

  template <int N, int R, bool kPartial>
  void run(int64_t c, int n) const {
    V scale[N], mean[N], a[N], b[N], d[N], sum[N];
    for (int j = 0; j < N; j++) {
      const int64_t at = c + j * W;
      scale[j] = get<kPartial>(args.scale + at, n);
      mean[j] = get<kPartial>(args.mean + at, n);
      a[j] = get<kPartial>(args.a + at, n);
      b[j] = get<kPartial>(args.b + at, n);
      d[j] = get<kPartial>(args.d + at, n);
      sum[j] = zero();
    }
    for (int64_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) {
        const int64_t at = i * channels + c + j * W;
        const V v = get<kPartial>(x + at, n);
        const V z = scale[j] * v;
        const V r = (kRelu ? relu(z) : z) - mean[j];
        V dz = a[j] * get<kPartial>(dy + at, n) + (d[j] * r + b[j]);
        // relu'(NaN) is taken as 1, so that NaN is passed on.
        if (kRelu) dz = select(z <= zero(), zero(), dz);
        if (kScaleGrad) sum[j] += dz * v;
        put<kPartial>(dx + at, scale[j] * dz, n);
      }
      if (kScaleGrad && (i + 1) % kBlockRows == 0) flush<N>(c, n, sum);
    }
    if (kScaleGrad) flush<N>(c, n, sum);
  }

  template <int N>
  void flush(int64_t c, int n, V (&sum)[N]) const {
    for (int j = 0; j < N; j++) {
      add_to(dscale + c + j * W, sum[j], n);
      sum[j] = zero();
    }
  }
};

void grad(const float* x, const float* dy, int64_t rows, int64_t channels, const GradArgs& args, bool relu, float* dx,
          double* dscale) {
  if (relu && dscale != nullptr) {
    for_columns(channels, GradColumns<true, true>{x, dy, dx, dscale, rows, channels, args});
  } else if (relu) {
    for_columns(channels, GradColumns<true, false>{x, dy, dx, dscale, rows, channels, args});
  } else if (dscale != nullptr) {
    for_columns(channels, GradColumns<false, true>{x, dy, dx, dscale, rows, channels, args});
  } else {
    for_columns(channels, GradColumns<false, false>{x, dy, dx, dscale, rows, channels, args});
  }
}

constexpr BatchNormRow kRow = {sums, statistics, normalize, grad_sums, grad};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(BatchNormRow, batch_norm_row) = BNN_ISA::kRow;

}  // namespace bnn
