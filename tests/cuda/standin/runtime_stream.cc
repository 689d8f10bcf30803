// The runtime's calls about streams and events.
#include <algorithm>

#include "tests/cuda/standin/runtime.h"

using namespace cliptag::standin;  // NOLINT: implements CUDA's names with it

namespace {

cudaError_t NoSuch(Runtime& runtime, const char* function, const char* what) {
  return runtime.Misuse(function, std::string("no such ") + what, cudaErrorInvalidResourceHandle);
}

// Whether the host may wait for the event, or ask about it.
cudaError_t CheckWaitable(const Event& event) {
  return event.capture != nullptr ? cudaErrorCapturedEvent : cudaSuccess;
}

cudaError_t WaitWhileCapturing(Runtime& runtime, Stream& stream, const Event& event) {
  const std::shared_ptr<Capture>& capture = event.capture;
  if (capture == nullptr || capture->ended) {
    return runtime.Invalidate(*stream.capture, cudaErrorStreamCaptureIsolation);
  }
  if (stream.capture != nullptr && stream.capture != capture) {
    runtime.Invalidate(*stream.capture, cudaErrorStreamCaptureMerge);
    return runtime.Invalidate(*capture, cudaErrorStreamCaptureMerge);
  }
  if (capture->invalidated) return cudaErrorStreamCaptureInvalidated;
  stream.capture = capture;
  for (const size_t node : event.nodes) {
    if (std::find(stream.tails.begin(), stream.tails.end(), node) == stream.tails.end()) {
      stream.tails.push_back(node);
    }
  }
  return cudaSuccess;
}

cudaError_t CreateStream(const char* function, cudaStream_t* stream, unsigned flags) {
  return Call(function, kPlain, [&](Runtime& runtime) {
    if (stream == nullptr || (flags & ~static_cast<unsigned>(cudaStreamNonBlocking)) != 0) {
      return cudaErrorInvalidValue;
    }
    *stream = runtime.streams.Add(runtime.NewStream((flags & cudaStreamNonBlocking) == 0));
    return cudaSuccess;
  });
}

cudaError_t CreateEvent(const char* function, cudaEvent_t* event, unsigned flags) {
  return Call(function, kPlain, [&](Runtime& runtime) {
    constexpr unsigned kKnown =
        cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (event == nullptr || (flags & ~kKnown) != 0) return cudaErrorInvalidValue;
    auto object = std::make_shared<Event>();
    object->device = runtime.device();
    object->flags = flags;
    *event = runtime.events.Add(std::move(object));
    return cudaSuccess;
  });
}

}  // namespace

cudaError_t cudaStreamCreate(cudaStream_t* pStream) {
  return CreateStream("cudaStreamCreate", pStream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* pStream, unsigned int flags) {
  return CreateStream("cudaStreamCreateWithFlags", pStream, flags);
}

// What is queued may still run: when something waits for it.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return Call("cudaStreamDestroy", kRelease, [&](Runtime& runtime) {
    const auto object = runtime.streams.Find(stream);
    if (object == nullptr) return NoSuch(runtime, "cudaStreamDestroy", "stream");
    if (object->capture != nullptr) {
      runtime.problems.push_back("cudaStreamDestroy: the stream is capturing");
      runtime.Invalidate(*object->capture, cudaErrorStreamCaptureInvalidated);
    }
    object->destroyed = true;
    runtime.streams.Remove(stream);
    if (object->queue.empty()) std::erase(runtime.all_streams(), object);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return Call("cudaStreamSynchronize", kUnsafe, [&](Runtime& runtime) {
    const auto object = runtime.FindStream(stream);
    if (object == nullptr) return NoSuch(runtime, "cudaStreamSynchronize", "stream");
    if (object->capture != nullptr) {
      return runtime.Invalidate(*object->capture, cudaErrorStreamCaptureUnsupported);
    }
    return runtime.RunUntil({object, object->queued});
  });
}

