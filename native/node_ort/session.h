// A loaded model, without JavaScript: create it, ask what it takes, run it from any number of threads at once.
#pragma once

#include "node_ort/library.h"
#include "node_ort/runtime.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bnn_ort {

struct Settings {
  std::string runtime_path;
  // The model: a path, or bytes when `bytes` is not null. The bytes are needed only until the session is there.
  std::string path;
  const void* bytes = nullptr;
  size_t byte_count = 0;
  // Path of a library that exports RegisterCustomOps; empty for none.
  std::string ops_library;
  // 0 lets onnxruntime choose.
  int intra_op_threads = 0;
  int inter_op_threads = 0;
  int optimization_level = ort_abi::kOptimizeAll;
  int log_severity = ort_abi::kLogFatal;
  // Where profiles go; empty for none.
  std::string profile_prefix;
  // Session configuration entries, passed on as they are.
  std::vector<std::pair<std::string, std::string>> config;
};

// An input or output as the model declares it.
struct ValueInfo {
  std::string name;
  // kUndefined for what is no tensor.
  ort_abi::Element type = ort_abi::kNoElement;
  // -1 where a size is free; `symbols` then has its name, which may be empty.
  std::vector<int64_t> sizes;
  std::vector<std::string> symbols;
};

// Elements that someone else owns.
struct TensorView {
  ort_abi::Element type;
  void* data;
  size_t byte_count;
  std::vector<int64_t> shape;
};

// Bytes of an element; 0 for types that are not plain numbers.
size_t element_bytes(ort_abi::Element type);

// onnxruntime's tensor, freed with this object.
class Value {
 public:
  Value(const Runtime& runtime, ort_abi::OrtValue* value) : runtime_(&runtime), value_(value) {}
  Value(Value&& other) noexcept : runtime_(other.runtime_), value_(std::exchange(other.value_, nullptr)) {}
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;
  ~Value() {
    if (value_ != nullptr) ort_abi::ReleaseValue::call(runtime_->api, value_);
  }
  ort_abi::OrtValue* get() const { return value_; }
  // Its elements, which stay this object's.
  TensorView view() const;

 private:
  const Runtime* runtime_;
  ort_abi::OrtValue* value_;
};

class Session {
 public:
  // Throws Problem. Slow: loads, optimizes and prepacks.
  explicit Session(const Settings& settings);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::vector<ValueInfo>& inputs() const { return inputs_; }
  const std::vector<ValueInfo>& outputs() const { return outputs_; }

  // Wraps elements without copying them.
  Value wrap(const TensorView& tensor) const;

  // Throws Problem. Safe to call from several threads at once.
  std::vector<Value> run(const std::vector<std::string>& input_names, const std::vector<Value>& inputs,
                         const std::vector<std::string>& output_names) const;

  // Path of the profile that has been written.
  std::string end_profiling() const;

 private:
  std::vector<ValueInfo> describe(bool of_inputs) const;

  const Runtime& runtime_;
  ort_abi::OrtSession* session_ = nullptr;
  std::vector<ValueInfo> inputs_;
  std::vector<ValueInfo> outputs_;
};

}  // namespace bnn_ort
