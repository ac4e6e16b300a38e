// Instruction sets in words. Apart from isa.h because files of an instruction set may not see the standard library (simd/vec.h).
#pragma once

#include <string>

namespace bnn {

// Names of those that this processor has, worst first.
std::string available_isas(const char* separator);

// Names of those that this build has kernels for.
std::string compiled_isas(const char* separator);

// What is wrong with BNN_KERNEL on this processor; empty when nothing is.
std::string isa_problem();

}  // namespace bnn
