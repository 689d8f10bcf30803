// Which of several ways to do the same work on the card is the fastest, found by doing it. A
// library that proposes several algorithms for a product often has a better one than its first.
//
// Thread safety: of the stream: one thread at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/base/function_ref.h"
#include "kernels/base/status.h"

namespace cliptag::cuda {

// The fastest way's number below `ways`; those within 4 % of it count as equal, and the first of
// them is taken, so that the choice is stable. `run` puts way i into the stream; a way that fails
// is none. `hold` puts work into the stream that keeps the card busy while the host queues what is
// measured, and takes what the last run left in the card's cache: in a model others run in between.
// Where the first way takes less than 50 us it is kept: on an H200 (2026-11-26) the first proposal
// was the best, or nearly, for most such products, and choosing by what can be measured of them
// made ViT-L/14 slower by 6 % at batch 1 and by 2 % at batch 8; at batch 64 it gained 2 %.
//
// It waits for the stream, and takes some six runs of the work for each way that is not clearly
// slower than another; a budget ends it before all were tried where the work is long. Not while the
// stream is being captured.
// Errors: no way could be measured.
Result<size_t> Fastest(cudaStream_t stream, size_t ways, FunctionRef<Status()> hold,
                       FunctionRef<Status(size_t)> run);

}  // namespace cliptag::cuda
