#define BNN_ISA avx512
#define BNN_VECTOR_FLOATS 16
#include "kernels/conv2d/winograd.inl.h"

namespace bnn {
extern const WinogradRow winograd_row_avx512;
const WinogradRow winograd_row_avx512 = avx512::kWinogradRow;
}  // namespace bnn
