// cliptag models: which models there are, and what one of them is.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "models/config.h"
#include "plugin/cli/bench_stages.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/measure.h"
#include "plugin/cli/model_facts.h"
#include "plugin/cli/options.h"

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

int Finish() {
  const Status written = FlushOutput();
  return written.ok() ? 0 : Fail(written);
}

int ListCommand(bool as_json) {
  Json list = Json::array();
  size_t name_width = 4;
  const auto models = ListModels();
  for (const auto& [name, path] : models) {
    Json entry = {{"name", name}, {"path", path}};
    if (const Result<ModelConfig> config = ReadModelConfig(path); config.ok()) {
      entry["image_size"] = config->vision.image_size;
      if (!config->vision.is_resnet()) entry["patch_size"] = config->vision.patch_size;
      entry["embed_dim"] = config->embed_dim;
      entry["context_length"] = config->text.context_length;
    } else {
      entry["error"] = config.status().message();
    }
    name_width = std::max(name_width, name.size());
    list.push_back(std::move(entry));
  }
  if (as_json) {
    std::cout << Dump(list) << '\n';
    return Finish();
  }
  char text[64];
  std::cout << std::string("name").append(name_width - 4, ' ')
            << "  image  patch    dim  directory\n";
  for (size_t i = 0; i < models.size(); ++i) {
    const auto& [name, path] = models[i];
    std::cout << name << std::string(name_width - name.size(), ' ');
    if (list[i].contains("error")) {
      std::cout << "      -      -      -  " << path
                << "\n  cannot be used: " << list[i]["error"].get<std::string>() << '\n';
      continue;
    }
    const std::string patch = list[i].contains("patch_size") ? list[i]["patch_size"].dump() : "-";
    std::snprintf(text, sizeof(text), "  %5d  %5s  %5d  ", list[i]["image_size"].get<int>(),
                  patch.c_str(), list[i]["embed_dim"].get<int>());
    std::cout << text << path << '\n';
  }
  return Finish();
}

Json TowerJson(const TransformerConfig& t, int64_t parameters, double flops) {
  return {{"parameters", parameters},
          {"gflops", flops / 1e9},
          {"width", t.width},
          {"layers", t.layers},
          {"heads", t.heads},
          {"mlp_width", t.mlp_width},
          {"activation", t.activation == Activation::kQuickGelu ? "quick_gelu" : "gelu"}};
}

Json ImageJson(const ModelConfig& config, const ModelFacts& facts) {
  const VisionConfig& vision = config.vision;
  const double flops = ImageFlops(config);
  if (!vision.is_resnet()) {
    Json json = TowerJson(vision.transformer, facts.image_parameters, flops);
    json["size"] = vision.image_size;
    json["patch"] = vision.patch_size;
    json["tokens"] = vision.tokens();
    return json;
  }
  return {{"parameters", facts.image_parameters},
          {"gflops", flops / 1e9},
          {"width", vision.resnet.width},
          {"layers", vision.resnet.layers},
          {"heads", vision.resnet.heads},
          {"activation", "relu"},
          {"size", vision.image_size}};
}

// Everything about a model: its files, and one second of running it.
Result<Json> Describe(const ModelOptions& options) {
  const double begin_ms = NowMs();
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options));
  const double ready_ms = NowMs() - begin_ms;
  const ModelConfig& config = session.model->config();
  CLIPTAG_ASSIGN_OR_RETURN(const ModelFacts facts, ReadModelFacts(config));
  CLIPTAG_ASSIGN_OR_RETURN(const auto stage,
                           MakeBenchStage("encode", *session.model, BenchShape()));
  CLIPTAG_ASSIGN_OR_RETURN(const Timing timing,
                           Measure([&](int64_t i) { return stage->Run(i); }, 1.0));
  const BackendInfo& backend = session.backend->info();

  Json json = {{"name", config.name},
               {"path", config.path},
               {"layout", config.layout == Layout::kOpenClip ? "open_clip" : "huggingface"},
               {"embed_dim", config.embed_dim},
               {"logit_scale", config.logit_scale},
               {"logit_bias", config.logit_bias},
               {"templates", config.templates}};
  json["image"] = ImageJson(config, facts);
  json["text"] = TowerJson(config.text.transformer, facts.text_parameters, TextFlops(config));
  json["text"]["context"] = config.text.context_length;
  json["text"]["vocabulary"] = config.text.vocab_size;
  json["parameters"] = facts.image_parameters + facts.text_parameters + facts.other_parameters;
  json["weights"] = facts.parameters_by_type;
  json["files"] = Json::array();
  for (const auto& [name, bytes] : facts.files)
    json["files"].push_back({{"name", name}, {"bytes", bytes}});
  json["run"] = {{"backend", backend.name},
                 {"precision", ToString(backend.precision)},
                 {"description", backend.description},
                 {"images_per_second", 1000 / timing.median_ms()},
                 {"ready_ms", ready_ms},
                 {"rss_mb", ResidentMb()}};
  const Result<std::string> starter = FindModel("starter");
  if (starter.ok() && *starter == config.path) json["about"] = kAboutStarter;
  return json;
}

