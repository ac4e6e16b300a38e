#define BNN_ISA scalar
#define BNN_VECTOR_FLOATS 4
#include "kernels/peak/peak.inl.h"

namespace bnn {
extern const PeakRow peak_row_scalar;
const PeakRow peak_row_scalar = scalar::kRow;
}  // namespace bnn
