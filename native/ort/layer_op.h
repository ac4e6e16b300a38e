// The table of layer operators: data × {Conv, Gemm} × epilogue, as in src/operators/variants.ts.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/binary_conv/tile.h"
#include "ort/abi.h"

namespace bnn {
namespace ort {

// An input after x and w: one float per channel, or the residual.
struct LayerInput {
  const char* name;
  const float* Epilogue::*target;  // null for the thresholds of the data

  bool is_residual() const { return target == &Epilogue::residual; }
};

struct LayerOp {
  OrtCustomOp base;  // first, so that onnxruntime's pointer is a pointer to this
  std::string name;
  bool dense;
  bool weightOnly;
  bool relu;
  std::vector<LayerInput> inputs;  // from the third on
};

// All of them. Pointers to the entries stay valid as long as the result is not changed.
std::vector<LayerOp> layer_ops();

// Creates the kernel of a node; KernelComputeV2 and KernelDestroy of the op run and free it.
OrtStatus* create_layer(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel);
OrtStatus* compute_layer(void* kernel, OrtKernelContext* context);
void destroy_layer(void* kernel);

OrtStatus* create_sign(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel);
OrtStatus* compute_sign(void* kernel, OrtKernelContext* context);
void destroy_sign(void* kernel);

OrtStatus* create_chain(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel);
OrtStatus* compute_chain(void* kernel, OrtKernelContext* context);
void destroy_chain(void* kernel);

}  // namespace ort
}  // namespace bnn
