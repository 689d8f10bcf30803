#include "plugin/elements/meta/region_map.h"

#include <gst/video/video.h>

#include <algorithm>
#include <cmath>

#include "plugin/elements/meta/gstcliptagmeta.h"

namespace cliptag {
namespace {

constexpr char kPlaceMeta[] = "GstCliptagPlaceMeta";

// As videoscale fits a frame into another display aspect ratio: with borders. Before GStreamer 1.28
// nothing tells whether its property add-borders is off.
RegionMap MapOfScale(const GstVideoMetaTransform& scale) {
  const GstVideoInfo &in = *scale.in_info, &out = *scale.out_info;
  RegionMap map;
  map.width = out.width;
  map.height = out.height;
  if (in.width <= 0 || in.height <= 0) return map;
  int borders_x = 0, borders_y = 0;
  gint from_n = 0, from_d = 0, n = 0, d = 0;
  if (gst_util_fraction_multiply(in.width, in.height, in.par_n, in.par_d, &from_n, &from_d) &&
      gst_util_fraction_multiply(from_n, from_d, out.par_d, out.par_n, &n, &d) && n > 0 && d > 0) {
    const auto high = static_cast<gint>(gst_util_uint64_scale_int(out.width, d, n));
    if (high <= out.height) {
      borders_y = out.height - high;
    } else {
      borders_x = out.width - static_cast<gint>(gst_util_uint64_scale_int(out.height, n, d));
    }
  }
  map.xx = static_cast<double>(out.width - borders_x) / in.width;
  map.yy = static_cast<double>(out.height - borders_y) / in.height;
  const int left = borders_x / 2, top = borders_y / 2;  // whole pixels
  map.x0 = left;
  map.y0 = top;
  return map;
}

void AddPlace(GstBuffer* buffer, const RegionMap& map) {
  GstCustomMeta* meta = gst_buffer_add_custom_meta(buffer, kPlaceMeta);
  if (meta == nullptr) return;
  gst_structure_set(gst_custom_meta_get_structure(meta), "xx", G_TYPE_DOUBLE, map.xx, "xy",
                    G_TYPE_DOUBLE, map.xy, "x0", G_TYPE_DOUBLE, map.x0, "yx", G_TYPE_DOUBLE, map.yx,
                    "yy", G_TYPE_DOUBLE, map.yy, "y0", G_TYPE_DOUBLE, map.y0, "width", G_TYPE_INT,
                    map.width, "height", G_TYPE_INT, map.height, nullptr);
}

// The map of the buffer's place meta; false if it has none.
bool PlaceOf(GstBuffer* buffer, RegionMap* map) {
  GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, kPlaceMeta);
  return meta != nullptr &&
         gst_structure_get(gst_custom_meta_get_structure(meta), "xx", G_TYPE_DOUBLE, &map->xx, "xy",
                           G_TYPE_DOUBLE, &map->xy, "x0", G_TYPE_DOUBLE, &map->x0, "yx",
                           G_TYPE_DOUBLE, &map->yx, "yy", G_TYPE_DOUBLE, &map->yy, "y0",
                           G_TYPE_DOUBLE, &map->y0, "width", G_TYPE_INT, &map->width, "height",
                           G_TYPE_INT, &map->height, nullptr);
}

gboolean TransformPlace(GstBuffer* to, GstCustomMeta*, GstBuffer*, GQuark type, gpointer data,
                        gpointer) {
  RegionMap map;
  if (GST_META_TRANSFORM_IS_COPY(type)) {
    AddPlace(to, map);
  } else if (GST_VIDEO_META_TRANSFORM_IS_SCALE(type)) {
    AddPlace(to, MapOfScale(*static_cast<const GstVideoMetaTransform*>(data)));
  } else if (MapOfMatrix(type, data, &map)) {
    AddPlace(to, map);
  } else {
    return FALSE;
  }
  return TRUE;
}

// Moves the region of a tag; removes it if `map` is null or nothing of it is left.
void MoveRegion(GstStructure* tag, const RegionMap* map) {
  const GValue* value = gst_structure_get_value(tag, "region");
  if (value == nullptr || !GST_VALUE_HOLDS_STRUCTURE(value)) return;
  GstStructure* region = gst_structure_copy(gst_value_get_structure(value));
  Rect rect;
  const bool known =
      map != nullptr &&
      gst_structure_get(region, "x", G_TYPE_INT, &rect.x, "y", G_TYPE_INT, &rect.y, "w", G_TYPE_INT,
                        &rect.width, "h", G_TYPE_INT, &rect.height, nullptr);
  if (known) rect = MapRegion(*map, rect);
  if (known && rect.width > 0) {
    gst_structure_set(region, "x", G_TYPE_INT, rect.x, "y", G_TYPE_INT, rect.y, "w", G_TYPE_INT,
                      rect.width, "h", G_TYPE_INT, rect.height, nullptr);
    gst_structure_set(tag, "region", GST_TYPE_STRUCTURE, region, nullptr);
  } else {
    gst_structure_remove_field(tag, "region");
  }
  gst_structure_free(region);
}

// The list `tags` with every region moved.
void MoveTags(const GValue* tags, const RegionMap* map, GValue* moved) {
  g_value_init(moved, GST_TYPE_LIST);
  for (guint i = 0; i < gst_value_list_get_size(tags); ++i) {
    GValue copy = G_VALUE_INIT;
    const GValue* tag = gst_value_list_get_value(tags, i);
    g_value_init(&copy, G_VALUE_TYPE(tag));
    g_value_copy(tag, &copy);
    if (GST_VALUE_HOLDS_STRUCTURE(&copy)) {
      MoveRegion(static_cast<GstStructure*>(g_value_get_boxed(&copy)), map);
    }
    gst_value_list_append_and_take_value(moved, &copy);
  }
}

bool IsIdentity(const RegionMap& m) {
  return m.xx == 1 && m.xy == 0 && m.x0 == 0 && m.yx == 0 && m.yy == 1 && m.y0 == 0;
}

gboolean TransformTags(GstBuffer* to, GstCustomMeta* meta, GstBuffer* from, GQuark type, gpointer,
                       gpointer) {
  if (!GST_META_TRANSFORM_IS_COPY(type)) return FALSE;
  GstCustomMeta* copy = gst_buffer_add_custom_meta(to, GST_CLIPTAG_META_NAME);
  if (copy == nullptr) return FALSE;
  GstStructure* into = gst_custom_meta_get_structure(copy);
  const GstStructure* fields = gst_custom_meta_get_structure(meta);
  for (gint i = 0; i < gst_structure_n_fields(fields); ++i) {
    const gchar* name = gst_structure_nth_field_name(fields, static_cast<guint>(i));
    gst_structure_set_value(into, name, gst_structure_get_value(fields, name));
  }
  RegionMap map;
  if (!PlaceOf(from, &map)) return TRUE;  // no regions of this plugin
  const bool known = PlaceOf(to, &map);
  const GValue* tags = gst_structure_get_value(into, "tags");
  if ((known && IsIdentity(map)) || tags == nullptr || !GST_VALUE_HOLDS_LIST(tags)) return TRUE;
  GValue moved = G_VALUE_INIT;
  MoveTags(tags, known ? &map : nullptr, &moved);
  gst_structure_take_value(into, "tags", &moved);
  return TRUE;
}

int Rounded(double value, int most) {
  constexpr double kFar = 1 << 24;  // beyond any frame
  const double end = most > 0 ? most : kFar;
  return static_cast<int>(std::lround(std::clamp(value, most > 0 ? 0.0 : -kFar, end)));
}

}  // namespace

