#include "models/weights/weights.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "models/weights/tensor_names.h"

namespace cliptag {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

}  // namespace

std::string FindWeights(const std::string& directory, Layout layout) {
  std::vector<std::string> names = {"model.safetensors", "model.safetensors.index.json",
                                    "pytorch_model.bin", "pytorch_model.bin.index.json"};
  if (layout == Layout::kOpenClip) {
    // Beside a config.json the plain names belong to the Hugging Face layout.
    if (Exists(directory + "/config.json")) names.clear();
    for (const char* name :
         {"open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
          "open_clip_model.safetensors.index.json", "open_clip_pytorch_model.bin",
          "open_clip_pytorch_model.bin.index.json", "open_clip_model.bin"}) {
      names.push_back(name);
    }
    // Whatever pickles there are, safetensors go before them, and open_clip's names before others.
    std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      const auto rank = [](const std::string& n) {
        return std::pair(!IsSafetensors(n), !n.starts_with("open_clip"));
      };
      return rank(a) < rank(b);
    });
  }
  for (const std::string& name : names) {
    std::string path = directory + "/" + name;
    if (Exists(path)) return path;
  }
  const std::vector<std::string> archives = FindArchives(directory);
  return layout == Layout::kOpenClip && archives.size() == 1 ? archives[0] : "";
}

std::vector<std::string> FindArchives(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".pt") out.push_back(it->path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool IsSafetensors(const std::string& path) {
  return path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json");
}

Result<std::unique_ptr<Weights>> Weights::Open(const std::string& directory, Layout layout) {
  const std::string path = FindWeights(directory, layout);
  if (!path.empty()) return OpenFile(path);
  const std::vector<std::string> archives = FindArchives(directory);
  if (layout == Layout::kOpenClip && archives.size() > 1) {
    return InvalidArgument("The model directory " + directory + " has " +
                           std::to_string(archives.size()) + " files that end in .pt, " +
                           archives[0] + " first; name the one that is meant.");
  }
  const bool open_clip = layout == Layout::kOpenClip;
  return NotFound("The model directory " + directory + " has no " +
                  (open_clip ? "open_clip_model.safetensors and no open_clip_pytorch_model.bin."
                             : "model.safetensors and no pytorch_model.bin."));
}

Result<std::unique_ptr<Weights>> Weights::OpenFile(const std::string& path) {
  std::unique_ptr<Weights> weights(new Weights());
  weights->path_ = path;
  if (path.ends_with(".index.json")) {
    CLIPTAG_RETURN_IF_ERROR(weights->OpenShards(path));
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(auto file, OpenWeightFile(path));
    weights->shards_.push_back(std::move(file));
  }
  CLIPTAG_RETURN_IF_ERROR(weights->Arrange());
  return weights;
}

Status Weights::OpenShards(const std::string& index_path) {
  CLIPTAG_ASSIGN_OR_RETURN(const auto index, ReadWeightIndex(index_path));
  const std::filesystem::path directory = std::filesystem::path(index_path).parent_path();
  std::map<std::string, const WeightFile*> opened;
  for (const auto& [tensor, name] : index) {
    const WeightFile*& shard = opened[name];
    if (shard == nullptr) {
      CLIPTAG_ASSIGN_OR_RETURN(auto file, OpenWeightFile((directory / name).string()));
      shard = file.get();
      shards_.push_back(std::move(file));
    }
    if (shard->tensors().count(tensor) == 0) {
      return DataLoss(index_path + " says that tensor '" + tensor + "' is in " + name +
                      ", but it is not there.");
    }
    places_[tensor] = {shard, tensor};
  }
  return {};
}

// Finds the model among the tensors, by names that lack what was wrapped around it.
Status Weights::Arrange() {
  // What a shard holds and the index does not tell of is there all the same.
  for (const auto& shard : shards_) {
    for (const auto& [name, info] : shard->tensors())
      places_.try_emplace(name, Place{shard.get(), name});
  }
  std::map<std::string, Place> unwrapped;
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) {
    const auto [it, is_new] = unwrapped.try_emplace(Unwrapped(name), place);
    if (!is_new) {
      return DataLoss(path_ + " holds the tensor '" + it->first + "' twice, as '" +
                      it->second.stored + "' and as '" + name + "'; save the one that is meant.");
    }
    names.push_back(it->first);
  }
  const std::vector<std::string> prefixes = ModelPrefixes(names);
  if (prefixes.size() > 1) {
    return DataLoss(path_ + " holds " + std::to_string(prefixes.size()) + " models, under '" +
                    prefixes[0] + "' and '" + prefixes[1] + "'; save the one that is meant alone.");
  }
  if (!prefixes.empty()) prefix_ = prefixes[0];
  places_.clear();
  for (auto& [name, place] : unwrapped) {
    if (name.starts_with(prefix_)) {
      places_[name.substr(prefix_.size())] = std::move(place);
    } else {
      others_.push_back(name);
    }
  }
  return {};
}

