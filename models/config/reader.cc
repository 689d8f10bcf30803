#include "models/config/reader.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <sstream>
#include <vector>

namespace cliptag {
namespace {

constexpr int kMaxInt = 1 << 24;
constexpr int kMostPlaces = 1024;  // a side; their number and that of tokens stays an int
const Json kNull;

bool IsOff(const Json& value) {
  return value.is_null() || value == false || value == "" ||
         (value.is_number() && value.get<double>() == 0) ||
         (value.is_structured() && value.empty());
}

// Letters to put in, take out or replace to make one text of the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

}  // namespace

FieldReader::FieldReader(const Json& object, std::string file, std::string prefix, Status* status)
    : object_(object), file_(std::move(file)), prefix_(std::move(prefix)), status_(status) {
  if (!object_.is_object() && !object_.is_null()) {
    Fail(StatusCode::kDataLoss, "", "is not an object");
  }
}

bool FieldReader::Has(const char* key) const { return !Get(key).is_null(); }

const Json& FieldReader::Get(const char* key) const {
  asked_.insert(key);
  if (!object_.is_object()) return kNull;
  const auto it = object_.find(key);
  return it == object_.end() ? kNull : *it;
}

void FieldReader::Fail(StatusCode code, const char* key, const std::string& what) {
  if (!status_->ok()) return;
  std::string field = prefix_ + key;
  if (!field.empty() && field.back() == '.') field.pop_back();
  *status_ = Status(code, file_ + ": " + field + " " + what + ".");
}

int FieldReader::Int(const char* key, int fallback, int minimum) {
  const Json& value = Get(key);
  if (value.is_null()) return fallback;
  if (!value.is_number()) {
    Fail(StatusCode::kDataLoss, key, "is " + value.dump() + ", not a number");
    return fallback;
  }
  const double number = value.get<double>();
  if (!(number >= minimum && number <= kMaxInt) || number != std::floor(number)) {
    Fail(StatusCode::kDataLoss, key,
         "is " + value.dump() + "; a whole number from " + std::to_string(minimum) + " to " +
             std::to_string(kMaxInt) + " is needed");
    return fallback;
  }
  return static_cast<int>(number);
}

double FieldReader::Number(const char* key, double fallback) {
  const Json& value = Get(key);
  if (value.is_null()) return fallback;
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    Fail(StatusCode::kDataLoss, key, "is " + value.dump() + ", not a number");
    return fallback;
  }
  return value.get<double>();
}

bool FieldReader::Bool(const char* key, bool fallback) {
  const Json& value = Get(key);
  if (value.is_null()) return fallback;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  Fail(StatusCode::kDataLoss, key, "is " + value.dump() + ", not true or false");
  return fallback;
}

std::string FieldReader::String(const char* key, const std::string& fallback) {
  const Json& value = Get(key);
  if (value.is_null()) return fallback;
  if (value.is_string()) return value.get<std::string>();
  Fail(StatusCode::kDataLoss, key, "is " + value.dump() + ", not a string");
  return fallback;
}

int FieldReader::Square(const char* key, int fallback) {
  const Json& value = Get(key);
  if (!value.is_array()) return Int(key, fallback);
  if (value.empty() || value.size() > 2) {
    Fail(StatusCode::kDataLoss, key, "is " + value.dump() + "; one or two numbers are needed");
    return fallback;
  }
  if (value.front() != value.back()) {
    Fail(StatusCode::kUnsupported, key, "is " + value.dump() + "; only squares are supported");
    return fallback;
  }
  return Element(key, 0);
}

int FieldReader::Element(const char* key, size_t index) {
  const Json one = {{key, Get(key)[index]}};
  return FieldReader(one, file_, prefix_, status_).Int(key, 1);
}

void FieldReader::Triple(const char* key, float* out) {
  const Json& value = Get(key);
  if (value.is_null()) return;
  const bool list = value.is_array() && value.size() == 3 && value[0].is_number() &&
                    value[1].is_number() && value[2].is_number();
  if (!list && !value.is_number()) {
    Fail(StatusCode::kDataLoss, key, "is " + value.dump() + "; three numbers are needed");
    return;
  }
  for (int i = 0; i < 3; ++i) out[i] = list ? value[i].get<float>() : value.get<float>();
}

void FieldReader::Refuse(const char* key, const std::string& why) {
  const Json& value = Get(key);
  if (!IsOff(value)) Fail(StatusCode::kUnsupported, key, "is " + value.dump() + "; " + why);
}

