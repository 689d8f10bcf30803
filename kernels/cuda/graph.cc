#include "kernels/cuda/graph.h"

#include "kernels/base/log.h"

namespace cliptag::cuda {

CudaGraph::~CudaGraph() {
  if (exec_ == nullptr) return;
  (void)device_.Enter();
  (void)cudaGraphExecDestroy(exec_);
}

Status CudaGraph::Capture(FunctionRef<Status()> operations) {
  // ThreadLocal: other threads may go on with calls that a capture forbids, such as allocations.
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
                               "capturing a graph began");
  const Status status = operations();
  cudaGraph_t graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(stream_, &graph);
  if (status.ok() && error == cudaSuccess) error = cudaGraphInstantiate(&exec_, graph, 0);
  if (error != cudaSuccess) exec_ = nullptr;
  if (graph != nullptr) (void)cudaGraphDestroy(graph);
  CLIPTAG_RETURN_IF_ERROR(status);
  return FromCuda(error, "operations were captured");
}

Status CudaGraph::Run(FunctionRef<Status()> operations) {
  if (state_ == State::kNew) {
    CLIPTAG_RETURN_IF_ERROR(operations());
    state_ = State::kWarm;
    return {};
  }
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  Status failure;
  if (state_ == State::kWarm) {
    failure = Capture(operations);
    state_ = failure.ok() ? State::kCaptured : State::kPlain;
  }
  if (state_ == State::kCaptured) {
    failure = FromCuda(cudaGraphLaunch(exec_, stream_), "a graph was replayed");
    if (failure.ok()) return {};
    state_ = State::kPlain;
  }
  // If more is wrong than the graph, an operation fails here, too.
  CLIPTAG_RETURN_IF_ERROR(operations());
  if (!failure.ok()) {
    Log(LogLevel::kWarning,
        "The GPU runs without a CUDA graph, somewhat slower: " + failure.message());
  }
  return {};
}

}  // namespace cliptag::cuda
