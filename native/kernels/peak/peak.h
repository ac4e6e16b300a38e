// The multiply-add rate of the processor, for benchmarks to compare kernels with.
#pragma once

#include "simd/isa.h"

#include <cstdint>

namespace bnn {

// Gflop/s (a multiply and an add are two) of independent multiply-adds in registers, on all threads at once, with the vectors of
// the active instruction set. Runs for a few milliseconds.
double multiply_add_peak();

struct PeakRow {
  int64_t flops_per_round;
  // Runs `rounds` rounds; the result only keeps the compiler from leaving the work out.
  float (*run)(int64_t rounds, float start);
};
BNN_DECLARE_ROWS(PeakRow, peak_row);

}  // namespace bnn
