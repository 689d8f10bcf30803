// Preprocessing of 64 NV12 frames of 1920x1080: the kernel alone, and the whole operation with
// frames in the card's memory and in the host's.
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/preprocess/frame_staging.h"
#include "kernels/cuda/preprocess/operation.h"
#include "tests/gpu/bench/support.h"

namespace cliptag::bench {
namespace {

FrameView Nv12(const void* samples, int width, int height, FrameMemory memory) {
  const auto* luma = static_cast<const uint8_t*>(samples);
  const uint8_t* chroma = luma + static_cast<size_t>(width) * height;
  FrameView view;
  view.kind = PixelKind::kYuv;
  view.width = width;
  view.height = height;
  view.component[0] = {luma, width, 1};
  view.component[1] = {chroma, width, 2};
  view.component[2] = {chroma + 1, width, 2};
  view.chroma_shift_x = view.chroma_shift_y = 1;
  view.matrix = YuvMatrix::kBt709;
  view.full_range = false;
  view.memory = memory;
  return view;
}

// The bytes that the filters need: what staging would copy.
double BytesOf(const FrameView& frame, const PreprocessSpec& spec) {
  size_t offset = 0;
  double bytes = 0;
  std::vector<cuda::StagedPlane> planes;
  (void)cuda::PlanStaging(frame, spec, &offset, &planes);
  for (const cuda::StagedPlane& plane : planes) {
    bytes += static_cast<double>(plane.rows) * static_cast<double>(plane.row_bytes);
  }
  return bytes;
}

struct Batch {
  std::vector<RandomMatrix> memory;
  std::vector<FrameView> on_device;
  std::vector<std::vector<uint16_t>> host;
  std::vector<FrameView> on_host;
};

Batch MakeBatch(int frames, int width, int height) {
  Batch batch;
  const int64_t words = int64_t{width} * height * 3 / 4;  // NV12 has 12 bits a pixel
  for (int i = 0; i < frames; ++i) {
    batch.memory.emplace_back(1, words, DType::kBF16);
    batch.on_device.push_back(
        Nv12(batch.memory.back().get().data, width, height, FrameMemory::kCuda));
  }
  // Fewer buffers: random numbers take the host its time.
  for (int i = 0; i < 4; ++i) {
    batch.host.push_back(RandomHalves(static_cast<size_t>(words), DType::kBF16, 1));
  }
  for (int i = 0; i < frames; ++i) {
    batch.on_host.push_back(Nv12(batch.host[static_cast<size_t>(i) % batch.host.size()].data(),
                                 width, height, FrameMemory::kHost));
  }
  return batch;
}

class Preprocessing {
 public:
  Preprocessing(const Options& options, const PreprocessSpec& spec, const Batch& batch)
      : options_(options),
        spec_(spec),
        batch_(batch),
        out_(static_cast<int64_t>(batch.on_device.size()) * (spec.size / spec.patch) *
                 (spec.size / spec.patch),
             int64_t{3} * spec.patch * spec.patch, options.type) {
    bytes_ = static_cast<double>(out_.get().rows * out_.get().cols) * 2;
    for (const FrameView& view : batch.on_device) bytes_ += BytesOf(view, spec);
  }

  void Kernel() {
    StreamTimer timer;
    cuda::PreprocessPlan plan;
    Check(plan.Build(batch_.on_device, spec_));
    const auto table = Check(cuda::DeviceMemory::Allocate(plan.table().size()));
    Check(cudaMemcpy(table->data(), plan.table().data(), plan.table().size(),
                     cudaMemcpyHostToDevice));
    Check(cudaDeviceSynchronize());
    Report("kernel", timer.Measure(options_.seconds, options_.small ? 1 : 10, [&](int) {
      return cuda::RunPreprocess(timer.stream(), plan, table->data(), out_);
    }));
  }

  void Whole(const char* what, const std::vector<FrameView>& views) {
    const auto backend = Check(cuda::CreateDeviceBackend(
        {.kind = BackendKind::kCuda,
         .precision = options_.type == DType::kF16 ? Precision::kFp16 : Precision::kBf16}));
    Report(what, MeasureOnHost(
                     options_.seconds, [&] { return backend->Preprocess(views, spec_, out_); },
                     [&] { return backend->Sync(); }));
  }

 private:
  void Report(const char* what, const Timing& t) const {
    const auto frames = static_cast<double>(batch_.on_device.size());
    JsonLine("preprocess")
        .Text("name", what)
        .Number("width", batch_.on_device[0].width)
        .Number("height", batch_.on_device[0].height)
        .Number("frames", frames)
        .Number("size", spec_.size)
        .Number("patch", spec_.patch)
        .Number("us", t.median * 1e6)
        .Number("best_us", t.best * 1e6)
        .Number("frames_per_second", frames / t.median)
        .Number("gb_s", bytes_ / t.median * 1e-9);
  }

  const Options& options_;
  const PreprocessSpec spec_;
  const Batch& batch_;
  const RandomMatrix out_;
  double bytes_ = 0;
};

}  // namespace

void MeasurePreprocess(const Options& options) {
  const Batch batch = options.small ? MakeBatch(2, 64, 48) : MakeBatch(64, 1920, 1080);
  PreprocessSpec spec;
  spec.fit = Fit::kCrop;
  for (const int patch : options.small ? std::vector{16} : std::vector{32, 14}) {
    spec.size = options.small ? 32 : 224;
    spec.patch = patch;
    Preprocessing preprocessing(options, spec, batch);
    preprocessing.Kernel();
    preprocessing.Whole("frames in device memory", batch.on_device);
    preprocessing.Whole("frames in host memory", batch.on_host);
  }
}

}  // namespace cliptag::bench
