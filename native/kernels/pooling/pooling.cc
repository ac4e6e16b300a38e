#include "kernels/pooling/pooling.h"

#include "threading/thread_pool.h"

#include <cstddef>
#include <cstring>

namespace bnn {
namespace {

const PoolRow& pool_row() {
  static constexpr KernelRow<PoolRow> table[] = BNN_ROWS(pool_row);
  return active_row(table);
}

// Gradients of overlapping windows meet in one image only, so images are what is divided among threads.
template <typename Body>
void for_images(const PoolShape& s, Body&& body) {
  const int64_t elements = s.in_height * s.in_width * s.channels;
  parallel_for(s.batch, 1 + 16384 / (elements + 1), [&](int, int64_t begin, int64_t end) { body(begin, end); });
}

void clear_images(const PoolShape& s, float* dx, int64_t begin, int64_t end) {
  const int64_t elements = s.in_height * s.in_width * s.channels;
  std::memset(dx + begin * elements, 0, static_cast<size_t>((end - begin) * elements) * sizeof(float));
}

}  // namespace

void max_pool(const PoolShape& s, const float* x, float* y) {
  for_images(s, [&](int64_t begin, int64_t end) { pool_row().max(s, x, y, begin, end); });
}

void avg_pool(const PoolShape& s, const float* x, float* y) {
  for_images(s, [&](int64_t begin, int64_t end) { pool_row().avg(s, x, y, begin, end); });
}

void max_pool_grad(const PoolShape& s, const float* x, const float* dy, float* dx) {
  for_images(s, [&](int64_t begin, int64_t end) {
    clear_images(s, dx, begin, end);
    pool_row().max_grad(s, x, dy, dx, begin, end);
  });
}

void avg_pool_grad(const PoolShape& s, const float* dy, float* dx) {
  for_images(s, [&](int64_t begin, int64_t end) {
    clear_images(s, dx, begin, end);
    pool_row().avg_grad(s, dy, dx, begin, end);
  });
}

}  // namespace bnn
