// The transforms of Winograd's filtering with tiles as lanes, for the instruction set of its compilation.
#include "kernels/binary_weight/winograd.h"
#include "simd/shuffle.h"
#include "simd/winograd.h"

namespace bnn {
namespace BNN_ISA {

// The columns of tiles, two apart: those that two neighbouring tiles share are stored for both. Vectors that overhang a run are overwritten by
// the next one.
static inline void split_columns(const float* row, int lane, int tiles, float* columns) {
  for (int t = 0; t < tiles; t += W, row += 2 * W) {
    float* to = columns + lane + t;
    const V a = load(row), b = load(row + W), c = load(row + 2), d = load(row + W + 2);
    store(to, even_elements(a, b));
    store(to + kLanesPitch, odd_elements(a, b));
    store(to + 2 * kLanesPitch, even_elements(c, d));
    store(to + 3 * kLanesPitch, odd_elements(c, d));
  }
}

static void winograd_input(const float* channel, int64_t rowPitch, const TileRun* runs, int runCount, int width, float* columns,
                           float* spectrum, int64_t plane) {
  for (int i = 0; i < runCount; i++) {
    const float* window = channel + runs[i].source;
    for (int r = 0; r < 4; r++) split_columns(window + r * rowPitch, runs[i].lane, runs[i].tiles, columns + 4 * r * kLanesPitch);
  }
  for (int lane = 0; lane < width; lane += W) {
    V column[4][4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
      const float* from = columns + q * kLanesPitch + lane;
      winograd::input(load(from), load(from + 4 * kLanesPitch), load(from + 8 * kLanesPitch), load(from + 12 * kLanesPitch),
                      column[q]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      V row[4];
      winograd::input(column[0][r], column[1][r], column[2][r], column[3][r], row);
#pragma GCC unroll 4
      for (int q = 0; q < 4; q++) store(spectrum + (4 * r + q) * plane + lane, row[q]);
    }
  }
}

static bool winograd_output(const float* spectrum, int64_t plane, const TileRun* runs, int runCount, int64_t rowPitch, bool relu,
                            float scale, float bias, const float* residual, float* y) {
  const V s = splat(scale), b = splat(bias);
  M lanes{}, odd{};
  for (int i = 0; i < W; i++) lanes[i] = i;
  const auto finish = [&](V sum, int64_t at, int count) {
    odd |= (sum - sum != zero()) & (lanes < count);
    if (relu) sum = bnn::BNN_ISA::relu(sum);
    V value = s * sum + b;
    if (count >= W) {
      store(y + at, residual != nullptr ? value + load(residual + at) : value);
    } else if (count > 0) {
      store_n(y + at, residual != nullptr ? value + load_n(residual + at, count) : value, count);
    }
  };
  for (int i = 0; i < runCount; i++) {
    const TileRun run = runs[i];
    for (int tile = 0; tile < run.tiles; tile += W) {
      const float* from = spectrum + run.lane + tile;
      V column[4][2];
#pragma GCC unroll 4
      for (int q = 0; q < 4; q++) {
        winograd::output(load(from + q * plane), load(from + (4 + q) * plane), load(from + (8 + q) * plane),
                         load(from + (12 + q) * plane), column[q]);
      }
      const int left = run.columns - 2 * tile;
#pragma GCC unroll 2
      for (int r = 0; r < 2; r++) {
        if (r == run.rows) break;
        V pair[2];
        winograd::output(column[0][r], column[1][r], column[2][r], column[3][r], pair);
        const int64_t at = run.target + r * rowPitch + 2 * tile;
        finish(interleave_low(pair[0], pair[1]), at, left);
        finish(interleave_high(pair[0], pair[1]), at + W, left - W);
      }
    }
  }
  int32_t any = 0;
  for (int i = 0; i < W; i++) any |= odd[i];
  return any == 0;
}

static void widen(const int8_t* from, int64_t count, const int8_t* next, float* to) {
  for (int64_t i = 0; i < count; i += 64) __builtin_prefetch(next + i);
  for (int64_t i = 0; i < count; i++) to[i] = static_cast<float>(from[i]);
}

}  // namespace BNN_ISA

BNN_DEFINE_ROW(WinogradTileRow, winograd_tile_row) = {BNN_ISA::winograd_input, BNN_ISA::winograd_output, BNN_ISA::widen};

}  // namespace bnn
