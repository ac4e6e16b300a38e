#define BNN_ISA avx2
#include "kernels/binarize/binarize.inl.h"

namespace bnn {
extern const BinarizeRow binarize_row_avx2;
const BinarizeRow binarize_row_avx2 = {"avx2", avx2::channels_first, avx2::row, avx2::sign};
}  // namespace bnn
