// The programs that started this process: where another machine is out of reach, some of them wait for it and never end.
#pragma once

namespace bnn_mpi {

// Ends them in some seconds, from a process of its own, unless they have ended by then. Linux only.
void end_launchers_later();

}  // namespace bnn_mpi
