/* Two streaming decoders behind one function. Each is told where its packed bytes are and where the unpacked ones go, does what
 * it can, and says whether a part (a gzip member, a zstd frame) has ended; what is the same in both stands around them. */
#include "io/unpack.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { PACKED_BYTES = 1 << 18, GZIP_WINDOW = 15 + 16 /* zlib's largest, and only in gzip's wrapping */ };

struct sv_unpack {
    sv_magic_kind kind;
    const char *name;
    sv_unpack_read_fn *read;
    void *context;
    z_stream gzip;
    ZSTD_DStream *zstd;
    size_t start, filled; /* packed[start .. filled) is to be unpacked */
    bool inside;          /* a part has begun and not ended */
    bool ended;           /* no packed bytes follow */
    unsigned char packed[PACKED_BYTES];
};

senvec_status sv_unpack_open(sv_magic_kind kind, const char *name, const void *head, size_t size, sv_unpack_read_fn *read,
                             void *context, sv_unpack **out, senvec_error *err) {
    if (size > PACKED_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: over %d bytes before unpacking", name, PACKED_BYTES);
    sv_unpack *unpack = calloc(1, sizeof *unpack);
    bool ready = unpack != NULL;
    if (ready && kind == SV_MAGIC_GZIP)
        ready = inflateInit2(&unpack->gzip, GZIP_WINDOW) == Z_OK;
    else if (ready)
        ready = (unpack->zstd = ZSTD_createDStream()) != NULL;
    if (!ready) {
        free(unpack);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to unpack it", name);
    }
    unpack->kind = kind;
    unpack->name = name;
    unpack->read = read;
    unpack->context = context;
    memcpy(unpack->packed, head, size);
    unpack->filled = size;
    *out = unpack;
    return SENVEC_OK;
}

void sv_unpack_close(sv_unpack *unpack) {
    if (!unpack)
        return;
    if (unpack->kind == SV_MAGIC_GZIP)
        inflateEnd(&unpack->gzip);
    ZSTD_freeDStream(unpack->zstd);
    free(unpack);
}

/* One step of zlib. A member's end resets the decoder for the next one. NULL, or what is wrong. */
static const char *step_gzip(sv_unpack *unpack, void *buffer, size_t size, size_t *made) {
    z_stream *z = &unpack->gzip;
    z->next_in = unpack->packed + unpack->start;
    z->avail_in = (uInt)(unpack->filled - unpack->start);
    z->next_out = buffer;
    z->avail_out = size < UINT_MAX ? (uInt)size : UINT_MAX;
    uInt room = z->avail_out;
    int code = inflate(z, Z_NO_FLUSH);
    *made = room - z->avail_out;
    unpack->start = unpack->filled - z->avail_in;
    unpack->inside = code != Z_STREAM_END;
    if (code == Z_STREAM_END)
        return inflateReset(z) == Z_OK ? NULL : "damaged";
    if (code == Z_MEM_ERROR)
        return "no memory to unpack it";
    return code == Z_OK || code == Z_BUF_ERROR ? NULL : z->msg ? z->msg : "damaged";
}

static const char *step_zstd(sv_unpack *unpack, void *buffer, size_t size, size_t *made) {
    ZSTD_inBuffer in = {unpack->packed, unpack->filled, unpack->start};
    ZSTD_outBuffer out = {buffer, size, 0};
    size_t code = ZSTD_decompressStream(unpack->zstd, &out, &in);
    if (ZSTD_isError(code))
        return ZSTD_getErrorName(code);
    unpack->start = in.pos;
    unpack->inside = code != 0;
    *made = out.pos;
    return NULL;
}

/* Between two members: zeros that tar or a tape drive added are not a member. */
static bool is_padding(const sv_unpack *unpack) {
    if (unpack->kind != SV_MAGIC_GZIP || unpack->inside)
        return false;
    for (size_t i = unpack->start; i < unpack->filled; i++)
        if (unpack->packed[i])
            return false;
    return true;
}

senvec_status sv_unpack_next(sv_unpack *unpack, void *buffer, size_t size, size_t *count, senvec_error *err) {
    const char *format = unpack->kind == SV_MAGIC_GZIP ? "gzip" : "zstd";
    for (;;) {
        if (unpack->start < unpack->filled && is_padding(unpack))
            unpack->start = unpack->filled;
        if (unpack->start == unpack->filled && !unpack->ended) {
            size_t received = 0;
            SENVEC_TRY(unpack->read(unpack->context, unpack->packed, PACKED_BYTES, &received, err));
            unpack->start = 0;
            unpack->filled = received;
            unpack->ended = received == 0;
            continue;
        }
        if (unpack->ended && !unpack->inside) {
            *count = 0;
            return SENVEC_OK;
        }
        size_t made = 0;
        const char *problem =
            unpack->kind == SV_MAGIC_GZIP ? step_gzip(unpack, buffer, size, &made) : step_zstd(unpack, buffer, size, &made);
        if (problem)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: its %s data can't be unpacked: %s; fetch or pack it again", unpack->name,
                           format, problem);
        if (made) {
            *count = made;
            return SENVEC_OK;
        }
        if (unpack->ended && unpack->inside)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: its %s data ends too early: it was cut; fetch or pack it again",
                           unpack->name, format);
    }
}
