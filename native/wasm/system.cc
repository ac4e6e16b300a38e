// What the C library would ask a system for: there is none, so that the module imports nothing.
#include <cstdlib>

extern "C" {

char* getenv(const char*) { return nullptr; }

void abort() { __builtin_trap(); }

}  // extern "C"
