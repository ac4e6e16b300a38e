#define BNN_ISA avx2
#define BNN_VECTOR_FLOATS 8
#include "kernels/conv2d/winograd.inl.h"

namespace bnn {
extern const WinogradRow winograd_row_avx2;
const WinogradRow winograd_row_avx2 = avx2::kWinogradRow;
}  // namespace bnn
