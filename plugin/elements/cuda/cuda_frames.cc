#include "plugin/elements/cuda/cuda_frames.h"

#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudautils.h>

#include <string>

#include "plugin/elements/cuda/cuda_memory.h"

namespace cliptag {
namespace {

guint DeviceOf(GstCudaContext* context) {
  guint device = 0;
  g_object_get(context, "cuda-device-id", &device, nullptr);
  return device;
}

// The one memory of a frame; null if it is not CUDA's.
GstCudaMemory* MemoryOf(GstBuffer* buffer) {
  if (gst_buffer_n_memory(buffer) != 1) return nullptr;
  GstMemory* memory = gst_buffer_peek_memory(buffer, 0);
  return gst_is_cuda_memory(memory) ? GST_CUDA_MEMORY_CAST(memory) : nullptr;
}

Status OtherContext(GstCudaContext* theirs, GstCudaContext* ours) {
  const guint frames = DeviceOf(theirs), own = DeviceOf(ours);
  if (frames == own) {
    return InvalidArgument(
        "The frame lies in a CUDA context that is not cliptag's: put cudadownload before cliptag, "
        "or have both in one pipeline when it starts, so that they share one.");
  }
  return InvalidArgument("The frame lies on CUDA device " + std::to_string(frames) +
                         " and cliptag works on device " + std::to_string(own) + ": set device=" +
                         std::to_string(frames) + ", or put cudadownload before cliptag.");
}

}  // namespace

const char* CudaFrames::Formats() { return kCudaFormats; }

bool CudaFrames::Available() {
  static const bool available = gst_cuda_load_library();
  return available;
}

void CudaFrames::Open(int device) {
  if (!Available()) return;
  gst_cuda_memory_init_once();  // its allocator, for NewPool()
  // Not under the lock: it asks the neighbours, who may ask back, and calls SetContext().
  (void)gst_cuda_ensure_element_context(element_, device, &context_);
}

void CudaFrames::Close() {
  GstCudaContext* context = nullptr;
  {
    const std::lock_guard lock(mutex_);
    std::swap(context, context_);
  }
  gst_clear_object(&context);
}

void CudaFrames::SetContext(GstContext* context, int device) {
  // The context that is taken is one of CUDA's, which does not exist without the driver.
  if (!Available()) return;
  const std::lock_guard lock(mutex_);
  gst_cuda_handle_set_context(element_, context, device, &context_);
}

bool CudaFrames::AnswerContextQuery(GstQuery* query) {
  GstCudaContext* context = Get();
  if (context == nullptr) return false;
  const bool answered = gst_cuda_handle_context_query(element_, query, context);
  gst_object_unref(context);
  return answered;
}

// With a reference for the caller.
GstCudaContext* CudaFrames::Get() const {
  const std::lock_guard lock(mutex_);
  return context_ != nullptr ? GST_CUDA_CONTEXT(gst_object_ref(context_)) : nullptr;
}

void* CudaFrames::context() const {
  const std::lock_guard lock(mutex_);
  return context_ != nullptr ? gst_cuda_context_get_handle(context_) : nullptr;
}

std::shared_ptr<void> CudaFrames::Keep() const {
  GstCudaContext* context = Get();
  if (context == nullptr) return nullptr;
  return {context, [](void* object) { gst_object_unref(object); }};
}

CudaFrames::Scope::Scope(const CudaFrames& frames) {
  GstCudaContext* context = frames.Get();
  if (context == nullptr) return;
  pushed_ = gst_cuda_context_push(context);
  gst_object_unref(context);
}

CudaFrames::Scope::~Scope() {
  if (pushed_) gst_cuda_context_pop(nullptr);
}

Status CudaFrames::Prepare(GstBuffer* buffer, GstVideoInfo* info, GstMapFlags* flags) const {
  GstCudaMemory* memory = MemoryOf(buffer);
  if (memory == nullptr) {
    return InvalidArgument("The frame is not in CUDA memory, which its caps promise.");
  }
  GstCudaContext* own = Get();
  if (own == nullptr) return Unsupported("There is no CUDA context to read the frame in.");
  const bool shared =
      gst_cuda_context_get_handle(memory->context) == gst_cuda_context_get_handle(own);
  const Status status = shared ? Status() : OtherContext(memory->context, own);
  gst_object_unref(own);
  if (!status.ok()) return status;
  *flags = static_cast<GstMapFlags>(int{GST_MAP_READ} | int{GST_MAP_CUDA});
  // Rows have a pitch of the device's choosing, which the memory knows.
  if (gst_buffer_get_video_meta(buffer) == nullptr) {
    const GstVideoInfo& stored = memory->info;
    if (GST_VIDEO_INFO_FORMAT(&stored) != GST_VIDEO_INFO_FORMAT(info) ||
        stored.width != info->width || stored.height != info->height) {
      return InvalidArgument("The frame does not hold what its caps promise.");
    }
    for (int plane = 0; plane < GST_VIDEO_MAX_PLANES; ++plane) {
      info->stride[plane] = stored.stride[plane];
      info->offset[plane] = stored.offset[plane];
    }
    info->size = stored.size;
  }
  return {};
}

Status CudaFrames::Finish(const GstVideoFrame& frame, FrameView* view) {
  // A wrong address would not fault here but end the device's context for everyone.
  const bool own_maps = frame.meta != nullptr;
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&frame); ++c) {
    const gint plane = GST_VIDEO_FRAME_COMP_PLANE(&frame, c);
    const GstMapInfo& map = frame.map[own_maps ? plane : 0];
    const gssize begin = static_cast<const guint8*>(frame.data[plane]) - map.data;
    const gssize rows = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, c);
    const gssize stride = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane);
    const gssize row =
        gssize{GST_VIDEO_FRAME_COMP_WIDTH(&frame, c)} * GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c);
    if (begin < 0 || stride < 0 || begin + (rows - 1) * stride + row > gssize(map.size)) {
      return InvalidArgument("The frame's planes reach beyond its CUDA memory.");
    }
  }
  view->memory = FrameMemory::kCuda;
  view->cuda_stream = CudaStreamOf(MemoryOf(frame.buffer));
  return {};
}

GstBufferPool* CudaFrames::NewPool(GstCaps* caps, guint min, guint max, guint* size) const {
  GstCudaContext* context = Get();
  if (context == nullptr) return nullptr;
  GstBufferPool* pool = gst_cuda_buffer_pool_new(context);
  gst_object_unref(context);
  GstVideoInfo info;
  bool ok = gst_video_info_from_caps(&info, caps);
  if (ok) {
    GstStructure* config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, caps, static_cast<guint>(info.size), min, max);
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
    ok = gst_buffer_pool_set_config(pool, config);
  }
  if (!ok) {
    gst_object_unref(pool);
    return nullptr;
  }
  // Rows have been padded.
  GstStructure* config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_get_params(config, nullptr, size, nullptr, nullptr);
  gst_structure_free(config);
  return pool;
}

}  // namespace cliptag
