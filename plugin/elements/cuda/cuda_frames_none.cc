// A build without gstreamer-cuda-1.0 takes no frames in CUDA memory.
#include "plugin/elements/cuda/cuda_frames.h"

namespace cliptag {

const char* CudaFrames::Formats() { return nullptr; }
bool CudaFrames::Available() { return false; }
void CudaFrames::Open(int) {}
void CudaFrames::Close() {}
void CudaFrames::SetContext(GstContext*, int) {}
bool CudaFrames::AnswerContextQuery(GstQuery*) { return false; }
void* CudaFrames::context() const { return nullptr; }
std::shared_ptr<void> CudaFrames::Keep() const { return nullptr; }
CudaFrames::Scope::Scope(const CudaFrames&) {}
CudaFrames::Scope::~Scope() = default;
Status CudaFrames::Prepare(GstBuffer*, GstVideoInfo*, GstMapFlags*) const {
  return Unsupported("This build of cliptag knows no frames in CUDA memory.");
}
Status CudaFrames::Finish(const GstVideoFrame&, FrameView*) { return {}; }
GstBufferPool* CudaFrames::NewPool(GstCaps*, guint, guint, guint*) const { return nullptr; }

}  // namespace cliptag
