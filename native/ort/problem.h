// Errors inside the library are exceptions; at its border each becomes an OrtStatus.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "ort/abi.h"

namespace bnn {
namespace ort {

// A node or a tensor that the operators do not accept; the text says what was found and what was expected.
class Problem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Turns a failure of onnxruntime into an exception, with its text.
inline void check(const OrtApi* api, OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = GetErrorMessage::call(api, status);
  ReleaseStatus::call(api, status);
  throw Problem(message);
}

// Runs `body` and returns what went wrong, or null. `who` names the node; nothing escapes into onnxruntime, which is C.
template <typename Body>
OrtStatus* guarded(const OrtApi* api, const char* who, const Body& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const Problem& problem) {
    try {
      return CreateStatus::call(api, kInvalidArgument, (std::string(who) + ": " + problem.what()).c_str());
    } catch (...) {
      return CreateStatus::call(api, kInvalidArgument, problem.what());
    }
  } catch (const std::bad_alloc&) {
    return CreateStatus::call(api, kFail, "bnn: out of memory");
  } catch (const std::exception& error) {
    return CreateStatus::call(api, kFail, error.what());
  } catch (...) {
    return CreateStatus::call(api, kFail, "bnn: unknown failure");
  }
}

}  // namespace ort
}  // namespace bnn
