// Libraries and paths, as the system wants them.
#pragma once

#include <string>

namespace bnn_ort {

#if defined(_WIN32)
using PathChar = wchar_t;
#else
using PathChar = char;
#endif
using Path = std::basic_string<PathChar>;

// A path in the system's form; JavaScript and everything in this addon has UTF-8.
Path system_path(const std::string& path);

// Loads a library, which stays; Problem says why it does not load.
void* open_library(const std::string& path);

// The address of what a library exports; null when it does not.
void* find_symbol(void* library, const char* name);

}  // namespace bnn_ort
