#include "kernels/optimizer/optimizer.h"

#include "threading/thread_pool.h"

#include <cmath>

namespace bnn {
namespace {

constexpr int64_t kGrain = 16384;

const OptimizerRow& optimizer_row() {
  static constexpr KernelRow<OptimizerRow> table[] = BNN_ROWS(optimizer_row);
  return active_row(table);
}

}  // namespace

void sgd_momentum(const SgdSettings& s, const float* param, const float* grad, const float* velocity, float* new_param,
                  float* new_velocity, int64_t count) {
  const OptimizerRow& row = optimizer_row();
  parallel_for(count, kGrain, [&](int, int64_t i, int64_t end) {
    row.sgd(s, param + i, grad + i, velocity + i, new_param + i, new_velocity + i, end - i);
  });
}

void adam(const AdamSettings& s, const float* param, const float* grad, const float* m, const float* v, float* new_param, float* new_m,
          float* new_v, int64_t count) {
  const OptimizerRow& row = optimizer_row();
  AdamConstants k{};
  k.beta1 = static_cast<float>(s.beta1);
  k.rest1 = static_cast<float>(1.0 - s.beta1);
  k.beta2 = static_cast<float>(s.beta2);
  k.rest2 = static_cast<float>(1.0 - s.beta2);
  k.epsilon = static_cast<float>(s.epsilon);
  k.step_size = static_cast<float>(s.lr / (1.0 - std::pow(s.beta1, s.step)));
  k.root_correction = static_cast<float>(std::sqrt(1.0 - std::pow(s.beta2, s.step)));
  k.l2 = s.decoupled ? 0.0f : static_cast<float>(s.weight_decay);
  k.decay = s.decoupled ? static_cast<float>(1.0 - s.lr * s.weight_decay) : 1.0f;
  parallel_for(count, kGrain, [&](int, int64_t i, int64_t end) {
    row.adam(k, param + i, grad + i, m + i, v + i, new_param + i, new_m + i, new_v + i, end - i);
  });
}

}  // namespace bnn
