// Reading nodes and tensors of onnxruntime.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ort/abi.h"
#include "threading/parallel.h"

namespace bnn {
namespace ort {

// Shape and data of a tensor. Of a rank beyond kMostRank only the rank is known.
struct TensorView {
  static constexpr size_t kMostRank = 8;

  size_t rank = 0;
  int64_t dims[kMostRank] = {1, 1, 1, 1, 1, 1, 1, 1};
  int type = kUndefined;
  const void* data = nullptr;

  const float* floats() const { return static_cast<const float*>(data); }
};

TensorView view(const OrtApi* api, const OrtValue* value);

// "f32[1, 64, 56, 56]"
std::string describe(const TensorView& tensor);

// Throws Problem unless the tensor has this element type and these dimensions; −1 stands for any size.
void expect(const char* name, const TensorView& tensor, int type, const int64_t* dims, size_t rank);

// `node "conv1" (bnn.BinaryConv)`
std::string describe_node(const OrtApi* api, const OrtKernelInfo* info, const char* op);

// Throw Problem when the attribute is missing, is not made of integers, has another count or lies outside of [low, high].
int64_t int_attribute(const OrtApi* api, const OrtKernelInfo* info, const char* name, int64_t low, int64_t high);
void ints_attribute(const OrtApi* api, const OrtKernelInfo* info, const char* name, int64_t* out, size_t count, int64_t low,
                    int64_t high);

// onnxruntime's own threads, for one call of a kernel. A worker can only fail for want of memory, which `run` reports.
class ContextThreads {
 public:
  ContextThreads(const OrtApi* api, const OrtKernelContext* context) : api_(api), context_(context) {}
  Parallel parallel() const { return {run, this}; }

 private:
  static void run(const void* self, void (*fn)(void*, size_t), size_t total, void* data);

  const OrtApi* api_;
  const OrtKernelContext* context_;
};

}  // namespace ort
}  // namespace bnn
