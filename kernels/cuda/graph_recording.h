// A Recording as a CUDA graph: the first run is an ordinary one (libraries choose algorithms,
// kernels are loaded), the second is captured, all later ones replay. Some 100 launches of a ViT-B
// become one. Where they cannot be captured, or the graph cannot be run, they go on as ordinary
// ones.
//
// Ownership: borrows the stream. Thread safety: as its Backend.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"

namespace cliptag::cuda {

class GraphRecording : public Recording {
 public:
  GraphRecording(const Device& device, cudaStream_t stream) : device_(device), stream_(stream) {}
  ~GraphRecording() override;
  Status Run(FunctionRef<Status()> operations) override;

 private:
  enum class State { kNew, kWarm, kRecorded, kPlain };
  Status Capture(FunctionRef<Status()> operations);  // into exec_

  Device device_;
  cudaStream_t stream_;
  State state_ = State::kNew;
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace cliptag::cuda
