#define BNN_ISA neon
#include "kernels/binarize/binarize.inl.h"

namespace bnn {
extern const BinarizeRow binarize_row_neon;
const BinarizeRow binarize_row_neon = {"neon", neon::channels_first, neon::channels_last, neon::row, neon::sign};
}  // namespace bnn
