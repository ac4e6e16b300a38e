// Operators between the layers, on planes f32[planes][height][width] or rows of floats; plain loops, which the compiler vectorizes.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "memory/scratch_pool.h"
#include "threading/thread_pool.h"
#include "wasm/export.h"

namespace bnn {
namespace {

// Floats that are worth another thread.
constexpr int64_t kGrain = 16384;

// i32[10]: height, width, window height and width, strides, pads (top, left), output height and width.
struct Window {
  int64_t height, width, windowHeight, windowWidth, strideHeight, strideWidth, top, left, outHeight, outWidth;
};

Window read_window(const int32_t* w) { return {w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]}; }

template <typename Body>
void each_plane(int64_t planes, int64_t floats, const Body& body) {
  parallel_for(planes, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, floats)), [&](int, int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; p++) body(p);
  });
}

// The same with a row of floats to work with.
template <typename Body>
void each_plane_with_row(int64_t planes, int64_t floats, int64_t width, const Body& body) {
  parallel_for(planes, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, floats)), [&](int, int64_t begin, int64_t end) {
    Scratch row(static_cast<size_t>(width + 16) * 4);
    for (int64_t p = begin; p < end; p++) body(p, row.as<float>());
  });
}

// Outputs [first, last) of one axis.
struct Span {
  int64_t first, last;
};

// The outputs whose window reads column `offset` + j · stride inside [0, size).
Span outputs_of(int64_t offset, int64_t stride, int64_t size, int64_t outputs) {
  const int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
  const int64_t room = size - 1 - offset;
  return {first, room < 0 ? 0 : std::min(outputs, room / stride + 1)};
}

// NaN anywhere in a window gives NaN.
inline float larger(float a, float b) { return a >= b || a != a ? a : b; }

// First the rows of a window, element by element of a whole row, then its columns.
template <bool kMax>
void pool_plane(const Window& w, const float* x, float* y, float* rows) {
  const auto join = [](float a, float b) { return kMax ? larger(a, b) : a + b; };
  constexpr float kStart = kMax ? -std::numeric_limits<float>::infinity() : 0.0f;
  for (int64_t i = 0; i < w.outHeight; i++) {
    const int64_t top = i * w.strideHeight - w.top;
    const int64_t begin = std::max<int64_t>(top, 0), end = std::min(top + w.windowHeight, w.height);
    const float* joined = x + begin * w.width;
    if (end - begin > 1) {
      const float* second = joined + w.width;
      for (int64_t k = 0; k < w.width; k++) rows[k] = join(joined[k], second[k]);
      for (int64_t r = begin + 2; r < end; r++) {
        const float* from = x + r * w.width;
        for (int64_t k = 0; k < w.width; k++) rows[k] = join(rows[k], from[k]);
      }
      joined = rows;
    } else if (end <= begin) {
      std::fill(rows, rows + w.width, kStart);
      joined = rows;
    }
    float* out = y + i * w.outWidth;
    std::fill(out, out + w.outWidth, kStart);
    for (int64_t c = 0; c < w.windowWidth; c++) {
      const Span span = outputs_of(c - w.left, w.strideWidth, w.width, w.outWidth);
      const float* from = joined + c - w.left;
      for (int64_t j = span.first; j < span.last; j++) out[j] = join(out[j], from[j * w.strideWidth]);
    }
  }
}

// Elements of a window of one axis that lie inside.
int64_t inside(int64_t begin, int64_t window, int64_t size) { return std::min(begin + window, size) - std::max<int64_t>(begin, 0); }

template <typename Combine>
void combine(const float* a, const float* b, int64_t count, float* y, const Combine& f) {
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) y[i] = f(a[i], b[i]);
  });
}

}  // namespace
}  // namespace bnn

using namespace bnn;

BNN_EXPORT("maxPool") void bnn_max_pool(const int32_t* window, int planes, const float* x, float* y) {
  const Window w = read_window(window);
  each_plane_with_row(planes, w.height * w.width, w.width, [&](int64_t p, float* row) {
    pool_plane<true>(w, x + p * w.height * w.width, y + p * w.outHeight * w.outWidth, row);
  });
}

