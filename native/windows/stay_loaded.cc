// The library stays in the process: threads of the addon outlive a JavaScript worker that loaded it, and onnxruntime's sessions keep
// pointers into the operator library. What -z nodelete is to the linker of Linux.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

namespace {

const bool stays = [] {
  HMODULE self;
  return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, reinterpret_cast<LPCWSTR>(&stays),
                            &self) != 0;
}();

}  // namespace
