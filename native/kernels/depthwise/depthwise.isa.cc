// Register tiles of the depthwise convolution, for any vector width. See depthwise.h for what is computed.
//
// Loops over registers are unrolled by request: the compiler keeps an array that it indexes in memory.
//
// Run: P pixels by N vectors of channels stay in registers over all taps, so weights are loaded once for P pixels. Sums: up to 12
// taps by N vectors stay in registers over all pixels of the chunk.
#include "kernels/depthwise/depthwise.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

constexpr int kPixels = kRegisters == 32 ? 6 : 4;
constexpr int kVectors = 2;
constexpr int kTaps = 12;
constexpr int kSumVectors = kRegisters == 32 ? 2 : 1;

template <bool kTail>
inline V load_some(const float* p, int n) {
  return kTail ? load_n(p, n) : load(p);
}

// Channels c … c + N·W; with kTail N is 1 and only `n` channels exist.
template <int P, int N, bool kTail>
inline void run_tile(const DepthwiseRun& r, const float* in, float* out, int64_t c, int n) {
  V sum[P][N];
#pragma GCC unroll 6
  for (int p = 0; p < P; p++) {
#pragma GCC unroll 2
    for (int j = 0; j < N; j++) sum[p][j] = zero();
  }
  for (int64_t t = 0; t < r.tap_count; t++) {
    const float* from = in + r.taps[t].input + c;
    const float* weights = r.filter + r.taps[t].filter + c;
    V w[N];
#pragma GCC unroll 2
    for (int j = 0; j < N; j++) w[j] = load_some<kTail>(weights + j * W, n);
#pragma GCC unroll 6
    for (int p = 0; p < P; p++) {
#pragma GCC unroll 2
      for (int j = 0; j < N; j++) sum[p][j] += load_some<kTail>(from + p * r.in_stride + j * W, n) * w[j];
    }
  }
#pragma GCC unroll 6
  for (int p = 0; p < P; p++) {
#pragma GCC unroll 2
    for (int j = 0; j < N; j++) {
      float* to = out + p * r.out_stride + c + j * W;
      if (kTail) {
        store_n(to, sum[p][j], n);
      } else {
        store(to, sum[p][j]);
      }
    }
  }
}

template <int P>
void run_pixels(const DepthwiseRun& r, const float* in, float* out) {
  int64_t c = 0;
  for (; c + kVectors * W <= r.channels; c += kVectors * W) run_tile<P, kVectors, false>(r, in, out, c, W);
  if (c + W <= r.channels) {
    run_tile<P, 1, false>(r, in, out, c, W);
    c += W;
  }
  if (c < r.channels) run_tile<P, 1, true>(r, in, out, c, static_cast<int>(r.channels - c));
}

using RunPixels = void (*)(const DepthwiseRun&, const float*, float*);
constexpr RunPixels kRunPixels[7] = {nullptr,       run_pixels<1>, run_pixels<2>, run_pixels<3>,
                                     run_pixels<4>, run_pixels<5>, run_pixels<6>};

void run(const DepthwiseRun& r) {
  // Tiles of nearly equal size: 14 pixels are 4 + 5 + 5, not 6 + 6 + 2.
  const int64_t tiles = (r.width + kPixels - 1) / kPixels;
  int64_t done = 0;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t end = r.width * (t + 1) / tiles;
    kRunPixels[end - done](r, r.in + done * r.in_stride, r.out + done * r.out_stride);
    done = end;
  }
}

template <int T, int N, bool kTail>
void sums_tile(const DepthwiseSums& s, const DepthwiseTap* taps, int64_t c, int n) {
  V sum[T][N];
  int64_t at[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; t++) {
    at[t] = taps[t].input + c;
#pragma GCC unroll 2
    for (int j = 0; j < N; j++) sum[t][j] = zero();
  }
  for (int64_t r = 0; r < s.row_count; r++) {
    const float* x = s.rows[r].x;
    const float* dy = s.rows[r].dy + c;
    for (int64_t i = 0; i < s.rows[r].width; i++) {
      V d[N];
#pragma GCC unroll 2
      for (int j = 0; j < N; j++) d[j] = load_some<kTail>(dy + j * W, n);
#pragma GCC unroll 12
      for (int t = 0; t < T; t++) {
#pragma GCC unroll 2
        for (int j = 0; j < N; j++) sum[t][j] += load_some<kTail>(x + at[t] + j * W, n) * d[j];
      }
      x += s.x_stride;
      dy += s.dy_stride;
    }
  }
#pragma GCC unroll 12
  for (int t = 0; t < T; t++) {
#pragma GCC unroll 2
    for (int j = 0; j < N; j++) {
      float* to = s.sums + taps[t].filter + c + j * W;
      if (kTail) {
        store_n(to, load_n(to, n) + sum[t][j], n);
      } else {
        store(to, load(to) + sum[t][j]);
      }
    }
  }
}

template <int T>
void sums_taps(const DepthwiseSums& s, const DepthwiseTap* taps) {
  int64_t c = 0;
  for (; c + kSumVectors * W <= s.channels; c += kSumVectors * W) sums_tile<T, kSumVectors, false>(s, taps, c, W);
  if (c + W <= s.channels) {
    sums_tile<T, 1, false>(s, taps, c, W);
    c += W;
  }
  if (c < s.channels) sums_tile<T, 1, true>(s, taps, c, static_cast<int>(s.channels - c));
}

using SumsTaps = void (*)(const DepthwiseSums&, const DepthwiseTap*);
constexpr SumsTaps kSumsTaps[kTaps + 1] = {nullptr,       sums_taps<1>,  sums_taps<2>, sums_taps<3>, sums_taps<4>,
                                           sums_taps<5>,  sums_taps<6>,  sums_taps<7>, sums_taps<8>, sums_taps<9>,
                                           sums_taps<10>, sums_taps<11>, sums_taps<12>};

void sums(const DepthwiseSums& s) {
  const int64_t groups = (s.tap_count + kTaps - 1) / kTaps;
  int64_t done = 0;
  for (int64_t g = 0; g < groups; g++) {
    const int64_t end = s.tap_count * (g + 1) / groups;
    kSumsTaps[end - done](s, s.taps + done);
    done = end;
  }
}

constexpr DepthwiseRow kRow = {run, sums};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(DepthwiseRow, depthwise_row) = BNN_ISA::kRow;

}  // namespace bnn
