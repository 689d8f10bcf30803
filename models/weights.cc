#include "models/weights.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

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
    const std::string path = directory + "/" + name;
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

Result<std::unique_ptr<Weights>> Weights::Open(const ModelConfig& config) {
  if (!config.weights_file.empty()) return OpenFile(config.weights_file);
  return Open(config.path, config.layout);
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
  if (!path.ends_with(".index.json")) {
    CLIPTAG_ASSIGN_OR_RETURN(auto file, OpenWeightFile(path));
    for (const auto& [tensor, info] : file->tensors()) weights->files_[tensor] = file.get();
    weights->shards_.push_back(std::move(file));
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(const auto index, ReadWeightIndex(path));
    const std::filesystem::path directory = std::filesystem::path(path).parent_path();
    std::map<std::string, const WeightFile*> opened;
    for (const auto& [tensor, name] : index) {
      const WeightFile*& shard = opened[name];
      if (shard == nullptr) {
        CLIPTAG_ASSIGN_OR_RETURN(auto file, OpenWeightFile((directory / name).string()));
        shard = file.get();
        weights->shards_.push_back(std::move(file));
      }
      if (shard->tensors().count(tensor) == 0) {
        return DataLoss(path + " says that tensor '" + tensor + "' is in " + name +
                        ", but it is not there.");
      }
      weights->files_[tensor] = shard;
    }
  }
  weights->StripPrefix();
  return weights;
}

std::vector<int64_t> Weights::Shape(const std::string& tensor) const {
  const auto it = files_.find(prefix_ + tensor);
  if (it == files_.end()) return {};
  return it->second->tensors().at(prefix_ + tensor).shape;
}

std::vector<std::string> Weights::Names() const {
  std::vector<std::string> out;
  for (const auto& [name, file] : files_) {
    if (name.starts_with(prefix_)) out.push_back(name.substr(prefix_.size()));
  }
  return out;
}

// Checkpoints of wrapped models have "module." (open_clip strips it) or the base model's name
// (transformers strips it) before every tensor.
void Weights::StripPrefix() {
  for (const char* prefix : {"", "module.", "model.", "clip."}) {
    for (const char* probe :
         {"visual.class_embedding", "visual.conv1.weight", "visual.trunk.patch_embed.proj.weight",
          "vision_model.embeddings.class_embedding",
          "vision_model.embeddings.patch_embedding.weight"}) {
      if (files_.count(std::string(prefix) + probe) > 0) {
        prefix_ = prefix;
        return;
      }
    }
  }
}

Result<HostTensor> Weights::Get(const std::string& tensor, std::vector<int64_t> shape) const {
  const auto it = files_.find(prefix_ + tensor);
  if (it == files_.end()) {
    return DataLoss(path_ + ": tensor '" + prefix_ + tensor + "' of shape " + ShapeText(shape) +
                    " is missing.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(HostTensor out, it->second->Get(prefix_ + tensor));
  if (out.shape != shape) {
    return DataLoss(it->second->path() + ": tensor '" + prefix_ + tensor + "' has the shape " +
                    ShapeText(out.shape) + ", but the configuration asks for " + ShapeText(shape) +
                    ".");
  }
  return out;
}

Result<float> Weights::Scalar(const std::string& tensor) const {
  const auto it = files_.find(prefix_ + tensor);
  if (it == files_.end()) return DataLoss(path_ + ": '" + prefix_ + tensor + "' is missing.");
  CLIPTAG_ASSIGN_OR_RETURN(const HostTensor out, it->second->Get(prefix_ + tensor));
  if (out.elements() != 1) {
    return DataLoss(it->second->path() + ": tensor '" + prefix_ + tensor + "' has the shape " +
                    ShapeText(out.shape) + "; a single number is needed.");
  }
  return ElementOf(out, 0);
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