// Each query lets one entry run, so that whoever polls gets on.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return Call("cudaStreamQuery", kUnsafe, [&](Runtime& runtime) {
    const auto object = runtime.FindStream(stream);
    if (object == nullptr) return NoSuch(runtime, "cudaStreamQuery", "stream");
    if (object->capture != nullptr) {
      return runtime.Invalidate(*object->capture, cudaErrorStreamCaptureUnsupported);
    }
    if (object->queue.empty()) return cudaSuccess;
    const cudaError_t error = runtime.RunOne(object);
    return error != cudaSuccess ? error : cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
  return Call("cudaStreamWaitEvent", kPlain, [&](Runtime& runtime) {
    const auto target = runtime.FindStream(stream);
    const auto object = runtime.events.Find(event);
    if (target == nullptr) return NoSuch(runtime, "cudaStreamWaitEvent", "stream");
    if (object == nullptr) return NoSuch(runtime, "cudaStreamWaitEvent", "event");
    if (flags != 0) return cudaErrorInvalidValue;
    const bool forks = object->capture != nullptr && !object->capture->ended;
    if (target->capture != nullptr || forks) return WaitWhileCapturing(runtime, *target, *object);
    if (object->capture != nullptr) return cudaErrorCapturedEvent;
    // An event that was never recorded holds nobody up.
    return object->recorded ? runtime.EnqueueWait(target, object->position) : cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return CreateEvent("cudaEventCreate", event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return CreateEvent("cudaEventCreateWithFlags", event, flags);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return Call("cudaEventDestroy", kRelease, [&](Runtime& runtime) {
    return runtime.events.Remove(event) ? cudaSuccess
                                        : NoSuch(runtime, "cudaEventDestroy", "event");
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return Call("cudaEventRecord", kPlain, [&](Runtime& runtime) {
    const auto object = runtime.events.Find(event);
    const auto target = runtime.FindStream(stream);
    if (object == nullptr) return NoSuch(runtime, "cudaEventRecord", "event");
    if (target == nullptr || target->device != object->device) {
      return NoSuch(runtime, "cudaEventRecord", "stream on the event's device");
    }
    if (target->capture != nullptr) {
      if (target->capture->invalidated) return cudaErrorStreamCaptureInvalidated;
      object->capture = target->capture;
      object->nodes = target->tails;
      object->recorded = true;
      return cudaSuccess;
    }
    object->capture.reset();
    const auto time = std::make_shared<uint64_t>();
    const cudaError_t error = runtime.Enqueue(
        target, std::make_shared<Operation>(Operation{"event", [&runtime, time]() -> Outcome {
                                                        *time = runtime.clock_us;
                                                        return {};
                                                      }}));
    if (error != cudaSuccess) return error;
    object->recorded = true;
    object->time = time;
    object->position = {target, target->queued};
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return Call("cudaEventSynchronize", kUnsafe, [&](Runtime& runtime) {
    const auto object = runtime.events.Find(event);
    if (object == nullptr) return NoSuch(runtime, "cudaEventSynchronize", "event");
    const cudaError_t error = CheckWaitable(*object);
    return error != cudaSuccess ? error : runtime.RunUntil(object->position);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return Call("cudaEventQuery", kUnsafe, [&](Runtime& runtime) {
    const auto object = runtime.events.Find(event);
    if (object == nullptr) return NoSuch(runtime, "cudaEventQuery", "event");
    const cudaError_t waitable = CheckWaitable(*object);
    if (waitable != cudaSuccess || object->position.Passed()) return waitable;
    const cudaError_t error = runtime.RunOne(object->position.stream);
    return error != cudaSuccess ? error : cudaErrorNotReady;
  });
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return Call("cudaEventElapsedTime", kPlain, [&](Runtime& runtime) {
    const auto first = runtime.events.Find(start), last = runtime.events.Find(end);
    if (first == nullptr || last == nullptr) {
      return NoSuch(runtime, "cudaEventElapsedTime", "event");
    }
    if (ms == nullptr) return cudaErrorInvalidValue;
    for (const Event* event : {first.get(), last.get()}) {
      if (!event->recorded || event->time == nullptr || event->flags & cudaEventDisableTiming) {
        return runtime.Misuse("cudaEventElapsedTime", "an event without a time",
                              cudaErrorInvalidResourceHandle);
      }
    }
    if (!first->position.Passed() || !last->position.Passed()) return cudaErrorNotReady;
    *ms = static_cast<float>(static_cast<int64_t>(*last->time - *first->time)) / 1000;
    return cudaSuccess;
  });
}
