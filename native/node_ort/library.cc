#include "node_ort/library.h"

#include "node_ort/runtime.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace bnn_ort {

#if defined(_WIN32)

Path system_path(const std::string& path) {
  const int length = static_cast<int>(path.size());
  Path wide(static_cast<size_t>(MultiByteToWideChar(CP_UTF8, 0, path.data(), length, nullptr, 0)), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.data(), length, &wide[0], static_cast<int>(wide.size()));
  return wide;
}

void* open_library(const std::string& path) {
  // With what it needs itself looked for beside it first.
  HMODULE library = LoadLibraryExW(system_path(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (library == nullptr) {
    throw Problem{kRuntimeProblem, "cannot load " + path + " (Windows error " + std::to_string(GetLastError()) + ")"};
  }
  return reinterpret_cast<void*>(library);
}

void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(reinterpret_cast<HMODULE>(library), name));
}

#else

Path system_path(const std::string& path) { return path; }

void* open_library(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* text = dlerror();
    throw Problem{kRuntimeProblem, text == nullptr ? "cannot load " + path : text};
  }
  return library;
}

void* find_symbol(void* library, const char* name) { return dlsym(library, name); }

#endif

}  // namespace bnn_ort
