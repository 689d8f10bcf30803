// Frames in CUDA memory, as GStreamer's CUDA library (gstreamer-cuda-1.0) hands them around: one
// CUDA context shared with the elements beside, buffers mapped where they lie, pools of such
// buffers.
//
// Implemented by cuda_frames.cc with cuda_frames_1_22.cc or cuda_frames_1_24.cc, or, without that
// library, by cuda_frames_none.cc, which offers nothing.
//
// Ownership: holds a reference to the context from Open() or SetContext() to Close(); Keep() gives
// others one of their own. Threads: Open() and Close() while nothing streams; the rest any.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <memory>
#include <mutex>

#include "kernels/base/status.h"
#include "kernels/frame.h"

struct _GstCudaContext;

namespace cliptag {

inline constexpr char kCudaMemoryFeature[] = "memory:CUDAMemory";

class CudaFrames {
 public:
  explicit CudaFrames(GstElement* element) : element_(element) {}
  ~CudaFrames() { Close(); }
  CudaFrames(const CudaFrames&) = delete;
  CudaFrames& operator=(const CudaFrames&) = delete;

  // "{ NV12, … }", what such memory can hold; null if this build knows none.
  static const char* Formats();
  // Whether the library finds a driver. The first call looks for it.
  static bool Available();

  // The context that the application or a neighbour has, or a new one of that device, which they
  // learn of. Without one (no device): context() stays null.
  void Open(int device);
  void Close();
  // From GstElementClass.set_context: taken if it is a CUDA context of that device.
  void SetContext(GstContext* context, int device);
  bool AnswerContextQuery(GstQuery* query);

  void* context() const;               // a CUcontext, or null
  std::shared_ptr<void> Keep() const;  // keeps context() valid

  // Makes the context the calling thread's for as long as this lives, so that whatever CUDA calls
  // set is gone afterwards. Nothing without a context.
  class Scope {
   public:
    explicit Scope(const CudaFrames& frames);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    bool pushed_ = false;
  };

  // How to map a frame where it lies: flags, and strides where the buffer itself does not tell.
  // An error: it is not in memory of this context.
  Status Prepare(GstBuffer* buffer, GstVideoInfo* info, GstMapFlags* flags) const;
  // To be called once it is mapped: says in the view where the samples are, and whose stream fills
  // them.
  static Status Finish(const GstVideoFrame& frame, FrameView* view);

  // A pool of frames of these caps in this context; null if there can be none. Full reference.
  GstBufferPool* NewPool(GstCaps* caps, guint min, guint max, guint* size) const;

 private:
  _GstCudaContext* Get() const;

  GstElement* const element_;
  mutable std::mutex mutex_;
  // Guarded by mutex_, but for the time that gst_cuda_ensure_element_context() fills it.
  _GstCudaContext* context_ = nullptr;
};

}  // namespace cliptag
