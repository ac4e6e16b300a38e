// Parameter updates in the form PyTorch defines them.
#pragma once

#include "simd/isa.h"

#include <cstdint>

namespace bnn {

// g = grad + weight_decay · param;  v' = momentum · v + g;  p' = p − lr · v'.
struct SgdSettings {
  float lr, momentum, weight_decay;
};
void sgd_momentum(const SgdSettings& settings, const float* param, const float* grad, const float* velocity, float* new_param,
                  float* new_velocity, int64_t count);

// Adam (arXiv:1412.6980) or, decoupled, AdamW (arXiv:1711.05101). step counts from 1.
// m' = β₁m + (1 − β₁)g;  v' = β₂v + (1 − β₂)g²;  p' = p − lr/(1 − β₁ˢ) · m' / (√v' / √(1 − β₂ˢ) + ε).
struct AdamSettings {
  double lr, beta1, beta2, epsilon, weight_decay, step;
  bool decoupled;
};
void adam(const AdamSettings& settings, const float* param, const float* grad, const float* m, const float* v, float* new_param,
          float* new_m, float* new_v, int64_t count);

struct AdamConstants {
  float beta1, rest1, beta2, rest2, epsilon, step_size, root_correction;
  float l2;     // added to the gradient as l2 · param
  float decay;  // param is first multiplied by this
};
struct OptimizerRow {
  void (*sgd)(const SgdSettings&, const float* param, const float* grad, const float* velocity, float* new_param, float* new_velocity,
              int64_t count);
  void (*adam)(const AdamConstants&, const float* param, const float* grad, const float* m, const float* v, float* new_param,
               float* new_m, float* new_v, int64_t count);
};
BNN_DECLARE_ROWS(OptimizerRow, optimizer_row);

}  // namespace bnn
