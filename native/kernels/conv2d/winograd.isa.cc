// The transforms of Winograd's filtering, for any vector width. See winograd.h for what is computed.
#include "kernels/conv2d/winograd.h"
#include "kernels/conv2d/winograd_tiles.inl.h"

namespace bnn {
namespace BNN_ISA {
namespace {

void input(const float* d, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride) {
  int64_t c = 0;
  for (; c + W <= channels; c += W) input_channels<true>(d + c, pitch, tiles, channels, W, spectrum + c, plane, stride, store_some);
  if (c < channels) {
    input_channels<false>(d + c, pitch, tiles, channels, static_cast<int>(channels - c), spectrum + c, plane, stride, store_some);
  }
}

void output_grad(const float* dy, int64_t pitch, int64_t tiles, int64_t channels, float* spectrum, int64_t plane, int64_t stride) {
  for (int64_t c = 0; c < stride; c += W) {
    const int n = channels - c < W ? static_cast<int>(channels - c) : W;
    const float* from = dy + c;
    float* to = spectrum + c;
    for (int64_t t = 0; t < tiles; t++) {
      V rows[4][4];
      output_grad_tile(from, pitch, channels, n, rows);
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) store(to + (4 * r + q) * plane, rows[r][q]);
      }
      from += 2 * channels;
      to += stride;
    }
  }
}

// A vector of channels, or the last `count`.
template <bool kWhole>
void output_channels(const float* from, int64_t plane, int64_t channels, int count, float* to, int64_t row_stride,
                     int64_t pixel_stride, int64_t height, int64_t width) {
  const int n = kWhole ? W : count;
  for (int64_t x = 0; x < width; x += 2) {
    V column[4][2];
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
      winograd::output(load_some(from + q * plane, n), load_some(from + (4 + q) * plane, n), load_some(from + (8 + q) * plane, n),
                       load_some(from + (12 + q) * plane, n), column[q]);
    }
    V top[2], bottom[2];
    winograd::output(column[0][0], column[1][0], column[2][0], column[3][0], top);
    winograd::output(column[0][1], column[1][1], column[2][1], column[3][1], bottom);
    const bool has_right = x + 1 < width;
    store_some(to, top[0], n);
    if (has_right) store_some(to + pixel_stride, top[1], n);
    if (height == 2) {
      store_some(to + row_stride, bottom[0], n);
      if (has_right) store_some(to + row_stride + pixel_stride, bottom[1], n);
    }
    from += channels;
    to += 2 * pixel_stride;
  }
}

void output(const float* spectrum, int64_t plane, int64_t channels, float* y, int64_t row_stride, int64_t pixel_stride, int64_t height,
            int64_t width) {
  int64_t c = 0;
  for (; c + W <= channels; c += W) {
    output_channels<true>(spectrum + c, plane, channels, W, y + c, row_stride, pixel_stride, height, width);
  }
  if (c < channels) {
    output_channels<false>(spectrum + c, plane, channels, static_cast<int>(channels - c), y + c, row_stride, pixel_stride, height,
                           width);
  }
}

void filter(const float* taps, int64_t count, float* spectrum, int64_t plane) {
  for (int64_t i = 0; i < count; i += W) {
    V column[3][4];
#pragma GCC unroll 3
    for (int q = 0; q < 3; q++) {
      winograd::filter(load(taps + q * count + i), load(taps + (3 + q) * count + i), load(taps + (6 + q) * count + i), column[q]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      V row[4];
      winograd::filter(column[0][r], column[1][r], column[2][r], row);
#pragma GCC unroll 4
      for (int q = 0; q < 4; q++) store(spectrum + (4 * r + q) * plane + i, row[q]);
    }
  }
}

void filter_grad(const float* spectrum, int64_t plane, int64_t count, float* taps, int64_t tap_stride) {
  for (int64_t i = 0; i < count; i += W) {
    const int n = count - i < W ? static_cast<int>(count - i) : W;
    V column[4][3];
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
      const float* from = spectrum + q * plane + i;
      winograd::filter_grad(load_some(from, n), load_some(from + 4 * plane, n), load_some(from + 8 * plane, n),
                            load_some(from + 12 * plane, n), column[q]);
    }
#pragma GCC unroll 3
    for (int r = 0; r < 3; r++) {
      V row[3];
      winograd::filter_grad(column[0][r], column[1][r], column[2][r], column[3][r], row);
#pragma GCC unroll 3
      for (int q = 0; q < 3; q++) store_some(taps + (3 * r + q) * tap_stride + i, row[q], n);
    }
  }
}

constexpr WinogradRow kWinogradRow = {input, output_grad, output, filter, filter_grad};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(WinogradRow, winograd_row) = BNN_ISA::kWinogradRow;

}  // namespace bnn
