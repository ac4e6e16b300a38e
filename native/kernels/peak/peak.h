// The multiply-add rate of the processor, for benchmarks to compare kernels with and for choices between instructions.
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

const PeakRow& active_peak_row();

// Whether `row` multiplies clearly faster than `other` on this processor: by a quarter at least. Both take turns on the calling thread, for less
// than a millisecond, and the fastest turn of each counts.
bool is_clearly_faster(const PeakRow& row, const PeakRow& other);

}  // namespace bnn
