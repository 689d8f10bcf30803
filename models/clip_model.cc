#include "models/clip_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/log.h"
#include "kernels/base/plain_text.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/clip_tensors.h"
#include "models/encoders/image_encoder.h"
#include "models/encoders/text_encoder.h"
#include "models/finite.h"
#include "models/probe_pictures.h"
#include "models/product_choices.h"
#include "models/tower_identity.h"
#include "models/weights/weights.h"

namespace cliptag {

namespace {

constexpr char kDamaged[] = "; its weights are damaged, or overflow in this precision.";

// What the image tower needs from a backend beyond the operations that all have: known before any
// weights are read.
Status CheckSupported(const VisionConfig& vision, Backend& backend) {
  const auto needs = std::visit([](const auto& tower) { return tower.kNeeds; }, vision);
  return needs ? backend.Supports(*needs) : Status();
}

}  // namespace

struct ClipModel::Impl {
  explicit Impl(Backend& b) : backend(b), workspace(b) {}

  Backend& backend;
  ModelConfig config;
  std::string text_identity;
  Workspace workspace;
  std::unique_ptr<Tokenizer> tokenizer;  // null when it cannot be had; then this says why
  Status no_tokenizer;
  std::unique_ptr<ImageEncoder> image;
  std::unique_ptr<TextEncoder> text;

  Status Load(const std::string& directory);
  Status LoadFrom(const Weights& weights);
  Status LoadWords();
};

// Pictures need no tokenizer: a model whose tokenizer is not there, or not of a kind that this
// build knows, is good for them, and the first text tells.
Status ClipModel::Impl::LoadWords() {
  Result<std::unique_ptr<Tokenizer>> loaded = LoadTokenizer(config);
  if (loaded.ok()) {
    tokenizer = loaded.Take();
    return {};
  }
  const StatusCode code = loaded.status().code();
  if (code != StatusCode::kNotFound && code != StatusCode::kUnsupported) return loaded.status();
  no_tokenizer = loaded.status();
  Log(LogLevel::kWarning,
      "The model " + config.name +
          " can look at pictures but not read texts: " + no_tokenizer.message());
  return {};
}

Status ClipModel::Impl::Load(const std::string& directory) {
  CLIPTAG_ASSIGN_OR_RETURN(config, ReadModelConfig(directory));
  CLIPTAG_RETURN_IF_ERROR(CheckSupported(config.vision, backend));
  for (const std::string& warning : config.warnings) Log(LogLevel::kWarning, warning);
  CLIPTAG_ASSIGN_OR_RETURN(const auto weights, OpenWeights(config));
  Status status = LoadFrom(*weights);
  // Whatever else may be wrong then follows from it.
  CLIPTAG_RETURN_IF_ERROR(weights->CheckUnchanged());
  return status;
}

Status ClipModel::Impl::LoadFrom(const Weights& weights) {
  CLIPTAG_ASSIGN_OR_RETURN(const VisionTensors vision, GetVisionTensors(weights, config));
  CLIPTAG_ASSIGN_OR_RETURN(const TextTensors words, GetTextTensors(weights, config));
  CLIPTAG_RETURN_IF_ERROR(ReadLogits(weights, &config));
  CLIPTAG_RETURN_IF_ERROR(weights.CheckAllAreUsed(config.path));
  CLIPTAG_RETURN_IF_ERROR(LoadWords());
  CLIPTAG_ASSIGN_OR_RETURN(text_identity, TextIdentity(config, words));
  ProductChoices choices(backend, config.name);
  CLIPTAG_ASSIGN_OR_RETURN(image, LoadImageEncoder(backend, workspace, config, vision));
  CLIPTAG_ASSIGN_OR_RETURN(text, LoadTextEncoder(backend, workspace, config, words));
  choices.Keep();
  return {};
}

Result<std::unique_ptr<ClipModel>> ClipModel::Load(const std::string& directory, Backend& backend) {
  try {
    auto impl = std::make_unique<Impl>(backend);
    CLIPTAG_RETURN_IF_ERROR(impl->Load(directory));
    return std::unique_ptr<ClipModel>(new ClipModel(std::move(impl)));
  } catch (const std::exception& e) {
    return ResourceExhausted("Cannot load the model in " + directory + ": " + e.what() + ".");
  }
}

ClipModel::ClipModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClipModel::~ClipModel() = default;

const ModelConfig& ClipModel::config() const { return impl_->config; }
const std::string& ClipModel::text_identity() const { return impl_->text_identity; }
ImageEncoder& ClipModel::image() { return *impl_->image; }
TextEncoder& ClipModel::text() { return *impl_->text; }
Backend& ClipModel::backend() { return impl_->backend; }

Status ClipModel::EncodeTexts(std::span<const std::string> texts, float* embeddings,
                              std::vector<std::string>* truncated) {
  if (impl_->tokenizer == nullptr) return impl_->no_tokenizer;
  std::vector<Tokens> tokens;
  tokens.reserve(texts.size());
  for (const std::string& text : texts) {
    CLIPTAG_ASSIGN_OR_RETURN(Tokens one, impl_->tokenizer->Encode(text));
    if (one.truncated && truncated != nullptr) truncated->push_back(text);
    tokens.push_back(std::move(one));
  }
  CLIPTAG_RETURN_IF_ERROR(impl_->text->Encode(tokens, embeddings));
  // One damaged row of the vocabulary's is seen by the texts alone that have its word.
  const size_t dim = static_cast<size_t>(impl_->config.embed_dim);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (AreFinite({embeddings + i * dim, dim})) continue;
    return DataLoss("The model " + impl_->config.name + " gives the text '" + PlainText(texts[i]) +
                    "' an embedding that holds NaN or infinity" + kDamaged);
  }
  return {};
}

Status ClipModel::SelfCheck() {
  CLIPTAG_RETURN_IF_ERROR(CheckPictures());
  if (impl_->tokenizer == nullptr) return {};
  const std::string text = "a photo of a cat";
  std::vector<float> row(static_cast<size_t>(impl_->config.embed_dim));
  return EncodeTexts({&text, 1}, row.data());
}

Status ClipModel::CheckPictures() {
  constexpr int kPictures = 3, kSize = 64;  // the first three are enough to tell
  if (impl_->image->max_batch() == 0) CLIPTAG_RETURN_IF_ERROR(impl_->image->Setup(1));
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<FrameView> frames;
  for (int i = 0; i < kPictures; ++i) {
    pixels.push_back(TestPicture(i, kSize));
    frames.push_back(RgbView(pixels.back().data(), kSize * 3, kSize, kSize, RgbOrder::kRgb));
  }
  const size_t dim = static_cast<size_t>(impl_->config.embed_dim);
  std::vector<float> rows(kPictures * dim);
  CLIPTAG_RETURN_IF_ERROR(impl_->image->Encode(frames, impl_->config.preprocess, rows.data()));
  if (!AreFinite(rows)) {
    return DataLoss("The model " + impl_->config.name +
                    " gives pictures embeddings that hold NaN or infinity" + kDamaged);
  }
  for (int a = 0; a < kPictures; ++a) {
    for (int b = a + 1; b < kPictures; ++b) {
      float difference = 0;
      for (size_t i = 0; i < dim; ++i) {
        difference = std::max(difference, std::abs(rows[a * dim + i] - rows[b * dim + i]));
      }
      if (!(difference > 1e-6f)) {
        return DataLoss(
            "The model " + impl_->config.name +
            " gives the same embedding for different pictures; its weights are damaged.");
      }
    }
  }
  return {};
}

}  // namespace cliptag
