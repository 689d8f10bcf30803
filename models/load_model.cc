#include "models/load_model.h"

#include <utility>

#include "kernels/base/log.h"
#include "kernels/create_backend.h"
#include "models/auto_precision.h"

namespace cliptag {
namespace {

Status LoadOn(const std::string& directory, const BackendOptions& options,
              FunctionRef<Status(ClipModel&)> prepare, LoadedModel* loaded) {
  loaded->backend = FastestBackend(directory, options, std::move(loaded->backend));
  CLIPTAG_ASSIGN_OR_RETURN(loaded->model, ClipModel::Load(directory, *loaded->backend));
  return prepare(*loaded->model);
}

}  // namespace

Result<LoadedModel> LoadModel(const std::string& directory, const BackendOptions& options,
                              FunctionRef<Status(ClipModel&)> prepare) {
  LoadedModel loaded;
  CLIPTAG_ASSIGN_OR_RETURN(loaded.backend, CreateBackend(options));
  Status status = LoadOn(directory, options, prepare, &loaded);
  const bool may_fall_back =
      options.kind == BackendKind::kAuto && loaded.backend->info().kind != BackendKind::kCpu;
  if (!status.ok() && may_fall_back) {
    const std::string why = status.message();
    loaded.model.reset();
    BackendOptions cpu = options;
    cpu.kind = BackendKind::kCpu;
    if (cpu.precision == Precision::kFp16) cpu.precision = Precision::kAuto;  // the GPU's alone
    CLIPTAG_ASSIGN_OR_RETURN(loaded.backend, CreateBackend(cpu));
    status = LoadOn(directory, cpu, prepare, &loaded);
    if (status.ok()) Log(LogLevel::kWarning, "The CPU is used instead of the GPU. " + why);
  }
  CLIPTAG_RETURN_IF_ERROR(status);
  return loaded;
}

}  // namespace cliptag
