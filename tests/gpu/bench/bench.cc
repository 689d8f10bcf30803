// What the CUDA backend reaches of what the card can do. Not a test: tests/gpu/run.sh runs it.
//
//   gpu_bench [--part limits|ops|attention|preprocess|models]... [--model NAME]... [--batch N]...
//             [--precision bf16|fp16] [--seconds S] [--small]
//
// All parts, models and batches unless told. One JSON object a line, the first about the card:
// `ms`, `us`: median; `best_...`: least. `gb_s` counts every byte that has to be read or written
// once. Operations are timed by the card's clock, several in one graph, over buffers that do not
// fit into its cache together; models by the host's clock, several batches in a row, and
// `latency_ms` one by one.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/cuda_backend.h"
#include "tests/gpu/bench/shapes.h"
#include "tests/gpu/bench/support.h"
#include "tests/gpu/device/gpu_main.h"

namespace cliptag::bench {
namespace {

using Part = void (*)(const Options&);
struct NamedPart {
  const char* name;
  Part run;
};
constexpr NamedPart kParts[] = {{"limits", &MeasureLimits},
                                {"ops", &MeasureOperations},
                                {"attention", &MeasureAttention},
                                {"preprocess", &MeasurePreprocess},
                                {"models", &MeasureModels}};

[[noreturn]] void Usage(const char* what) {
  std::fprintf(stderr,
               "gpu_bench: %s\nusage: gpu_bench [--part limits|ops|attention|preprocess|models]... "
               "[--model NAME]... [--batch N]... [--precision bf16|fp16] [--seconds S] [--small]\n",
               what);
  std::exit(2);
}

struct Command {
  Options options;
  std::vector<Part> parts;
};

Part PartNamed(const std::string& name) {
  for (const NamedPart& part : kParts) {
    if (name == part.name) return part.run;
  }
  Usage(("there is no part " + name).c_str());
}

Command Parse(int argc, char** argv) {
  Command command;
  Options& options = command.options;
  std::vector<int> batches;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--small") {
      options.small = true;
      options.batches = {1, 2};
      options.seconds = 0;
      continue;
    }
    if (i + 1 == argc) Usage(("what is " + name + "?").c_str());
    const std::string value = argv[++i];
    if (name == "--part") {
      command.parts.push_back(PartNamed(value));
    } else if (name == "--model") {
      options.models.push_back(ShapeNamed(value).name);
    } else if (name == "--batch") {
      batches.push_back(std::atoi(value.c_str()));
      if (batches.back() < 1) Usage("a batch is a positive number");
    } else if (name == "--precision" && (value == "bf16" || value == "fp16")) {
      options.type = value == "fp16" ? DType::kF16 : DType::kBF16;
    } else if (name == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else {
      Usage(("what is " + name + " " + value + "?").c_str());
    }
  }
  if (!batches.empty()) options.batches = batches;
  if (command.parts.empty()) {
    for (const NamedPart& part : kParts) command.parts.push_back(part.run);
  }
  return command;
}

int Main(int argc, char** argv) {
  const Command command = Parse(argc, argv);
  {
    const auto backend = cuda::CreateDeviceBackend({.kind = BackendKind::kCuda});
    if (!HasGpu(backend.status())) return kSkipped;
    JsonLine("machine")
        .Text("description", (*backend)->info().description)
        .Text("precision", command.options.type == DType::kF16 ? "fp16" : "bf16");
  }
  for (const Part part : command.parts) part(command.options);
  return 0;
}

}  // namespace
}  // namespace cliptag::bench

int main(int argc, char** argv) { return cliptag::bench::Main(argc, argv); }
