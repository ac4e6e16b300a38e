#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/conv2d/winograd.inl.h"

namespace bnn {
extern const WinogradRow winograd_row_neon;
const WinogradRow winograd_row_neon = neon::kWinogradRow;
}  // namespace bnn
