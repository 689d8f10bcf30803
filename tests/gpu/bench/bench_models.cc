// The image encoders, from a prepared tensor to embeddings.
#include <algorithm>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "tests/gpu/bench/shapes.h"
#include "tests/gpu/bench/support.h"

namespace cliptag::bench {
namespace {

// Fills the encoder's input with noise for `count` pictures.
void Prepare(RandomEncoder& model, int count) {
  const int size = model.config().preprocess.size;
  std::vector<uint8_t> noise(size_t{3} * size * size);
  uint32_t state = 20261124;
  for (uint8_t& value : noise) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<uint8_t>(state >> 24);
  }
  const FrameView view = RgbView(noise.data(), ptrdiff_t{3} * size, size, size, RgbOrder::kRgb);
  const std::vector<FrameView> views(static_cast<size_t>(count), view);
  PreprocessSpec spec = model.config().preprocess;
  spec.fit = Fit::kCrop;
  Check(model.encoder().Preprocess(views, spec));
}

void MeasureModel(const Options& options, const Shape& shape) {
  // A backend of its own: the model's memory goes with it.
  const auto backend = Check(cuda::CreateDeviceBackend(
      {.kind = BackendKind::kCuda,
       .precision = options.type == DType::kF16 ? Precision::kFp16 : Precision::kBf16}));
  RandomEncoder model(*backend, shape);
  const int largest = *std::max_element(options.batches.begin(), options.batches.end());
  Check(model.encoder().Setup(largest));
  Prepare(model, largest);
  for (const int batch : options.batches) {
    const auto encode = [&] { return model.encoder().EncodePrepared(batch).status(); };
    const auto wait = [&] { return backend->Sync(); };
    const auto encode_and_wait = [&] {
      const Status status = encode();
      return status.ok() ? wait() : status;
    };
    const Timing queued = MeasureOnHost(options.seconds, encode, wait);
    const Timing alone = MeasureOnHost(options.seconds, encode_and_wait, [] { return Status(); });
    JsonLine("model")
        .Text("name", shape.name)
        .Text("engine", "cliptag")
        .Text("precision", ToString(backend->info().precision))
        .Number("batch", batch)
        .Number("ms", queued.median * 1e3)
        .Number("best_ms", queued.best * 1e3)
        .Number("latency_ms", alone.median * 1e3)
        .Number("images_per_second", batch / queued.median)
        .Number("tflops", FlopsOf(shape) * batch / queued.median * 1e-12);
  }
}

}  // namespace

void MeasureModels(const Options& options) {
  for (const Shape& shape : Shapes(options.small)) {
    const auto& wanted = options.models;
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), shape.name) != wanted.end()) {
      MeasureModel(options, shape);
    }
  }
}

}  // namespace cliptag::bench
