// Binary dense layer: y(m, n) = epilogue(Σ_k sign(x(m, k)) · w(n, k)).
// Its weights are those of a 1×1 convolution with as many channels.
#pragma once

#include "kernels/binary_conv/binary_conv.h"

namespace bnn {

struct BinaryGemmCall {
  int64_t rows;
  const float* x;     // f32[rows][channels]
  Epilogue epilogue;  // of vectors by pad_outputs
  float* y;           // f32[rows][outputs]
};

// `plan`: of an image of 1×1.
void binary_gemm(const BinaryConvShape& shape, const BinaryWeights& weights, const BinaryConvPlan& plan, const BinaryGemmCall& call,
                 const Parallel& parallel);

}  // namespace bnn