std::vector<int64_t> Weights::Shape(const std::string& tensor) const {
  const auto it = places_.find(tensor);
  if (it == places_.end()) return {};
  return it->second.file->tensors().at(it->second.stored).shape;
}

std::vector<std::string> Weights::Names() const {
  std::vector<std::string> out;
  for (const auto& [name, place] : places_) out.push_back(name);
  return out;
}

Result<HostTensor> Weights::Get(const std::string& tensor, std::vector<int64_t> shape) const {
  const auto it = places_.find(tensor);
  if (it == places_.end()) {
    return DataLoss(
        path_ + ": tensor '" + prefix_ + tensor + "' of shape " + ShapeText(shape) + " is missing" +
        (places_.empty() ? "."
                         : "; the file holds '" + prefix_ + places_.begin()->first + "' and " +
                               std::to_string(places_.size() - 1) + " others."));
  }
  const Place& place = it->second;
  // Before it is read: what has to be converted is copied.
  const TensorInfo& info = place.file->tensors().at(place.stored);
  if (info.refusal.empty() && info.shape != shape) {
    return DataLoss(place.file->path() + ": tensor '" + place.stored + "' has the shape " +
                    ShapeText(info.shape) + ", but the configuration asks for " + ShapeText(shape) +
                    ".");
  }
  MarkUsed(tensor);
  return place.file->Get(place.stored);
}

Result<float> Weights::Scalar(const std::string& tensor) const {
  const auto it = places_.find(tensor);
  if (it == places_.end()) return DataLoss(path_ + ": '" + prefix_ + tensor + "' is missing.");
  const Place& place = it->second;
  const std::vector<int64_t>& found = place.file->tensors().at(place.stored).shape;
  if (std::any_of(found.begin(), found.end(), [](int64_t size) { return size != 1; })) {
    return DataLoss(place.file->path() + ": tensor '" + place.stored + "' has the shape " +
                    ShapeText(found) + "; a single number is needed.");
  }
  MarkUsed(tensor);
  CLIPTAG_ASSIGN_OR_RETURN(const HostTensor out, place.file->Get(place.stored));
  return ElementOf(out, 0);
}

void Weights::MarkUsed(const std::string& tensor) const {
  const std::lock_guard lock(mutex_);
  used_.insert(tensor);
}

Status Weights::CheckAllAreUsed(const std::string& directory) const {
  std::vector<std::string> left;
  for (const std::string& name : others_) {
    if (!IsHarmless(name)) left.push_back(name);
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [name, place] : places_) {
    if (used_.count(name) == 0 && !IsHarmless(name)) left.push_back(place.stored);
  }
  if (left.empty()) return {};
  const std::string more =
      left.size() == 1 ? "" : " (and of " + std::to_string(left.size() - 1) + " others)";
  return DataLoss(path_ + " holds the tensor '" + left[0] + "'" + more +
                  ", for which the configuration in " + directory +
                  " has no use; correct the configuration, or take the weights that belong to it.");
}

Status Weights::CheckUnchanged() const {
  for (const auto& shard : shards_) CLIPTAG_RETURN_IF_ERROR(shard->CheckUnchanged());
  return {};
}

std::vector<char> PadRows(const HostTensor& weight, int64_t columns, int64_t padded) {
  const auto from = static_cast<size_t>(columns) * SizeOf(weight.type);
  const auto to = static_cast<size_t>(padded) * SizeOf(weight.type);
  const auto rows = static_cast<size_t>(weight.elements() / columns);
  std::vector<char> bytes(rows * to, 0);
  for (size_t row = 0; row < rows; ++row) {
    std::memcpy(bytes.data() + row * to, static_cast<const char*>(weight.data) + row * from, from);
  }
  return bytes;
}

}  // namespace cliptag