void PrintTower(const char* name, const Json& tower, const std::string& input) {
  const std::string mlp = tower.contains("mlp_width") ? ", MLP " + tower["mlp_width"].dump() : "";
  char text[256];
  std::snprintf(text, sizeof(text),
                "%-12s %s; %s layers, width %d, %d heads%s, %s\n"
                "             %.2f million parameters, %.3f GFLOP each\n",
                name, input.c_str(), tower["layers"].dump().c_str(), tower["width"].get<int>(),
                tower["heads"].get<int>(), mlp.c_str(),
                tower["activation"].get<std::string>().c_str(),
                tower["parameters"].get<double>() / 1e6, tower["gflops"].get<double>());
  std::cout << text;
}

void PrintInfo(const Json& json) {
  const Json &image = json["image"], &words = json["text"], &run = json["run"];
  std::cout << json["name"].get<std::string>() << "  (" << json["path"].get<std::string>() << ")\n";
  if (json.contains("about")) std::cout << json["about"].get<std::string>() << '\n';
  const std::string size = std::to_string(image["size"].get<int>());
  PrintTower("images", image,
             size + "x" + size + " pixels, " +
                 (image.contains("patch")
                      ? "patch " + image["patch"].dump() + ", " + image["tokens"].dump() + " tokens"
                      : "modified ResNet"));
  PrintTower("texts", words,
             std::to_string(words["context"].get<int>()) + " tokens of " +
                 std::to_string(words["vocabulary"].get<int>()));
  std::cout << "embeddings   " << json["embed_dim"].get<int>() << " numbers\nweights     ";
  for (const auto& [type, count] : json["weights"].items()) {
    std::cout << ' ' << type << " (" << count.get<int64_t>() << ")";
  }
  std::cout << "\nfiles        ";
  for (size_t i = 0; i < json["files"].size(); ++i) {
    const Json& file = json["files"][i];
    std::cout << (i ? ", " : "") << file["name"].get<std::string>() << " ("
              << file["bytes"].get<uint64_t>() << ")";
  }
  char text[256];
  std::snprintf(
      text, sizeof(text),
      "here         about %.1f images/s one by one, %.0f MB resident, loaded in %.0f ms\n",
      run["images_per_second"].get<double>(), run["rss_mb"].get<double>(),
      run["ready_ms"].get<double>());
  std::cout << "\n"
            << text << "             " << run["backend"].get<std::string>() << ", "
            << run["precision"].get<std::string>() << ", " << run["description"].get<std::string>()
            << '\n';
}

int InfoCommand(const ModelOptions& options, bool as_json) {
  const Result<Json> json = Describe(options);
  if (!json.ok()) return Fail(json.status());
  if (as_json) {
    std::cout << Dump(*json) << '\n';
  } else {
    PrintInfo(*json);
  }
  return Finish();
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
      "  cliptag models info starter");

  auto as_json = std::make_shared<bool>(false);
  CLI::App* list = command->add_subcommand("list", "List the models that can be named");
  list->add_flag("--json", *as_json, "Print JSON");
  list->footer("Example:\n  cliptag models list --json");
  list->callback([as_json, chosen] { *chosen = [as_json] { return ListCommand(*as_json); }; });

  auto options = std::make_shared<ModelOptions>();
  CLI::App* info = command->add_subcommand("info", "Describe a model and run it for a second");
  info->add_option("MODEL", options->model, "Its name or directory")->required();
  info->add_flag("--json", *as_json, "Print JSON");
  AddModelOptions(*info, options.get(), /*with_model=*/false);
  info->footer("Examples:\n  cliptag models info starter\n  cliptag models info ./ViT-B-32 --json");
  info->callback([options, as_json, chosen] {
    *chosen = [options, as_json] { return InfoCommand(*options, *as_json); };
  });
}

}  // namespace cliptag
