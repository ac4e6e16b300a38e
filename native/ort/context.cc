#include "ort/context.h"

#include <atomic>

#include "ort/problem.h"

namespace bnn {
namespace ort {
namespace {

const char* type_name(int type) {
  switch (type) {
    case kFloat: return "f32";
    case kUint8: return "u8";
    default: return "?";
  }
}

std::string list(const int64_t* values, size_t count) {
  std::string text = "[";
  for (size_t i = 0; i < count; i++) {
    if (i > 0) text += ", ";
    text += values[i] < 0 ? "?" : std::to_string(values[i]);
  }
  return text + "]";
}

}  // namespace

TensorView view(const OrtApi* api, const OrtValue* value) {
  TensorView result;
  if (value == nullptr) return result;
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(api, GetTensorTypeAndShape::call(api, value, &info));
  OrtStatus* status = GetTensorElementType::call(api, info, &result.type);
  if (status == nullptr) status = GetDimensionsCount::call(api, info, &result.rank);
  if (status == nullptr && result.rank <= TensorView::kMostRank) status = GetDimensions::call(api, info, result.dims, result.rank);
  ReleaseTensorTypeAndShapeInfo::call(api, info);
  check(api, status);
  void* data = nullptr;
  // There is no function for const access; the data are only read.
  check(api, GetTensorMutableData::call(api, const_cast<OrtValue*>(value), &data));
  result.data = data;
  return result;
}

std::string describe(const TensorView& tensor) {
  if (tensor.type == kUndefined) return "nothing";
  if (tensor.rank > TensorView::kMostRank) return std::string(type_name(tensor.type)) + " of rank " + std::to_string(tensor.rank);
  return type_name(tensor.type) + list(tensor.dims, tensor.rank);
}

void expect(const char* name, const TensorView& tensor, int type, const int64_t* dims, size_t rank) {
  bool fits = tensor.type == type && tensor.rank == rank;
  for (size_t i = 0; fits && i < rank; i++) fits = dims[i] < 0 || tensor.dims[i] == dims[i];
  if (fits) return;
  throw Problem(std::string("input ") + name + " is " + describe(tensor) + ", expected " + type_name(type) + list(dims, rank));
}

std::string describe_node(const OrtApi* api, const OrtKernelInfo* info, const char* op) {
  size_t size = 0;
  std::string name;
  OrtStatus* status = KernelInfo_GetNodeName::call(api, info, nullptr, &size);
  if (status == nullptr && size > 0) {
    name.resize(size);
    status = KernelInfo_GetNodeName::call(api, info, name.data(), &size);
    name.resize(name.find_last_not_of('\0') + 1);
  }
  if (status != nullptr) ReleaseStatus::call(api, status);
  return "node \"" + name + "\" (bnn." + op + ")";
}

int64_t int_attribute(const OrtApi* api, const OrtKernelInfo* info, const char* name, int64_t low, int64_t high) {
  int64_t value = 0;
  if (OrtStatus* status = KernelInfoGetAttribute_int64::call(api, info, name, &value)) {
    ReleaseStatus::call(api, status);
    throw Problem(std::string("attribute ") + name + " is missing or not an integer");
  }
  if (value < low || value > high) {
    throw Problem(std::string("attribute ") + name + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " +
                  std::to_string(high));
  }
  return value;
}

void ints_attribute(const OrtApi* api, const OrtKernelInfo* info, const char* name, int64_t* out, size_t count, int64_t low,
                    int64_t high) {
  size_t found = 0;
  OrtStatus* status = KernelInfoGetAttributeArray_int64::call(api, info, name, nullptr, &found);
  if (status == nullptr && found == count) status = KernelInfoGetAttributeArray_int64::call(api, info, name, out, &found);
  if (status != nullptr) {
    ReleaseStatus::call(api, status);
    throw Problem(std::string("attribute ") + name + " is missing or not a list of integers");
  }
  if (found != count) {
    throw Problem(std::string("attribute ") + name + " has " + std::to_string(found) + " integers, expected " + std::to_string(count));
  }
  for (size_t i = 0; i < count; i++) {
    if (out[i] >= low && out[i] <= high) continue;
    throw Problem(std::string("attribute ") + name + " holds " + std::to_string(out[i]) + ", expected " + std::to_string(low) +
                  " to " + std::to_string(high));
  }
}

void ContextThreads::run(const void* self, void (*fn)(void*, size_t), size_t total, void* data) {
  struct Work {
    void (*fn)(void*, size_t);
    void* data;
    std::atomic<bool> failed;
  };
  const ContextThreads& threads = *static_cast<const ContextThreads*>(self);
  Work work{fn, data, {false}};
  const auto call = [](void* pointer, size_t i) {
    Work& w = *static_cast<Work*>(pointer);
    // An exception in one of onnxruntime's threads would end the process.
    try {
      w.fn(w.data, i);
    } catch (...) {
      w.failed.store(true);
    }
  };
  check(threads.api_, KernelContext_ParallelFor::call(threads.api_, threads.context_, call, total, 0, &work));
  if (work.failed.load()) throw std::bad_alloc();
}

}  // namespace ort
}  // namespace bnn
