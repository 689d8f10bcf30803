// The runtime's calls about captures and graphs.
#include <algorithm>

#include "tests/cuda/standin/runtime.h"

using namespace cliptag::standin;  // NOLINT: implements CUDA's names with it

namespace {

// Whether every node is one of `tails` or comes before one of them.
bool IsJoined(const std::vector<Node>& nodes, const std::vector<size_t>& tails) {
  std::vector<bool> reached(nodes.size());
  for (const size_t tail : tails) reached[tail] = true;
  for (size_t i = nodes.size(); i-- > 0;) {  // edges lead to earlier nodes
    if (!reached[i]) return false;
    for (const size_t before : nodes[i].after) reached[before] = true;
  }
  return true;
}

// Runs the nodes in an awkward order: of those that are ready the last recorded, or by the seed.
Outcome RunNodes(Runtime& runtime, const std::vector<Node>& nodes) {
  std::vector<size_t> waiting(nodes.size());
  std::vector<std::vector<size_t>> next(nodes.size());
  std::vector<size_t> ready;
  for (size_t i = 0; i < nodes.size(); ++i) {
    waiting[i] = nodes[i].after.size();
    for (const size_t before : nodes[i].after) next[before].push_back(i);
    if (waiting[i] == 0) ready.push_back(i);
  }
  while (!ready.empty() && runtime.sticky() == cudaSuccess) {
    auto chosen = std::max_element(ready.begin(), ready.end());
    if (runtime.settings.order == kOthersFirst) {
      chosen = std::min_element(ready.begin(), ready.end());
    } else if (runtime.settings.order != kLatest) {
      chosen = ready.begin() + static_cast<ptrdiff_t>(runtime.Random(ready.size()));
    }
    const size_t node = *chosen;
    ready.erase(chosen);
    runtime.Execute(*nodes[node].operation);
    for (const size_t i : next[node]) {
      if (--waiting[i] == 0) ready.push_back(i);
    }
  }
  return {};
}

void Forget(Runtime& runtime, const std::shared_ptr<Capture>& capture) {
  capture->ended = true;
  std::erase(runtime.captures, capture);
  for (const auto& stream : runtime.all_streams()) {
    if (stream->capture != capture) continue;
    stream->capture.reset();
    stream->tails.clear();
  }
  capture->origin.reset();
}

cudaError_t EndCapture(Runtime& runtime, const std::shared_ptr<Stream>& stream,
                       cudaGraph_t* graph) {
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture == nullptr) return cudaErrorIllegalState;
  if (capture->origin != stream) {
    return runtime.Invalidate(*capture, cudaErrorStreamCaptureUnmatched);
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id()) {
    return runtime.Invalidate(*capture, cudaErrorStreamCaptureWrongThread);
  }
  const std::vector<size_t> tails = stream->tails;
  Forget(runtime, capture);
  if (capture->invalidated) return cudaErrorStreamCaptureInvalidated;
  if (!IsJoined(capture->nodes, tails)) return cudaErrorStreamCaptureUnjoined;
  ++runtime.counters.graphs_captured;
  *graph = runtime.graphs.Add(std::make_shared<Graph>(Graph{std::move(capture->nodes)}));
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return Call("cudaStreamBeginCapture", kPlain, [&](Runtime& runtime) {
    const auto object = runtime.FindStream(stream);
    if (object == nullptr) {
      return runtime.Misuse("cudaStreamBeginCapture", "no such stream",
                            cudaErrorInvalidResourceHandle);
    }
    if (object == runtime.LegacyStream()) return cudaErrorStreamCaptureUnsupported;
    if (object->capture != nullptr) return cudaErrorIllegalState;
    auto capture = std::make_shared<Capture>();
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->origin = object;
    object->capture = capture;
    object->tails.clear();
    runtime.captures.push_back(std::move(capture));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* pGraph) {
  return Call("cudaStreamEndCapture", kRelease, [&](Runtime& runtime) {
    if (pGraph == nullptr) return cudaErrorInvalidValue;
    *pGraph = nullptr;
    const auto object = runtime.FindStream(stream);
    if (object != nullptr) return EndCapture(runtime, object, pGraph);
    return runtime.Misuse("cudaStreamEndCapture", "no such stream", cudaErrorInvalidResourceHandle);
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* pCaptureStatus) {
  return Call("cudaStreamIsCapturing", kPlain, [&](Runtime& runtime) {
    if (pCaptureStatus == nullptr) return cudaErrorInvalidValue;
    const auto object = runtime.FindStream(stream);
    if (object == nullptr) return cudaErrorInvalidResourceHandle;
    *pCaptureStatus = object->capture == nullptr     ? cudaStreamCaptureStatusNone
                      : object->capture->invalidated ? cudaStreamCaptureStatusInvalidated
                                                     : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* pGraphExec, cudaGraph_t graph,
                                 unsigned long long flags) {
  return Call("cudaGraphInstantiate", kPlain, [&](Runtime& runtime) {
    if (pGraphExec == nullptr || flags != 0) return cudaErrorInvalidValue;
    *pGraphExec = nullptr;
    const auto object = runtime.graphs.Find(graph);
    if (object == nullptr) {
      return runtime.Misuse("cudaGraphInstantiate", "no such graph", cudaErrorInvalidValue);
    }
    auto exec = std::make_shared<GraphExec>();
    exec->nodes = std::make_shared<std::vector<Node>>(object->nodes);
    exec->device = runtime.device();
    *pGraphExec = runtime.execs.Add(std::move(exec));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream) {
  return Call("cudaGraphLaunch", kPlain, [&](Runtime& runtime) {
    const auto exec = runtime.execs.Find(graphExec);
    const auto target = runtime.FindStream(stream);
    if (exec == nullptr) {
      return runtime.Misuse("cudaGraphLaunch", "no such executable graph", cudaErrorInvalidValue);
    }
    if (target == nullptr || target->device != exec->device) {
      return runtime.Misuse("cudaGraphLaunch", "no stream of the graph's device",
                            cudaErrorInvalidResourceHandle);
    }
    const auto nodes = exec->nodes;
    if (target->capture == nullptr && !exec->last.Passed()) {
      runtime.EnqueueWait(target, exec->last);  // launches of one graph do not overlap
    }
    const cudaError_t error = runtime.Enqueue(
        target, std::make_shared<Operation>(Operation{"graph", [&runtime, nodes]() -> Outcome {
                                                        ++runtime.counters.graphs_launched;
                                                        return RunNodes(runtime, *nodes);
                                                      }}));
    if (error == cudaSuccess && target->capture == nullptr) exec->last = {target, target->queued};
    return error;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec) {
  return Call("cudaGraphExecDestroy", kRelease, [&](Runtime& runtime) {
    if (runtime.execs.Remove(graphExec)) return cudaSuccess;
    return runtime.Misuse("cudaGraphExecDestroy", "no such executable graph",
                          cudaErrorInvalidValue);
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return Call("cudaGraphDestroy", kRelease, [&](Runtime& runtime) {
    if (runtime.graphs.Remove(graph)) return cudaSuccess;
    return runtime.Misuse("cudaGraphDestroy", "no such graph", cudaErrorInvalidValue);
  });
}

// The nodes themselves are not to be had here, only how many there are.
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* numNodes) {
  return Call("cudaGraphGetNodes", kPlain, [&](Runtime& runtime) {
    const auto object = runtime.graphs.Find(graph);
    if (object == nullptr || numNodes == nullptr) return cudaErrorInvalidValue;
    if (nodes != nullptr) return cudaErrorNotSupported;
    *numNodes = object->nodes.size();
    return cudaSuccess;
  });
}
