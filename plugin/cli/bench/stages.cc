#include "plugin/cli/bench/stages.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "models/prompts/prompts.h"
#include "plugin/cli/media/raw_frames.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {
namespace {

// Frames come from somewhere else than the cache: as many batches as fill it, within reason.
Result<int> RotatingBatches(const BenchShape& shape) {
  constexpr size_t kFill = size_t{64} << 20, kLimit = size_t{512} << 20;
  CLIPTAG_ASSIGN_OR_RETURN(const size_t frame,
                           RawFrameBytes(shape.format, shape.width, shape.height));
  const size_t batch = frame * static_cast<size_t>(shape.batch);
  if (2 * batch > kLimit) return 1;
  return static_cast<int>(std::clamp<size_t>((kFill + batch - 1) / batch, 2, 16));
}

// From a prepared tensor to embeddings: the image encoder alone.
class EncodeStage : public BenchStage {
 public:
  EncodeStage(ClipModel& model, int batch) : model_(model), batch_(batch) {}

  Status Setup() {
    const int size = model_.config().preprocess.size;
    CLIPTAG_ASSIGN_OR_RETURN(const RawFrames frames, RawFrames::Make("RGB", size, size, batch_));
    CLIPTAG_RETURN_IF_ERROR(model_.image().Setup(batch_));
    CLIPTAG_RETURN_IF_ERROR(model_.image().Preprocess(frames.views(), model_.config().preprocess));
    return model_.backend().Sync();
  }

  Status Run(int64_t) override {
    CLIPTAG_RETURN_IF_ERROR(model_.image().EncodePrepared(batch_).status());
    return model_.backend().Sync();
  }

 private:
  ClipModel& model_;
  const int batch_;
};

// From raw frames to the prepared tensor.
class PreprocessStage : public BenchStage {
 public:
  PreprocessStage(ClipModel& model, BenchShape shape) : model_(model), shape_(std::move(shape)) {}

  Status Setup() {
    CLIPTAG_ASSIGN_OR_RETURN(batches_, RotatingBatches(shape_));
    CLIPTAG_ASSIGN_OR_RETURN(frames_, RawFrames::Make(shape_.format, shape_.width, shape_.height,
                                                      batches_ * shape_.batch));
    return model_.image().Setup(shape_.batch);
  }

  Status Run(int64_t i) override {
    CLIPTAG_RETURN_IF_ERROR(Preprocess(i));
    return model_.backend().Sync();
  }

 protected:
  Status Preprocess(int64_t i) {
    const size_t batch = static_cast<size_t>(shape_.batch);
    const size_t first = static_cast<size_t>(i % batches_) * batch;
    return model_.image().Preprocess(frames_.views().subspan(first, batch),
                                     model_.config().preprocess);
  }

  ClipModel& model_;
  const BenchShape shape_;

 private:
  int batches_ = 1;
  RawFrames frames_;
};

// From texts to embeddings, tokenizer included.
class TextStage : public BenchStage {
 public:
  TextStage(ClipModel& model, int batch) : model_(model), batch_(static_cast<size_t>(batch)) {
    const char* const things[] = {"dog", "red car", "fire", "bicycle on a road", "cup of coffee"};
    const char* const templates[] = {"a photo of a ", "a blurry photo of a ", "a ",
                                     "a picture, seen by a surveillance camera, of a "};
    for (const char* begin : templates) {
      for (const char* thing : things) texts_.push_back(std::string(begin) + thing + ".");
    }
    const size_t different = texts_.size();
    while (texts_.size() < different + batch_) texts_.push_back(texts_[texts_.size() - different]);
    rows_.resize(batch_ * static_cast<size_t>(model.config().embed_dim));
    different_ = different;
  }

  Status Run(int64_t i) override {
    const size_t first = static_cast<size_t>(i) * batch_ % different_;
    return model_.EncodeTexts(std::span(texts_).subspan(first, batch_), rows_.data());
  }

