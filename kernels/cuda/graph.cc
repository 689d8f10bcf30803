#include "kernels/cuda/graph.h"

#include "kernels/base/log.h"

namespace cliptag::cuda {

CudaGraph::~CudaGraph() {
  if (exec_ == nullptr) return;
  (void)device_.Enter();
  (void)cudaGraphExecDestroy(exec_);
}

Status CudaGraph::Capture(FunctionRef<Status()> operations) {
  // Other threads go on allocating: only this one's calls are held to what a graph may hold.
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
                               "a graph was begun");
  const Status status = operations();
  cudaGraph_t graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(stream_, &graph);
  if (status.ok() && error == cudaSuccess) error = cudaGraphInstantiate(&exec_, graph, 0);
  if (error != cudaSuccess) exec_ = nullptr;
  if (graph != nullptr) (void)cudaGraphDestroy(graph);
  CLIPTAG_RETURN_IF_ERROR(status);
  return FromCuda(error, "operations were recorded");
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
    state_ = failure.ok() ? State::kRecorded : State::kPlain;
  }
  if (state_ == State::kRecorded) {
    failure = FromCuda(cudaGraphLaunch(exec_, stream_), "a graph was replayed");
    if (failure.ok()) return {};
    state_ = State::kPlain;
  }
  // Where more is wrong than the graph, that is told by whichever operation fails.
  CLIPTAG_RETURN_IF_ERROR(operations());
  if (!failure.ok()) {
    Log(LogLevel::kWarning,
        "The GPU runs without a recorded graph, somewhat slower: " + failure.message());
  }
  return {};
}

}  // namespace cliptag::cuda
