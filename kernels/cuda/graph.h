// A Graph as a CUDA graph: the first run is an ordinary one (libraries choose algorithms, kernels
// are loaded), the second is captured, later ones replay it. Some 100 launches of a ViT-B become
// one. If a capture or a replay fails, later runs are ordinary ones.
//
// Ownership: borrows the stream. Thread safety: as its Backend.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"

namespace cliptag::cuda {

class CudaGraph : public Graph {
 public:
  CudaGraph(const Device& device, cudaStream_t stream) : device_(device), stream_(stream) {}
  ~CudaGraph() override;
  Status Run(FunctionRef<Status()> operations) override;

 private:
  enum class State { kNew, kWarm, kCaptured, kPlain };
  Status Capture(FunctionRef<Status()> operations);  // into exec_

  Device device_;
  cudaStream_t stream_;
  State state_ = State::kNew;
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace cliptag::cuda