 private:
  ClipModel& model_;
  const size_t batch_;
  size_t different_ = 0;
  std::vector<std::string> texts_;
  std::vector<float> rows_;  // (batch, dim)
};

// From raw frames to tags.
class AllStage : public PreprocessStage {
 public:
  using PreprocessStage::PreprocessStage;

  Status Setup() {
    CLIPTAG_RETURN_IF_ERROR(PreprocessStage::Setup());
    CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ParsePrompts(kBenchPrompts));
    spec.templates = model_.config().templates;
    const int dim = model_.config().embed_dim;
    // Past the cache of texts, which is the user's.
    CLIPTAG_ASSIGN_OR_RETURN(bank_,
                             BuildPromptBank(std::move(spec), dim,
                                             [&](std::span<const std::string> texts, float* rows,
                                                 std::vector<std::string>* truncated) {
                                               return model_.EncodeTexts(texts, rows, truncated);
                                             }));
    const int rows = bank_->row_count();
    Backend& backend = model_.backend();
    CLIPTAG_ASSIGN_OR_RETURN(
        bank_memory_, backend.Upload({bank_->rows.data(), DType::kF32, {rows, dim}}, DType::kF32));
    CLIPTAG_ASSIGN_OR_RETURN(cosine_memory_,
                             backend.Allocate(sizeof(float) * size_t(shape_.batch) * size_t(rows)));
    cosines_.resize(size_t(shape_.batch) * size_t(rows));
    scores_.resize(size_t(bank_->tags));
    return {};
  }

  Status Run(int64_t i) override {
    CLIPTAG_RETURN_IF_ERROR(Preprocess(i));
    CLIPTAG_ASSIGN_OR_RETURN(const Matrix embeddings, model_.image().EncodePrepared(shape_.batch));
    const int rows = bank_->row_count(), dim = bank_->dim;
    const Matrix bank{bank_memory_->data(), DType::kF32, rows, dim, dim};
    const Matrix cosines{cosine_memory_->data(), DType::kF32, shape_.batch, rows, rows};
    Backend& backend = model_.backend();
    CLIPTAG_RETURN_IF_ERROR(backend.Similarity(embeddings, bank, cosines));
    CLIPTAG_RETURN_IF_ERROR(backend.CopyToHost(cosines, cosines_.data()));
    for (int b = 0; b < shape_.batch; ++b) {
      ScoreTags(*bank_, std::span(cosines_).subspan(size_t(b) * size_t(rows), size_t(rows)),
                Scoring::kContrast, model_.config().logit_scale, model_.config().logit_bias,
                scores_);
    }
    return {};
  }

 private:
  std::shared_ptr<const PromptBank> bank_;
  std::unique_ptr<Memory> bank_memory_;    // (rows, dim)
  std::unique_ptr<Memory> cosine_memory_;  // (batch, rows)
  std::vector<float> cosines_;             // (batch, rows)
  std::vector<double> scores_;             // (tags)
};

template <typename Stage>
Result<std::unique_ptr<BenchStage>> SetUp(std::unique_ptr<Stage> stage) {
  CLIPTAG_RETURN_IF_ERROR(stage->Setup());
  return std::unique_ptr<BenchStage>(std::move(stage));
}

}  // namespace

Result<std::unique_ptr<BenchStage>> MakeBenchStage(const std::string& name, ClipModel& model,
                                                   const BenchShape& shape) {
  if (name == "encode") return SetUp(std::make_unique<EncodeStage>(model, shape.batch));
  if (name == "preprocess") return SetUp(std::make_unique<PreprocessStage>(model, shape));
  if (name == "all") return SetUp(std::make_unique<AllStage>(model, shape));
  if (name == "text") {
    return std::unique_ptr<BenchStage>(std::make_unique<TextStage>(model, shape.batch));
  }
  return InvalidArgument("there is no stage '" + name + "': encode, preprocess, text or all");
}

}  // namespace cliptag