void FieldReader::RefuseOthers(const std::string& others, bool also_off) {
  if (!object_.is_object()) return;
  std::set<std::string> known = asked_;
  std::istringstream words(others);
  known.insert(std::istream_iterator<std::string>(words), {});
  for (const auto& [key, value] : object_.items()) {
    if (known.count(key) > 0) continue;
    if (also_off && (IsOff(value) || key.starts_with('_'))) continue;
    std::string meant;
    constexpr size_t kMostLetters = 64;
    for (const std::string& other : known) {
      if (key.size() < kMostLetters && EditDistance(key, other) <= 2) meant = other;
    }
    return Fail(StatusCode::kUnsupported, key.c_str(),
                "is not known" + (meant.empty() ? "; take it out if embeddings do not depend on it"
                                                : "; perhaps " + meant + " is meant"));
  }
}

void SetClipMeanAndStd(PreprocessSpec* spec) {
  constexpr float kMean[] = {0.48145466f, 0.4578275f, 0.40821073f};
  constexpr float kStd[] = {0.26862954f, 0.26130258f, 0.27577711f};
  for (int i = 0; i < 3; ++i) {
    spec->mean[i] = kMean[i];
    spec->std[i] = kStd[i];
  }
}

int ReadMlpWidth(FieldReader* reader, int width, double ratio) {
  ratio = reader->Number("mlp_ratio", ratio);
  if (ratio > 0 && ratio <= 64) return static_cast<int>(width * ratio);  // as the reference rounds
  reader->Fail(StatusCode::kDataLoss, "mlp_ratio",
               "is " + reader->Get("mlp_ratio").dump() + ", which makes no sense");
  return 0;
}

void SetInput(const VisionConfig& vision, PreprocessSpec* spec) {
  const auto set = [spec](const auto& tower) {
    spec->size = tower.image_size;
    spec->patch = tower.pixel_patch();
  };
  std::visit(set, vision);
}

namespace {

Status CheckTransformer(const TransformerConfig& t, const std::string& name,
                        const std::string& file) {
  if (t.heads < 1 || t.width % t.heads != 0) {
    return DataLoss(file + ": the " + name + " tower's width " + std::to_string(t.width) +
                    " is not a multiple of its " + std::to_string(t.heads) + " heads.");
  }
  if (t.mlp_width < 1) return DataLoss(file + ": the " + name + " tower's MLP has no width.");
  return {};
}

Status CheckTower(const VitConfig& vit, int embed_dim, const std::string& file) {
  CLIPTAG_RETURN_IF_ERROR(CheckTransformer(vit.transformer, "image", file));
  if (vit.attention_pool == AttentionPool::kQuery && embed_dim % vit.pool_heads != 0) {
    return DataLoss(file + ": embed_dim " + std::to_string(embed_dim) +
                    " is not a multiple of the attention pool's " + std::to_string(vit.pool_heads) +
                    " heads.");
  }
  if (vit.patch_size > vit.image_size) {
    return DataLoss(file + ": the patch size " + std::to_string(vit.patch_size) +
                    " is larger than the image size " + std::to_string(vit.image_size) + ".");
  }
  return {};
}

Status CheckTower(const ResNetConfig& resnet, int, const std::string& file) {
  if (resnet.heads >= 1 && resnet.features() % resnet.heads == 0) return {};
  return DataLoss(file + ": the " + std::to_string(resnet.features()) +
                  " features of a ResNet of width " + std::to_string(resnet.width) +
                  " are not divided among " + std::to_string(resnet.heads) + " heads.");
}

Status CheckTower(const FastVitConfig&, int, const std::string&) { return {}; }

Status CheckPixels(const PreprocessSpec& spec, const std::string& file) {
  for (int i = 0; i < 3; ++i) {
    if (!std::isfinite(spec.mean[i])) {
      return DataLoss(file + ": the mean of the pixels is no number that a float can hold.");
    }
    if (!(spec.std[i] > 0 && std::isfinite(spec.std[i]))) {
      return DataLoss(file + ": the standard deviation of the pixels must be positive.");
    }
  }
  return {};
}

}  // namespace

Status CheckConfig(const ModelConfig& config, const std::string& file) {
  const auto check = [&](const auto& tower) -> Status {
    CLIPTAG_RETURN_IF_ERROR(CheckTower(tower, config.embed_dim, file));
    if (tower.grid() <= kMostPlaces) return {};
    return DataLoss(file + ": the image size " + std::to_string(tower.image_size) + " makes " +
                    std::to_string(tower.grid()) + " patches a side; at most " +
                    std::to_string(kMostPlaces) + " are taken.");
  };
  CLIPTAG_RETURN_IF_ERROR(std::visit(check, config.vision));
  CLIPTAG_RETURN_IF_ERROR(CheckTransformer(config.text.transformer, "text", file));
  return CheckPixels(config.preprocess, file);
}

}  // namespace cliptag
