// Measures which of several ways to do the same work on the GPU is the fastest. Of the algorithms
// that a library proposes for a product, the first is often not the best.
//
// Thread safety: as the stream: one thread at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/base/function_ref.h"
#include "kernels/base/status.h"

namespace cliptag::cuda {

// Returns the index of the fastest way, 0 to `ways` - 1. Those within 4 % of it count as equal, and
// the first of them is chosen, so that the choice is stable. `run` puts way i into the stream; a
// way that fails is left out. `hold` puts work into the stream that keeps the GPU busy while the
// host queues what is measured, and evicts from the GPU's cache what the last run left there, as
// the other operations of a model do.
// If the first way takes less than 50 us it is kept: on an H200 (2026-11-26) the first proposal was
// the best, or nearly, for most such products, and choosing by measurements made ViT-L/14 slower by
// 6 % at batch 1 and by 2 % at batch 8; at batch 64 it gained 2 %.
//
// Waits for the stream. Takes some six runs for each way that is not clearly slower than another; a
// budget ends long measurements before all ways were tried. Not to be called during a capture.
// Error: no way could be measured.
Result<size_t> Fastest(cudaStream_t stream, size_t ways, FunctionRef<Status()> hold,
                       FunctionRef<Status(size_t)> run);

}  // namespace cliptag::cuda
