// Opens the module that has OpenCV linked when the first picture is read. It lies beside the
// plugin's folder, both in the build and installed; a plugin that was moved alone takes the
// installed one.
#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "plugin/gst/pictures/module.h"

namespace cliptag {
namespace {

constexpr char kName[] = "libcliptag_pictures.so";

// The folder of the shared object with this code.
std::string OwnFolder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&OwnFolder), &info) == 0 || info.dli_fname == nullptr) {
    return {};
  }
  return std::filesystem::path(info.dli_fname).parent_path().string();
}

Result<const PictureModule*> Open() {
  const std::string folder = OwnFolder();
  std::string why;
  for (const std::string& path :
       {folder + "/../gst/pictures/" + kName, folder + "/../cliptag/" + kName,
        std::string(CLIPTAG_INSTALLED_MODULES "/") + kName}) {
    // Never relative to the working directory.
    if (path.front() != '/' || access(path.c_str(), R_OK) != 0) continue;
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* const said = dlerror();
      why = said == nullptr ? path : said;
      continue;
    }
    const auto get = reinterpret_cast<PictureModuleFunction>(dlsym(library, kPictureModuleSymbol));
    const PictureModule* const module = get == nullptr ? nullptr : get();
    // Never closed: the pictures that it made live on.
    if (module != nullptr && std::string(module->version) == CLIPTAG_VERSION) return module;
    why = path + " is not of this version of cliptag";
    dlclose(library);
  }
  return Unsupported("pictures cannot be read, because " +
                     (why.empty() ? std::string(kName) + " is not installed" : why));
}

}  // namespace

Result<PictureFile> ReadPictureFile(const std::string& path) {
  static const auto* const module = new Result<const PictureModule*>(Open());
  if (!module->ok()) return module->status();
  return (**module)->read(path);
}

}  // namespace cliptag
