// Arithmetic of tensors of any shape, as the standard's operators broadcast them. One element at a time: for the few nodes whose scale, bias,
// residual or threshold is not laid out as the kernels want it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ort/context.h"

namespace bnn {
namespace ort {

struct AnyTensor {
  std::vector<int64_t> dims;
  std::vector<float> values;
  std::string what = "";  // for messages: an input as the file has it; empty for results
};

// A copy of the tensor of floats that an input is.
AnyTensor any_tensor(const char* name, const TensorView& view);

// f of each pair of elements; throws Problem when the shapes do not broadcast to each other.
AnyTensor broadcast(const AnyTensor& a, const AnyTensor& b, float (*f)(float, float));

int64_t element_count(const std::vector<int64_t>& dims);

}  // namespace ort
}  // namespace bnn
