// Node-API's functions, found in whatever program this addon is loaded into. An import library would name one, node.exe, and Windows
// would refuse to load the addon into any other that has Node inside.
//
// The headers declare the functions as imported, so calls go through pointers named __imp_…, which are here in the place of those of an
// import library. The build lists all functions of node-api-headers; what this Node does not have stays null, and is not called.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#define BNN_POINTER(name) extern "C" void* __imp_##name = nullptr;
#include "node_api_functions.h"
#undef BNN_POINTER

namespace {

void* find(const char* name) {
  FARPROC function = GetProcAddress(GetModuleHandleW(nullptr), name);
  if (function == nullptr) {
    // Programs with Node as a library.
    HMODULE library = GetModuleHandleW(L"libnode.dll");
    if (library != nullptr) function = GetProcAddress(library, name);
  }
  return reinterpret_cast<void*>(function);
}

const bool found = [] {
#define BNN_POINTER(name) __imp_##name = find(#name);
#include "node_api_functions.h"
#undef BNN_POINTER
  return true;
}();

}  // namespace
