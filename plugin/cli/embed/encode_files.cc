#include "plugin/cli/embed/encode_files.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "models/finite.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/media/frame_stream.h"

namespace cliptag {
namespace {

// A batch of huge pictures is closed early, so that memory stays bounded.
constexpr size_t kMaxBatchBytes = size_t{256} << 20;
constexpr int kMaxDecoders = 4;

class Batcher {
 public:
  Batcher(ClipModel& model, const InputOptions& input, const EncodeHandlers& handlers)
      : model_(model), input_(input), handlers_(handlers) {}

  Status Add(FrameStream::Item item) {
    bytes_ += item.frame.bytes;
    items_.push_back(std::move(item));
    const bool full = static_cast<int>(items_.size()) >= input_.batch || bytes_ >= kMaxBatchBytes;
    return full ? Encode() : Status();
  }

  Status Encode() {
    if (items_.empty()) return {};
    const size_t dim = static_cast<size_t>(model_.config().embed_dim);
    std::vector<FrameView> views;
    for (const FrameStream::Item& item : items_) views.push_back(item.frame.view);
    embeddings_.resize(items_.size() * dim);
    CLIPTAG_RETURN_IF_ERROR(
        model_.image().Encode(views, model_.config().preprocess, embeddings_.data()));
    for (size_t i = 0; i < items_.size(); ++i) {
      if (!AreFinite({embeddings_.data() + i * dim, dim})) {
        return DataLoss("The model " + model_.config().name + " gives " +
                        input_.files[items_[i].file] +
                        " an embedding that holds NaN or infinity; its weights are damaged, or "
                        "overflow in this precision.");
      }
      CLIPTAG_RETURN_IF_ERROR(
          handlers_.frame({input_.files[items_[i].file], items_[i].frame.view,
                           items_[i].frame.time_s, std::span(embeddings_).subspan(i * dim, dim)}));
    }
    frames_ += items_.size();
    items_.clear();
    bytes_ = 0;
    return {};
  }

  size_t frames() const { return frames_; }

 private:
  ClipModel& model_;
  const InputOptions& input_;
  const EncodeHandlers& handlers_;
  std::vector<FrameStream::Item> items_;
  std::vector<float> embeddings_;  // (items, dim)
  size_t bytes_ = 0, frames_ = 0;
};

}  // namespace

Status EncodeFiles(ClipModel& model, const InputOptions& input, const EncodeHandlers& handlers) {
  CLIPTAG_RETURN_IF_ERROR(model.image().Setup(input.batch));
  MediaOptions media;
  media.fps = input.fps;
  const int decoders = std::clamp(model.backend().info().threads, 1, kMaxDecoders);
  FrameStream stream(input.files, media, decoders);
  Batcher batcher(model, input, handlers);
  Progress progress;
  while (std::optional<FrameStream::Item> item = stream.Next()) {
    progress.Show("file " + std::to_string(item->file + 1) + " of " +
                  std::to_string(input.files.size()) + ", " + std::to_string(batcher.frames()) +
                  " frames encoded");
    if (item->status.ok()) {
      CLIPTAG_RETURN_IF_ERROR(batcher.Add(std::move(*item)));
    } else {
      CLIPTAG_RETURN_IF_ERROR(handlers.bad_file(input.files[item->file], item->status));
    }
  }
  return batcher.Encode();
}

}  // namespace cliptag
