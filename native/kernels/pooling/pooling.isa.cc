#include "kernels/pooling/pooling.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

// Input rows [top, bottom) and columns [left, right) of the window of one output pixel, clipped to the input.
struct Window {
  int64_t top, bottom, left, right;
};

inline int64_t clip(int64_t value, int64_t high) { return value < 0 ? 0 : value > high ? high : value; }

inline Window window_of(const PoolShape& s, int64_t p, int64_t q) {
  const int64_t top = p * s.stride_height - s.pad_top;
  const int64_t left = q * s.stride_width - s.pad_left;
  return {clip(top, s.in_height), clip(top + s.window_height, s.in_height), clip(left, s.in_width),
          clip(left + s.window_width, s.in_width)};
}

inline V get(const float* p, int n) { return n == W ? load(p) : load_n(p, n); }
inline void put(float* p, V v, int n) {
  if (n == W) {
    store(p, v);
  } else {
    store_n(p, v, n);
  }
}

// Calls body(window, output offset, input image offset, channel, channels of the vector) for every vector of every output pixel.
template <typename Body>
inline void for_each_vector(const PoolShape& s, int64_t begin, int64_t end, Body&& body) {
  for (int64_t n = begin; n < end; n++) {
    for (int64_t p = 0; p < s.out_height; p++) {
      for (int64_t q = 0; q < s.out_width; q++) {
        const Window window = window_of(s, p, q);
        const int64_t out = ((n * s.out_height + p) * s.out_width + q) * s.channels;
        const int64_t image = n * s.in_height * s.in_width * s.channels;
        for (int64_t c = 0; c < s.channels; c += W) {
          body(window, out + c, image + c, s.channels - c < W ? static_cast<int>(s.channels - c) : W);
        }
      }
    }
  }
}

// Calls body(input offset) for every element of a window.
template <typename Body>
inline void for_each_tap(const PoolShape& s, const Window& w, int64_t image, Body&& body) {
  for (int64_t i = w.top; i < w.bottom; i++) {
    for (int64_t j = w.left; j < w.right; j++) body(image + (i * s.in_width + j) * s.channels);
  }
}

inline float reciprocal_count(const Window& w) { return 1.0f / static_cast<float>((w.bottom - w.top) * (w.right - w.left)); }

void max_images(const PoolShape& s, const float* x, float* y, int64_t begin, int64_t end) {
  for_each_vector(s, begin, end, [&](const Window& w, int64_t out, int64_t image, int n) {
    V best = splat(-__builtin_inff());
    for_each_tap(s, w, image, [&](int64_t at) {
      const V v = get(x + at, n);
      best = select((v > best) | (v != v), v, best);
    });
    put(y + out, best, n);
  });
}

void avg_images(const PoolShape& s, const float* x, float* y, int64_t begin, int64_t end) {
  for_each_vector(s, begin, end, [&](const Window& w, int64_t out, int64_t image, int n) {
    V sum = zero();
    for_each_tap(s, w, image, [&](int64_t at) { sum += get(x + at, n); });
    put(y + out, sum * splat(reciprocal_count(w)), n);
  });
}

void max_grad_images(const PoolShape& s, const float* x, const float* dy, float* dx, int64_t begin, int64_t end) {
  for_each_vector(s, begin, end, [&](const Window& w, int64_t out, int64_t image, int n) {
    V best = splat(-__builtin_inff());
    M position = reinterpret_cast<M>(zero()) - 1;
    int32_t index = 0;
    for_each_tap(s, w, image, [&](int64_t at) {
      const V v = get(x + at, n);
      const M better = (v > best) | (v != v);
      best = select(better, v, best);
      position = better ? reinterpret_cast<M>(zero()) + index : position;
      index++;
    });
    const V d = get(dy + out, n);
    index = 0;
    for_each_tap(s, w, image, [&](int64_t at) {
      put(dx + at, get(dx + at, n) + select(position == index, d, zero()), n);
      index++;
    });
  });
}

void avg_grad_images(const PoolShape& s, const float* dy, float* dx, int64_t begin, int64_t end) {
  for_each_vector(s, begin, end, [&](const Window& w, int64_t out, int64_t image, int n) {
    const V d = get(dy + out, n) * splat(reciprocal_count(w));
    for_each_tap(s, w, image, [&](int64_t at) { put(dx + at, get(dx + at, n) + d, n); });
  });
}

constexpr PoolRow kRow = {max_images, avg_images, max_grad_images, avg_grad_images};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(PoolRow, pool_row) = BNN_ISA::kRow;

}  // namespace bnn
