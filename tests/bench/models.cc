// Whole image encoders: images a second, and where the time of a pass goes.
#include <algorithm>
#include <cmath>

#include "kernels/create_backend.h"
#include "models/config/find_model.h"
#include "models/encoders/image_encoder.h"
#include "tests/bench/bench.h"
#include "tests/bench/shapes.h"
#include "tests/bench/timed_backend.h"

namespace cliptag::bench {
namespace {

// A model's image encoder on a backend, from its files or with random weights. It goes first.
class Encoder {
 public:
  Encoder(Backend& backend, const std::string& name) {
    if (const Shape* shape = FindShape(name)) {
      config_ = ConfigOf(*shape);
      random_ = std::make_unique<RandomEncoder>(backend, config_);
      return;
    }
    model_ = Check(ClipModel::Load(Check(FindModel(name)), backend));
    config_ = model_->config();
  }
  ImageEncoder& image() { return random_ != nullptr ? random_->encoder() : model_->image(); }
  const ModelConfig& config() const { return config_; }

 private:
  ModelConfig config_;
  std::unique_ptr<RandomEncoder> random_;
  std::unique_ptr<ClipModel> model_;
};

ModelConfig ReadConfig(const std::string& name) {
  if (const Shape* shape = FindShape(name)) return ConfigOf(*shape);
  return Check(ReadModelConfig(Check(FindModel(name))));
}

// Its width is 0 where the model has another kind of tower.
VitConfig VitOf(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  return vit != nullptr ? *vit : VitConfig();
}

// Names after the places of an encoder that have such shapes.
TimedBackend::NameProduct Names(const ModelConfig& config) {
  const VitConfig vit = VitOf(config);
  const int64_t width = vit.transformer.width, mlp = vit.transformer.mlp_width;
  const int64_t pixels = int64_t{3} * vit.patch_size * vit.patch_size;
  const int64_t embed = config.embed_dim;
  // The first product of a pass is the patches', whatever else has its shape.
  auto passes = std::make_shared<const Linear*>(nullptr);
  return [=](const Linear& linear, bool accumulate) -> std::string {
    if (*passes == nullptr && linear.out() == width && linear.in() >= pixels) *passes = &linear;
    if (*passes == &linear) return "patch embedding";
    if (linear.in() == mlp && linear.out() == width) return "fc2";
    if (linear.in() == width && linear.out() == mlp) return "fc1";
    if (linear.in() == width && linear.out() == width && accumulate) return "out";
    if (linear.out() == embed && linear.in() == width && embed != width) return "projection";
    return "qkv";
  };
}

Json Profile(const Options& options, Backend& backend, const std::string& name, int batch) {
  TimedBackend timed(backend, Names(ReadConfig(name)));
  Encoder encoder(timed, name);
  Check(encoder.image().Setup(batch));
  const auto pass = [&](int) {
    CLIPTAG_RETURN_IF_ERROR(encoder.image().EncodePrepared(batch).status());
    return timed.Sync();
  };
  for (int i = 0; i < 2; ++i) Check(pass(i));
  timed.Clear();
  int passes = 0;
  for (const double end = NowSeconds() + options.seconds; passes < 3 || NowSeconds() < end;) {
    Check(pass(passes++));
  }
  double all = 0;
  for (const auto& [what, total] : timed.totals()) all += total.cpu;
  Json profile = Json::array();
  std::vector<std::pair<std::string, TimedBackend::Total>> sorted(timed.totals().begin(),
                                                                  timed.totals().end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.cpu > b.second.cpu; });
  for (const auto& [what, total] : sorted) {
    profile.push_back({{"operation", what},
                       {"share", all > 0 ? total.cpu / all : 0.0},
                       {"ms", total.seconds / passes * 1e3},
                       {"cpu_ms", total.cpu / passes * 1e3},
                       {"calls", total.calls / passes}});
  }
  return profile;
}

void PrintProfile(const Json& profile) {
  for (const Json& row : profile) {
    std::fprintf(stderr, "    %-16s %5.1f %%  %8.3f ms  %8.3f cpu  %d calls\n",
                 row["operation"].get<std::string>().c_str(), 100 * row["share"].get<double>(),
                 row["ms"].get<double>(), row["cpu_ms"].get<double>(), row["calls"].get<int>());
  }
}

}  // namespace

void RunModels(const Options& options, Precision precision, Report* report) {
  BackendOptions wanted;
  wanted.kind = BackendKind::kCpu;
  wanted.precision = precision;
  wanted.threads = options.threads;
  for (const std::string& model : options.models) {
    for (const int batch : options.batches) {
      const std::string name = "model/" + model + "/" + std::to_string(batch);
      if (!options.Wants(name)) continue;
      const auto backend = Check(CreateBackend(wanted));
      Timing t;
      ModelConfig config;
      {
        Encoder encoder(*backend, model);
        config = encoder.config();
        Check(encoder.image().Setup(batch));
        t = Measure(options.seconds, 1, [&](int) {
          CLIPTAG_RETURN_IF_ERROR(encoder.image().EncodePrepared(batch).status());
          return backend->Sync();
        });
      }
      const double flops = batch * FlopsOf(VitOf(config), config.embed_dim);
      const Json profile = Profile(options, *backend, model, batch);
      report->Add({{"name", name},
                   {"precision", ToString(backend->info().precision)},
                   {"threads", backend->info().threads},
                   {"ms", t.median * 1e3},
                   {"best_ms", t.best * 1e3},
                   {"cpu_ms", t.cpu * 1e3},
                   {"images_per_second", batch / t.median},
                   {"gflops", flops / t.best * 1e-9},
                   {"core_gflops", flops / t.cpu * 1e-9},
                   {"products", backend->info().products},
                   {"profile", profile}});
      PrintProfile(profile);
    }
  }
}

}  // namespace cliptag::bench
