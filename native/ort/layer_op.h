// The table of layer operators: {sign data, float data} × {Conv, Gemm} × epilogue, as in src/operators/variants.ts.
#pragma once

#include <cstddef>

#include "ort/abi.h"

namespace bnn {
namespace ort {

struct LayerOp {
  OrtCustomOp base;  // first, so that onnxruntime's pointer is a pointer to this
  const char* name;
  bool dense;
  bool weightOnly;
  bool relu;
  bool add;
};

// Creates the kernel of a node; KernelComputeV2 and KernelDestroy of the op run and free it.
OrtStatus* create_layer(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel);
OrtStatus* compute_layer(void* kernel, OrtKernelContext* context);
void destroy_layer(void* kernel);

OrtStatus* create_sign(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel);
OrtStatus* compute_sign(void* kernel, OrtKernelContext* context);
void destroy_sign(void* kernel);

}  // namespace ort
}  // namespace bnn
