// cliptag models: which models there are, and what one of them is.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "models/config/config.h"
#include "models/config/find_model.h"
#include "models/encoders/clip_tensors.h"
#include "models/weights/weights.h"
#include "plugin/cli/bench/measure.h"
#include "plugin/cli/bench/stages.h"
#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/hub/cache.h"
#include "plugin/cli/hub/record.h"
#include "plugin/cli/hub/settings.h"
#include "plugin/cli/models/model_facts.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kAboutStarter[] =
    "The built-in model is small and was trained on emoji, clip art and small centred photos of "
    "ten "
    "kinds of things: it tags those. It has never seen a street, a room or a face: on real footage "
    "its answers mean nothing, take a published CLIP for that. Its MODEL_CARD.md tells more.";

std::string Dump(const Json& json) {
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A model that can be named, or a path that can.
Json Entry(const std::string& name, const std::string& path) {
  Json entry = {{"name", name}, {"path", path}, {"bytes", DirectoryBytes(path)}};
  if (const HubRecord record = ReadHubRecord(path); !record.id.empty()) {
    entry["id"] = record.id;
    entry["commit"] = record.commit;
  }
  if (const Result<ModelConfig> config = ReadModelConfig(path); config.ok()) {
    entry["image_size"] = config->preprocess.size;
    const auto* vit = std::get_if<VitConfig>(&config->vision);
    if (vit != nullptr) entry["patch_size"] = vit->patch_size;
    entry["embed_dim"] = config->embed_dim;
    entry["context_length"] = config->text.context_length;
  } else {
    entry["error"] = config.status().message();
  }
  return entry;
}

// What huggingface_hub keeps: of no name here, but `models pull` links it, and its path is a model.
Json CacheEntries() {
  Json entries = Json::array();
  const Result<HubSettings> settings = ReadHubSettings();
  if (!settings.ok()) return entries;
  for (const CachedModel& model : CachedModels(settings->cache)) {
    Json entry = Entry(model.directory, model.directory);
    entry["id"] = model.id;
    entry["commit"] = model.commit;
    entry["in_huggingface_cache"] = true;
    entries.push_back(std::move(entry));
  }
  return entries;
}

void PrintList(const Json& list) {
  size_t name_width = 4;
  for (const Json& entry : list) {
    name_width = std::max(name_width, entry["name"].get<std::string>().size());
  }
  const auto padded = [&](std::string name) { return name.append(name_width - name.size(), ' '); };
  char text[96];
  std::cout << padded("name") << "  image  patch    dim      size  directory\n";
  for (const Json& entry : list) {
    const std::string size = SizeText(entry["bytes"].get<int64_t>());
    const bool usable = !entry.contains("error");
    if (usable) {
      const std::string patch = entry.contains("patch_size") ? entry["patch_size"].dump() : "-";
      std::snprintf(text, sizeof(text), "  %5d  %5s  %5d  %8s  ", entry["image_size"].get<int>(),
                    patch.c_str(), entry["embed_dim"].get<int>(), size.c_str());
    } else {
      std::snprintf(text, sizeof(text), "      -      -      -  %8s  ", size.c_str());
    }
    std::cout << padded(entry["name"].get<std::string>()) << text
              << entry["path"].get<std::string>();
    if (entry.contains("id")) std::cout << "  (" << entry["id"].get<std::string>() << ")";
    std::cout << '\n';
    if (!usable) std::cout << "  cannot be used: " << entry["error"].get<std::string>() << '\n';
  }
}

int ListCommand(bool as_json) {
  Json list = Json::array();
  for (const auto& [name, path] : ListModels()) list.push_back(Entry(name, path));
  const Json cached = CacheEntries();
  if (as_json) {
    for (const Json& entry : cached) list.push_back(entry);
    std::cout << Dump(list) << '\n';
    return ExitCode(FlushOutput());
  }
  PrintList(list);
  if (!cached.empty()) std::cout << "\nin Hugging Face's cache, for `cliptag models pull ID`:\n";
  for (const Json& entry : cached) {
    std::cout << entry["id"].get<std::string>() << "  " << SizeText(entry["bytes"].get<int64_t>())
              << '\n';
  }
  return ExitCode(FlushOutput());
}

Json ShapeJson(const TransformerConfig& t) {
  return {{"width", t.width},
          {"layers", t.layers},
          {"heads", t.heads},
          {"mlp_width", t.mlp_width},
          {"activation", t.gated_mlp                              ? "swiglu"
                         : t.activation == Activation::kQuickGelu ? "quick_gelu"
                         : t.activation == Activation::kTanhGelu  ? "gelu_tanh"
                                                                  : "gelu"}};
}

Json ShapeJson(const VitConfig& vit) {
  Json json = ShapeJson(vit.transformer);
  json["size"] = vit.image_size;
  json["patch"] = vit.patch_size;
  json["tokens"] = vit.tokens();
  return json;
}

Json ShapeJson(const ResNetConfig& resnet) {
  return {{"width", resnet.width},
          {"layers", resnet.layers},
          {"heads", resnet.heads},
          {"activation", "relu"},
          {"size", resnet.image_size}};
}

Json ShapeJson(const FastVitConfig& fastvit) {
  std::vector<int> widths, layers;
  for (const FastVitConfig::Stage& stage : fastvit.stages) {
    widths.push_back(stage.width);
    layers.push_back(stage.layers);
  }
  return {
      {"width", widths}, {"layers", layers}, {"activation", "gelu"}, {"size", fastvit.image_size}};
}

Json TowerJson(const Json& shape, int64_t parameters, double flops) {
  Json json = {{"parameters", parameters}, {"gflops", flops / 1e9}};
  json.update(shape);
  return json;
}

// With what stands among the weights.
Result<ModelConfig> ReadWholeConfig(const std::string& directory) {
  CLIPTAG_ASSIGN_OR_RETURN(ModelConfig config, ReadModelConfig(directory));
  CLIPTAG_ASSIGN_OR_RETURN(const auto weights, OpenWeights(config));
  CLIPTAG_RETURN_IF_ERROR(ReadLogits(*weights, &config));
  return config;
}

// What the configuration and the files tell.
Result<Json> Describe(const ModelConfig& config) {
  CLIPTAG_ASSIGN_OR_RETURN(const ModelFacts facts, ReadModelFacts(config));
  Json json = {{"name", config.name},
               {"path", config.path},
               {"layout", config.layout == Layout::kOpenClip ? "open_clip" : "huggingface"},
               {"embed_dim", config.embed_dim},
               {"logit_scale", config.logit_scale},
               {"logit_bias", config.logit_bias},
               {"templates", config.templates}};
  Json image = std::visit([](const auto& tower) { return ShapeJson(tower); }, config.vision);
  image["kind"] = std::visit([](const auto& tower) { return tower.kKind; }, config.vision);
  json["image"] = TowerJson(image, facts.image_parameters, ImageFlops(config));
  json["text"] =
      TowerJson(ShapeJson(config.text.transformer), facts.text_parameters, TextFlops(config));
  json["text"]["context"] = config.text.context_length;
  json["text"]["vocabulary"] = config.text.vocab_size;
  json["parameters"] = facts.image_parameters + facts.text_parameters + facts.other_parameters;
  json["weights"] = facts.parameters_by_type;
  json["files"] = Json::array();
  json["bytes"] = DirectoryBytes(config.path);
  for (const auto& [name, bytes] : facts.files)
    json["files"].push_back({{"name", name}, {"bytes", bytes}});
  if (const HubRecord record = ReadHubRecord(config.path); !record.id.empty()) {
    json["id"] = record.id;
    json["commit"] = record.commit;
  }
  const Result<std::string> starter = FindModel("starter");
  if (starter.ok() && *starter == config.path) json["about"] = kAboutStarter;
  return json;
}

// What running it for a while tells.
Result<Json> TryOut(const ModelOptions& options, double seconds) {
  const double begin_ms = NowMs(), before_mb = AnonymousMb();
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options));
  const double ready_ms = NowMs() - begin_ms;
  CLIPTAG_ASSIGN_OR_RETURN(const auto stage,
                           MakeBenchStage("encode", *session.model, BenchShape()));
  CLIPTAG_ASSIGN_OR_RETURN(const Timing timing,
                           Measure([&](int64_t i) { return stage->Run(i); }, seconds));
  const BackendInfo& backend = session.backend->info();
  return Json{{"backend", ToString(backend.kind)},
              {"precision", ToString(backend.precision)},
              {"description", backend.description},
              {"images_per_second", 1000 / timing.median_ms()},
              {"ready_ms", ready_ms},
              {"memory_mb", std::max(0.0, AnonymousMb() - before_mb)},
              {"rss_mb", ResidentMb()}};
}