// countPadding: whether the divisor counts elements of the padding (which has i32[2] bottom and right in pads).
BNN_EXPORT("averagePool")
void bnn_average_pool(const int32_t* window, const int32_t* pads, int countPadding, int planes, const float* x, float* y) {
  const Window w = read_window(window);
  each_plane_with_row(planes, w.height * w.width, w.width, [&](int64_t p, float* row) {
    float* plane = y + p * w.outHeight * w.outWidth;
    pool_plane<false>(w, x + p * w.height * w.width, plane, row);
    if (w.windowHeight * w.windowWidth == 1) return;
    for (int64_t i = 0; i < w.outHeight; i++) {
      for (int64_t j = 0; j < w.outWidth; j++) {
        const int64_t top = i * w.strideHeight - w.top, left = j * w.strideWidth - w.left;
        const int64_t rows =
            countPadding ? std::min(top + w.windowHeight, w.height + pads[0]) - top : inside(top, w.windowHeight, w.height);
        const int64_t columns =
            countPadding ? std::min(left + w.windowWidth, w.width + pads[1]) - left : inside(left, w.windowWidth, w.width);
        plane[i * w.outWidth + j] /= static_cast<float>(rows * columns);
      }
    }
  });
}

// y[p] = the mean of a plane.
BNN_EXPORT("planeMean") void bnn_plane_mean(const float* x, int planes, int size, float* y) {
  each_plane(planes, size, [&](int64_t p) {
    const float* plane = x + p * size;
    float sums[8] = {};
    int64_t i = 0;
    for (; i + 8 <= size; i += 8) {
      for (int k = 0; k < 8; k++) sums[k] += plane[i + k];
    }
    float sum = 0.0f;
    for (; i < size; i++) sum += plane[i];
    for (const float part : sums) sum += part;
    y[p] = sum / static_cast<float>(size);
  });
}

// y = x · scale[c] + bias[c], c = plane mod channels.
BNN_EXPORT("planeAffine")
void bnn_plane_affine(const float* x, int planes, int size, int channels, const float* scale, const float* bias, float* y) {
  each_plane(planes, size, [&](int64_t p) {
    const float s = scale[p % channels], b = bias[p % channels];
    for (int64_t i = p * size; i < (p + 1) * size; i++) y[i] = x[i] * s + b;
  });
}

// y = x < 0 ? slope[c] · x : x, c = plane mod channels.
BNN_EXPORT("planeSlope")
void bnn_plane_slope(const float* x, int planes, int size, int channels, const float* slope, float* y) {
  each_plane(planes, size, [&](int64_t p) {
    const float s = slope[p % channels];
    for (int64_t i = p * size; i < (p + 1) * size; i++) y[i] = x[i] < 0.0f ? s * x[i] : x[i];
  });
}

BNN_EXPORT("relu") void bnn_relu(const float* x, int count, float* y) {
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) y[i] = x[i] <= 0.0f ? 0.0f : x[i];
  });
}

BNN_EXPORT("clip") void bnn_clip(const float* x, int count, float least, float most, float* y) {
  parallel_for(count, kGrain, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const float raised = x[i] < least ? least : x[i];
      y[i] = raised > most ? most : raised;
    }
  });
}

// Of equal shapes: 0 add, 1 subtract, 2 multiply, 3 divide.
BNN_EXPORT("combine") void bnn_combine(int which, const float* a, const float* b, int count, float* y) {
  switch (which) {
    case 0: return combine(a, b, count, y, [](float p, float q) { return p + q; });
    case 1: return combine(a, b, count, y, [](float p, float q) { return p - q; });
    case 2: return combine(a, b, count, y, [](float p, float q) { return p * q; });
    default: return combine(a, b, count, y, [](float p, float q) { return p / q; });
  }
}
