// Surrogate gradients of sign whose slope is even, given as a table of straight pieces: dx = dy · s(|x|).
#pragma once

#include "simd/isa.h"

#include <cstdint>

namespace bnn {

// Over [0, limit], with a finite limit and cells / limit, in `cells` pieces of equal width: s(a) = pieces[2k] + pieces[2k + 1] · f, where a · cells / limit = k + f and
// 0 ≤ f ≤ 1. Beyond the limit s is 0. NaN of x stays NaN.
struct SlopeTable {
  const float* pieces;
  int cells;
  float limit;
};

// dx may be dy.
void sign_grad_table(const float* x, const float* dy, const SlopeTable& table, float* dx, int64_t count);

struct SlopeTableRow {
  void (*apply)(const float* x, const float* dy, const SlopeTable& table, float* dx, int64_t count);
};
BNN_DECLARE_ROWS(SlopeTableRow, slope_table_row);
const SlopeTableRow& slope_table_row();

}  // namespace bnn
