// How fast this processor can count differing bits when nothing else stands in the way: the yardstick for binary kernels.
#pragma once

#include <string>
#include <vector>

namespace bnn_ort {

// Rows of the binary kernels that this processor can run, worst first: of "scalar", "neon", "avx2", "avx512vpopcntdq".
std::vector<std::string> popcount_rows();

// The row that the binary kernels run when BNN_KERNEL is `forced` (empty: not set); empty when this processor has no such instruction set.
std::string popcount_row(const std::string& forced);

// Bits per second of xor, population count and add with all operands in registers, on `threads` threads at once, measured for about
// `milliseconds` (the best of several slices). 0 when the row is not available.
double popcount_limit(const std::string& row, int threads, double milliseconds);

}  // namespace bnn_ort
