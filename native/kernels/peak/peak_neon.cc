#define BNN_ISA neon
#define BNN_VECTOR_FLOATS 4
#include "kernels/peak/peak.inl.h"

namespace bnn {
extern const PeakRow peak_row_neon;
const PeakRow peak_row_neon = neon::kRow;
}  // namespace bnn
