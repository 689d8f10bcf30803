/* Reading the tags that the `cliptag` element leaves on buffers, for C and C++ (Python reads the
 * same with Gst.Buffer.get_custom_meta("GstCliptagMeta").get_structure()).
 *
 * The meta is a GstCustomMeta; its GstStructure, and that of the bus message "cliptag", has the
 * fields
 *
 *   pts          guint64   time stamp of the frame that the tags belong to, ns
 *   stream-time  guint64   the same as stream time, ns (GST_CLOCK_TIME_NONE if there is none)
 *   frame        guint64   number of that frame, counted from 0 since the last segment start
 *   model        string    name of the model
 *   age          guint64   how much older than this buffer the tagged frame is, ns
 *   tags         GST_TYPE_LIST of GstStructure "tag", best first:
 *                label string, score double (0..1), cosine double, active boolean
 *   embedding    GBytes of float32, unit length (only with attach-embedding=true)
 *
 * Ownership: everything returned here is owned by the buffer; copy what must outlive it.
 * Thread safety: as for any other access to a GstBuffer's meta.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Since: 0.1
 */
#ifndef GST_CLIPTAG_META_H_
#define GST_CLIPTAG_META_H_

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_CLIPTAG_META_NAME "GstCliptagMeta"

/* Walks through the tags of every cliptag element that this buffer has passed, in that order; start
 * with *state = NULL. Returns NULL after the last one. */
static inline const GstStructure* gst_buffer_iterate_cliptag_meta(GstBuffer* buffer,
                                                                  gpointer* state) {
  GstMeta* meta;
  while ((meta = gst_buffer_iterate_meta(buffer, state)) != NULL) {
    if (gst_meta_info_is_custom(meta->info) &&
        gst_custom_meta_has_name((GstCustomMeta*)meta, GST_CLIPTAG_META_NAME)) {
      return gst_custom_meta_get_structure((GstCustomMeta*)meta);
    }
  }
  return NULL;
}

/* The tags on this buffer, or NULL if it has none. With several cliptag elements: the first one's.
 */
static inline const GstStructure* gst_buffer_get_cliptag_meta(GstBuffer* buffer) {
  gpointer state = NULL;
  return gst_buffer_iterate_cliptag_meta(buffer, &state);
}

/* How many tags the structure of the meta or of a "cliptag" message lists. */
static inline guint gst_cliptag_structure_n_tags(const GstStructure* structure) {
  const GValue* tags = gst_structure_get_value(structure, "tags");
  return tags != NULL && GST_VALUE_HOLDS_LIST(tags) ? gst_value_list_get_size(tags) : 0;
}

/* One of them; index 0 is the best. */
static inline const GstStructure* gst_cliptag_structure_get_tag(const GstStructure* structure,
                                                                guint index) {
  const GValue* tags = gst_structure_get_value(structure, "tags");
  return gst_value_get_structure(gst_value_list_get_value(tags, index));
}

G_END_DECLS

#endif /* GST_CLIPTAG_META_H_ */