Rect MapRegion(const RegionMap& map, const Rect& region) {
  const double x[] = {static_cast<double>(region.x), static_cast<double>(region.x) + region.width};
  const double y[] = {static_cast<double>(region.y), static_cast<double>(region.y) + region.height};
  const auto [left, right] =
      std::minmax({map.xx * x[0] + map.xy * y[0], map.xx * x[1] + map.xy * y[0],
                   map.xx * x[0] + map.xy * y[1], map.xx * x[1] + map.xy * y[1]});
  const auto [top, bottom] =
      std::minmax({map.yx * x[0] + map.yy * y[0], map.yx * x[1] + map.yy * y[0],
                   map.yx * x[0] + map.yy * y[1], map.yx * x[1] + map.yy * y[1]});
  const int x0 = Rounded(left + map.x0, map.width), x1 = Rounded(right + map.x0, map.width);
  const int y0 = Rounded(top + map.y0, map.height), y1 = Rounded(bottom + map.y0, map.height);
  if (x1 <= x0 || y1 <= y0) return {};
  return {x0, y0, x1 - x0, y1 - y0};
}

void RegisterMetas() {
  if (gst_meta_get_info(GST_CLIPTAG_META_NAME) != nullptr) return;
  static const gchar* no_tags[] = {nullptr};
  gst_meta_register_custom(GST_CLIPTAG_META_NAME, no_tags, TransformTags, nullptr, nullptr);
  static const gchar* place_tags[] = {GST_META_TAG_VIDEO_STR, GST_META_TAG_VIDEO_SIZE_STR,
                                      GST_META_TAG_VIDEO_ORIENTATION_STR, nullptr};
  gst_meta_register_custom(kPlaceMeta, place_tags, TransformPlace, nullptr, nullptr);
}

void MarkPlace(GstBuffer* buffer) {
  if (gst_buffer_get_custom_meta(buffer, kPlaceMeta) == nullptr) AddPlace(buffer, {});
}

}  // namespace cliptag
