#include "kernels/cuda/graph_recording.h"

#include "kernels/base/log.h"

namespace cliptag::cuda {

GraphRecording::~GraphRecording() {
  if (exec_ != nullptr) (void)cudaGraphExecDestroy(exec_);
}

Status GraphRecording::Capture(FunctionRef<Status()> operations) {
  // Other threads go on allocating: only this one's calls are held to what a graph may hold.
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
                               "a recording was begun");
  const Status status = operations();
  cudaGraph_t graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(stream_, &graph);
  if (status.ok() && error == cudaSuccess) error = cudaGraphInstantiate(&exec_, graph, 0);
  if (graph != nullptr) (void)cudaGraphDestroy(graph);
  CLIPTAG_RETURN_IF_ERROR(status);
  if (error != cudaSuccess) {
    exec_ = nullptr;
    Log(LogLevel::kWarning,
        std::string("The GPU runs without a recorded graph, somewhat slower: ") +
            FromCuda(error, "operations were recorded").message());
  }
  return {};
}

Status GraphRecording::Run(FunctionRef<Status()> operations) {
  if (state_ == State::kNew) {
    CLIPTAG_RETURN_IF_ERROR(operations());
    state_ = State::kWarm;
    return {};
  }
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  if (state_ == State::kWarm) {
    CLIPTAG_RETURN_IF_ERROR(Capture(operations));
    state_ = exec_ != nullptr ? State::kRecorded : State::kPlain;
  }
  if (state_ == State::kPlain) return operations();
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaGraphLaunch(exec_, stream_), "a recording was replayed");
  return {};
}

}  // namespace cliptag::cuda