void PrintTower(const char* name, const Json& tower, const std::string& input) {
  const std::string mlp = tower.contains("mlp_width") ? ", MLP " + tower["mlp_width"].dump() : "";
  const std::string heads = tower.contains("heads") ? ", " + tower["heads"].dump() + " heads" : "";
  char text[256];
  std::snprintf(text, sizeof(text),
                "%-12s %s; %s layers, width %s%s%s, %s\n"
                "             %.2f million parameters, %.3f GFLOP each\n",
                name, input.c_str(), tower["layers"].dump().c_str(), tower["width"].dump().c_str(),
                heads.c_str(), mlp.c_str(), tower["activation"].get<std::string>().c_str(),
                tower["parameters"].get<double>() / 1e6, tower["gflops"].get<double>());
  std::cout << text;
}

void PrintRun(const Json& run) {
  char text[256];
  std::snprintf(
      text, sizeof(text),
      "here         %.1f images/s one at a time, ready after %.0f ms, %.0f MB for weights "
      "and workspace\n",
      run["images_per_second"].get<double>(), run["ready_ms"].get<double>(),
      run["memory_mb"].get<double>());
  std::cout << text << "             " << run["backend"].get<std::string>() << ", "
            << run["precision"].get<std::string>() << ", " << run["description"].get<std::string>()
            << '\n';
}

