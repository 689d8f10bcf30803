// ReadPicture without OpenCV: tests/gpu/run.sh has decoded the picture into PATH.ppm.
#include <fstream>
#include <stdexcept>

#include "tests/models/model_test.h"

namespace cliptag {

Picture ReadPicture(const std::string& path) {
  std::ifstream in(path + ".ppm", std::ios::binary);
  std::string magic;
  int largest = 0;
  Picture picture;
  in >> magic >> picture.width >> picture.height >> largest;
  if (!in || magic != "P6" || largest != 255) throw std::runtime_error("no " + path + ".ppm");
  in.get();
  picture.rgb.resize(size_t{3} * picture.width * picture.height);
  in.read(reinterpret_cast<char*>(picture.rgb.data()), static_cast<long>(picture.rgb.size()));
  if (!in) throw std::runtime_error(path + ".ppm is cut short");
  return picture;
}

}  // namespace cliptag
