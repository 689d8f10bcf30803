#include "plugin/cli/eval_bank.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace cliptag {
namespace {

using Json = nlohmann::ordered_json;

std::string Header(const EvalResult& result) {
  const std::vector<EvalClass>& classes = result.zero_shot->classes;
  const size_t dim = result.zero_shot->embeddings.dim;
  Json prompts = {{"tags", Json::array()}};
  for (const EvalClass& one : classes) prompts["tags"].push_back({{"label", one.label()}});
  const auto text = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  const Json json = {{"__metadata__",
                      {{"format", "cliptag-prompt-bank-1"},
                       {"model", result.model},
                       {"model_identity", result.text_identity},
                       {"prompts", text(prompts)}}},
                     {"embeddings",
                      {{"dtype", "F32"},
                       {"shape", {classes.size(), dim}},
                       {"data_offsets", {0, classes.size() * dim * sizeof(float)}}}}};
  std::string header = text(json);
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the numbers are aligned
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header;
}

}  // namespace

Status WriteProbeBank(const std::string& path, const EvalResult& result) {
  const std::vector<float>& rows = result.probe->bank.rows;
  const std::string header = Header(result), beside = path + "~";
  std::ofstream file(beside, std::ios::binary);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  file.write(reinterpret_cast<const char*>(rows.data()),
             static_cast<std::streamsize>(rows.size() * sizeof(float)));
  file.close();
  if (file && std::rename(beside.c_str(), path.c_str()) == 0) return {};
  const std::string why = std::strerror(errno);
  std::remove(beside.c_str());
  return NotFound("cannot write the bank '" + path + "': " + why);
}

Status CheckBankPath(const std::string& path) {
  if (!path.ends_with(".safetensors")) {
    return InvalidArgument("a bank's name ends in .safetensors, and '" + path + "' does not");
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
    return NotFound("cannot write the bank '" + path + "': there is no folder '" + folder.string() +
                    "'");
  }
  return {};
}

}  // namespace cliptag
