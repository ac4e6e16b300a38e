// The training kernels for JavaScript: the functions of native/node in a table, their arguments in a block of memory.
#include <cstdlib>
#include <new>

#include "memory/aligned_array.h"
#include "node/args.h"
#include "threading/thread_pool.h"
#include "wasm/export.h"

namespace bnn_node {

Argument arguments[kMostArguments];
double result_number;

namespace {

constexpr int kMostFunctions = 64;
constexpr size_t kMostText = 256;

struct Row {
  const char* name;
  Function function;
};
Row table[kMostFunctions];
int table_size = 0;
char problem[kMostText];

}  // namespace

void define(napi_env, napi_value, const char* name, Function function) { table[table_size++] = {name, function}; }

[[noreturn]] void fail(const std::string& message) {
  const size_t length = std::min(message.size(), kMostText - 1);
  std::memcpy(problem, message.data(), length);
  problem[length] = 0;
  __builtin_trap();
}

}  // namespace bnn_node

using namespace bnn_node;

BNN_EXPORT("setUp") int bnn_set_up() {
  define_convolutions(nullptr, nullptr);
  define_elementwise(nullptr, nullptr);
  define_sign_gradients(nullptr, nullptr);
  define_batch_norm(nullptr, nullptr);
  define_movement(nullptr, nullptr);
  return table_size;
}

BNN_EXPORT("nameOf") const char* bnn_name_of(int index) { return table[index].name; }
BNN_EXPORT("argumentBlock") Argument* bnn_argument_block() { return arguments; }
// The text of the check that failed; empty for any other trap.
BNN_EXPORT("problemText") char* bnn_problem_text() { return problem; }

BNN_EXPORT("call") double bnn_call(int index) {
  Args args;
  const napi_value result = table[index].function(args);
  return result == nullptr ? 0.0 : *result;
}

BNN_EXPORT("alloc") void* bnn_alloc(size_t bytes) { return ::operator new (bytes, std::align_val_t{64}, std::nothrow); }
BNN_EXPORT("free") void bnn_free(void* data) { ::operator delete (data, std::align_val_t{64}); }
BNN_EXPORT("scratchBytes") double bnn_scratch_bytes() { return static_cast<double>(bnn::scratch_total_bytes()); }
BNN_EXPORT("releaseScratch") void bnn_release_scratch() { bnn::release_scratch(); }
