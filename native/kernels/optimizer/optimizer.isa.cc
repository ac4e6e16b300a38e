#include "kernels/optimizer/optimizer.h"
#include "simd/vec.h"

namespace bnn {
namespace BNN_ISA {
namespace {

inline V get(const float* p, int n) { return n == W ? load(p) : load_n(p, n); }
inline void put(float* p, V v, int n) {
  if (n == W) {
    store(p, v);
  } else {
    store_n(p, v, n);
  }
}

// step(i, n) for each vector of n elements from i on; n is a constant but for the last.
template <typename Step>
inline void for_vectors(int64_t count, const Step& step) {
  int64_t i = 0;
  for (; i + W <= count; i += W) step(i, W);
  if (i < count) step(i, static_cast<int>(count - i));
}

void sgd_range(const SgdSettings& s, const float* param, const float* grad, const float* velocity, float* new_param,
               float* new_velocity, int64_t count) {
  const V lr = splat(s.lr), momentum = splat(s.momentum), decay = splat(s.weight_decay);
  for_vectors(
      count, [=](int64_t i, int n) __attribute__((always_inline)) {
        const V p = get(param + i, n);
        const V g = get(grad + i, n) + decay * p;
        const V v = momentum * get(velocity + i, n) + g;
        put(new_velocity + i, v, n);
        put(new_param + i, p - lr * v, n);
      });
}

void adam_range(const AdamConstants& s, const float* param, const float* grad, const float* m, const float* v, float* new_param,
                float* new_m, float* new_v, int64_t count) {
  const V beta1 = splat(s.beta1), rest1 = splat(s.rest1), beta2 = splat(s.beta2), rest2 = splat(s.rest2);
  const V epsilon = splat(s.epsilon), step = splat(s.step_size), root = splat(s.root_correction);
  const V l2 = splat(s.l2), decay = splat(s.decay);
  for_vectors(
      count, [=](int64_t i, int n) __attribute__((always_inline)) {
        const V p = get(param + i, n);
        const V g = get(grad + i, n) + l2 * p;
        const V first = beta1 * get(m + i, n) + rounded(rest1 * g);
        const V second = beta2 * get(v + i, n) + rounded(rest2 * (g * g));
        put(new_m + i, first, n);
        put(new_v + i, second, n);
        put(new_param + i, decay * p - step * first / (square_root(second) / root + epsilon), n);
      });
}

constexpr OptimizerRow kRow = {sgd_range, adam_range};

}  // namespace
}  // namespace BNN_ISA

BNN_DEFINE_ROW(OptimizerRow, optimizer_row) = BNN_ISA::kRow;

}  // namespace bnn