void PrintInfo(const Json& json) {
  const Json &image = json["image"], &words = json["text"];
  std::cout << json["name"].get<std::string>() << "  (" << json["path"].get<std::string>() << ")\n";
  if (json.contains("about")) std::cout << json["about"].get<std::string>() << '\n';
  const std::string size = std::to_string(image["size"].get<int>());
  PrintTower("images", image,
             size + "x" + size + " pixels, " +
                 (image.contains("patch")
                      ? "patch " + image["patch"].dump() + ", " + image["tokens"].dump() + " tokens"
                      : image["kind"].get<std::string>()));
  PrintTower("texts", words,
             std::to_string(words["context"].get<int>()) + " tokens of " +
                 std::to_string(words["vocabulary"].get<int>()));
  std::cout << "embeddings   " << json["embed_dim"].get<int>() << " numbers\nweights     ";
  for (const auto& [type, count] : json["weights"].items()) {
    std::cout << ' ' << type << " (" << count.get<int64_t>() << ")";
  }
  std::cout << "\nfiles        " << SizeText(json["bytes"].get<int64_t>()) << ": ";
  for (size_t i = 0; i < json["files"].size(); ++i) {
    const Json& file = json["files"][i];
    std::cout << (i ? ", " : "") << file["name"].get<std::string>() << " ("
              << SizeText(file["bytes"].get<int64_t>()) << ")";
  }
  std::cout << '\n';
  if (json.contains("id")) {
    std::cout << "pulled from  " << json["id"].get<std::string>() << ", "
              << json["commit"].get<std::string>() << '\n';
  }
  if (json.contains("run")) PrintRun(json["run"]);
}

int InfoCommand(const ModelOptions& options, double seconds, bool as_json) {
  const Result<std::string> directory = FindModel(options.model);
  if (!directory.ok()) return ExitCode(directory.status());
  const Result<ModelConfig> config = ReadWholeConfig(*directory);
  if (!config.ok()) return ExitCode(config.status());
  Result<Json> json = Describe(*config);
  if (!json.ok()) return ExitCode(json.status());
  if (seconds > 0) {
    const Result<Json> run = TryOut(options, seconds);
    if (!run.ok()) return ExitCode(run.status());
    (*json)["run"] = *run;
  }
  if (as_json) {
    std::cout << Dump(*json) << '\n';
  } else {
    PrintInfo(*json);
  }
  return ExitCode(FlushOutput());
}

}  // namespace

void AddModelsCommand(CLI::App& app, Command* chosen) {
  CLI::App* command =
      app.add_subcommand("models", "Show which models there are, and what they are");
  command->require_subcommand(1);
  command->footer(
      "Models are looked for in $CLIPTAG_MODEL_PATH, in the user's cache and beside the installed\n"
      "ones; a directory anywhere can be named by its path.\n\n"
      "Examples:\n"
      "  cliptag models list\n"
      "  cliptag models info starter\n"
      "  cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M");

  auto as_json = std::make_shared<bool>(false);
  CLI::App* list = command->add_subcommand("list", "List the models that can be named");
  list->add_flag("--json", *as_json, "Print JSON");
  list->footer("Example:\n  cliptag models list --json");
  list->callback([as_json, chosen] { *chosen = [as_json] { return ListCommand(*as_json); }; });

  auto options = std::make_shared<ModelOptions>();
  auto seconds = std::make_shared<double>(1);
  CLI::App* info = command->add_subcommand("info", "Describe a model and run it for a second");
  info->add_option("MODEL", options->model, "Its name or directory")->required()->option_text(" ");
  info->add_flag("--json", *as_json, "Print JSON");
  info->add_option("--seconds", *seconds,
                   "How long it is run; 0 = not at all, files alone are read")
      ->check(FiniteRange(0, 3600))
      ->option_text("S [1]");
  AddModelOptions(*info, options.get(), /*with_model=*/false);
  info->footer("Examples:\n  cliptag models info starter\n  cliptag models info ./ViT-B-32 --json");
  info->callback([options, seconds, as_json, chosen] {
    *chosen = [=] { return InfoCommand(*options, *seconds, *as_json); };
  });
  AddPullCommand(*command, chosen);
}

}  // namespace cliptag
