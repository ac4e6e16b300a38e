// Rounding of counts, from 0 on.
#pragma once

#include <cstdint>

namespace bnn {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The first multiple from n on.
inline int64_t round_up(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

}  // namespace bnn
