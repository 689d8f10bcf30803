#include "models/auto_precision.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/base/log.h"
#include "kernels/create_backend.h"
#include "models/config/config.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/clip_tensors.h"
#include "models/encoders/image_encoder.h"
#include "models/io/content_hash.h"
#include "models/precision_trials.h"
#include "models/probe_pictures.h"
#include "models/tower_identity.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

// Raised when the same model gives other numbers in one of the precisions, or the test pictures
// change. The version of the program is part of a trial's identity, too.
constexpr int kRevision = 1;

constexpr int kBatch = 4;  // weights are read once for four pictures

// The image tower alone, as far as a trial needs it.
struct Tower {
  ModelConfig config;
  std::unique_ptr<Weights> weights;
  VisionTensors tensors;
};

Result<Tower> OpenTower(const std::string& directory) {
  Tower tower;
  CLIPTAG_ASSIGN_OR_RETURN(tower.config, ReadModelConfig(directory));
  CLIPTAG_ASSIGN_OR_RETURN(tower.weights, OpenWeights(tower.config));
  CLIPTAG_ASSIGN_OR_RETURN(tower.tensors, GetVisionTensors(*tower.weights, tower.config));
  return tower;
}

std::string TrialIdentity(const ModelConfig& config, const VitTensors& tensors,
                          const BackendInfo& info) {
  ContentHash hash;
  hash.AddText(ImageIdentity(config, tensors));
  hash.AddText(ToString(info.kind));
  hash.AddText(info.instructions);
  hash.AddText(ToString(info.precision));
  hash.AddText(ToString(info.quicker));
  hash.AddText(CLIPTAG_VERSION);
  hash.AddNumber(kRevision);
  return hash.Hex();
}

// Of the test pictures: (kTestPictures, embed_dim).
Result<std::vector<float>> EncodeTestPictures(const Tower& tower, Backend& backend) {
  Workspace workspace(backend);
  CLIPTAG_ASSIGN_OR_RETURN(const auto encoder,
                           LoadImageEncoder(backend, workspace, tower.config, tower.tensors));
  CLIPTAG_RETURN_IF_ERROR(encoder->Setup(kBatch));
  const int size = tower.config.preprocess.size;  // so that nothing is lost by scaling
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<FrameView> frames;
  for (int i = 0; i < kTestPictures; ++i) {
    pixels.push_back(TestPicture(i, size));
    frames.push_back(RgbView(pixels.back().data(), size * 3, size, size, RgbOrder::kRgb));
  }
  std::vector<float> rows(static_cast<size_t>(kTestPictures) * tower.config.embed_dim);
  CLIPTAG_RETURN_IF_ERROR(encoder->Encode(frames, tower.config.preprocess, rows.data()));
  return rows;
}

// NaN where a row holds one.
double WorstCosine(const std::vector<float>& a, const std::vector<float>& b) {
  const size_t dim = a.size() / kTestPictures;
  double worst = 1;
  for (size_t first = 0; first < a.size(); first += dim) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = first; i < first + dim; ++i) {
      ab += double{a[i]} * b[i];
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
    }
    const double cosine = ab / std::sqrt(aa * bb);
    if (!(cosine >= worst)) worst = cosine;
    if (std::isnan(worst)) break;
  }
  return worst;
}

// One tower at a time is in memory.
Result<double> Try(const Tower& tower, Backend& usual, Backend& quicker) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<float> wanted, EncodeTestPictures(tower, usual));
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<float> found, EncodeTestPictures(tower, quicker));
  CLIPTAG_RETURN_IF_ERROR(tower.weights->CheckUnchanged());
  const double worst = WorstCosine(wanted, found);
  if (std::isnan(worst)) return DataLoss("Embeddings are not finite numbers.");
  return worst;
}

// The quicker backend where it passes; null where it does not.
Result<std::unique_ptr<Backend>> TakeQuicker(const std::string& directory,
                                             const BackendOptions& options, Backend& usual) {
  const BackendInfo& info = usual.info();
  BackendOptions quick = options;
  quick.kind = BackendKind::kCpu;
  quick.precision = info.quicker;
  CLIPTAG_ASSIGN_OR_RETURN(const Tower tower, OpenTower(directory));
  const auto* vit = std::get_if<VitTensors>(&tower.tensors);
  if (vit == nullptr) {
    Log(LogLevel::kInfo,
        "precision=auto takes " + std::string(ToString(info.precision)) + " for the model " +
            tower.config.name + ": the convolutions of a " +
            std::visit([](const auto& t) { return t.kKind; }, tower.config.vision) +
            " are not multiplied as bytes.");
    return std::unique_ptr<Backend>();
  }
  const TrialFile file = FindTrialFile(tower.config.name, TrialIdentity(tower.config, *vit, info));
  const std::optional<double> known = ReadTrial(file);
  std::unique_ptr<Backend> quicker;
  double worst = known.value_or(0);
  if (!known || worst >= kLeastCosine) {
    CLIPTAG_ASSIGN_OR_RETURN(quicker, CreateBackend(quick));
  }
  if (!known) {
    CLIPTAG_ASSIGN_OR_RETURN(worst, Try(tower, usual, *quicker));
    const Status kept = WriteTrial(file, worst);
    if (!kept.ok()) {
      Log(LogLevel::kInfo,
          "Whether " + std::string(ToString(info.quicker)) + " is right for the model " +
              tower.config.name +
              " is tried out at every start, which naming a precision spares: " + kept.message());
    }
  }
  const bool passed = worst >= kLeastCosine;
  char text[160];
  std::snprintf(text, sizeof(text), "%s of embeddings in %s to %s is %.6f, at least %.4f is wanted",
                known ? "At an earlier start the worst cosine" : "The worst cosine",
                ToString(info.quicker), ToString(info.precision), worst, kLeastCosine);
  Log(LogLevel::kInfo, "precision=auto takes " +
                           std::string(ToString(passed ? info.quicker : info.precision)) +
                           " for the model " + tower.config.name + ". " + text + ".");
  if (!passed) quicker.reset();
  return quicker;
}

}  // namespace

std::unique_ptr<Backend> FastestBackend(const std::string& directory, const BackendOptions& options,
                                        std::unique_ptr<Backend> usual) {
  if (usual->info().quicker == Precision::kAuto) return usual;
  std::string why;
  try {
    auto quicker = TakeQuicker(directory, options, *usual);
    if (quicker.ok()) return *quicker ? quicker.Take() : std::move(usual);
    why = quicker.status().message();
  } catch (const std::exception& e) {
    why = std::string(e.what()) + ".";
  }
  Log(LogLevel::kInfo, "precision=auto takes " + std::string(ToString(usual->info().precision)) +
                           ": " + ToString(usual->info().quicker) +
                           " cannot be tried on the model in " + directory + ". " + why);
  return usual;
}

}  // namespace cliptag
