// Which process sends what to whom: sums and broadcasts as lists of rounds.
#pragma once

#include "mpi/communicator.h"

namespace bnn_mpi {

// Adds up `count` elements of all processes, in place on each. Of P processes, with P a power of two, by recursive doubling where the
// array is small (log2 P rounds of the whole array), else by recursive halving and doubling (Thakur, Rabenseifner, Gropp 2005: 2·log2 P
// rounds of 2·(1 − 1/P) arrays); neighbours first, which launchers put on one machine. Of other numbers, the surplus processes hand
// their array to a neighbour before and get it back afterwards, or, where it is large, all sum round a ring (2·(P − 1) rounds of the
// same 2·(1 − 1/P) arrays). Each element is added up in one fixed tree, so all processes get the same bits.
template <typename T>
void plan_sum(Operation& operation, T* data, int64_t count, int rank, int size);

// The bytes of process 0 for all, by a binomial tree.
void plan_broadcast(Operation& operation, char* data, int64_t bytes, int rank, int size);

}  // namespace bnn_mpi
