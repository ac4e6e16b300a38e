// The onnxruntime library of the process, opened at run time, and what all sessions share.
#pragma once

#include "node_ort/session_abi.h"

#include <cstdint>
#include <string>

namespace bnn_ort {

// A failure on its way to JavaScript: `code` becomes the property `code` of the Error. Thrown only between entry points of this
// addon, which catch everything; it never passes through onnxruntime or Node.
struct Problem {
  const char* code;
  std::string message;
};

// Whose fault a failure is.
inline constexpr const char* kRuntimeProblem = "runtime";  // onnxruntime itself is missing or unusable
inline constexpr const char* kOpsProblem = "ops";          // the operator library could not be registered
inline constexpr const char* kModelProblem = "model";      // onnxruntime refuses the model
inline constexpr const char* kRunProblem = "run";          // running it failed
inline constexpr const char* kUsageProblem = "usage";      // the arguments make no sense

struct Runtime {
  const ort_abi::OrtApi* api;
  uint32_t api_version;
  std::string version;
  ort_abi::OrtEnv* env;
  ort_abi::OrtAllocator* allocator;
  ort_abi::OrtMemoryInfo* memory;

  // Throws Problem{code, onnxruntime's text} and frees the status when it is not null.
  void check(ort_abi::OrtStatus* status, const char* code) const;
};

// Opens a library once per path; any thread. The result lives as long as the process: sessions may outlive every JavaScript
// environment, and onnxruntime's own threads must not lose their code.
const Runtime& open_runtime(const std::string& path);

}  // namespace bnn_ort
