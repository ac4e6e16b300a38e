#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/conv2d/winograd.inl.h"

namespace bnn {
extern const WinogradRow winograd_row_scalar;
const WinogradRow winograd_row_scalar = scalar::kWinogradRow;
}  // namespace bnn
