// A page to draw figures on, in points from the top left: PNG or SVG by the name of the file.
//
// Ownership: a Canvas owns its surface. Thread safety: one thread each.
#pragma once

#include <cairo.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

struct Colour {
  double red = 0, green = 0, blue = 0;
};
constexpr Colour kInk = {0.13, 0.13, 0.15};
constexpr Colour kFaint = {0.45, 0.45, 0.48};
constexpr Colour kGrid = {0.88, 0.88, 0.90};

struct Point {
  double x = 0, y = 0;
};

enum class Align { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 9;  // points
  Align align = Align::kStart;
  bool bold = false;
  Colour colour = kInk;
  bool upwards = false;   // turned by a quarter, read from the right
  double most_width = 0;  // longer text is cut with an ellipsis; 0: never
};

class Canvas {
 public:
  static Result<std::unique_ptr<Canvas>> Create(const std::string& path, double width,
                                                double height);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  void Rectangle(Point corner, double width, double height, Colour colour);
  void Frame(Point corner, double width, double height, Colour colour, double line = 0.7);
  void Line(Point from, Point to, Colour colour, double line = 0.7, bool dashed = false);
  void Path(const std::vector<Point>& points, Colour colour, double line);
  // One of eight shapes, so that curves differ without colour, too.
  void Marker(Point middle, int shape, Colour colour);
  // The middle of the line's height lies at `at`. Any bytes.
  void Text(Point at, const std::string& text, const TextStyle& style);
  double WidthOf(const std::string& text, double size, bool bold = false);

  // Writes the file.
  Status Finish();

 private:
  Canvas() = default;
  void Use(Colour colour);

  std::string path_;
  bool png_ = true;
  cairo_surface_t* surface_ = nullptr;
  cairo_t* cairo_ = nullptr;
};

}  // namespace cliptag
