/* zlib's inflate, which finds out itself which of the two forms it gets. */
#include "server/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

#define PIECE 16384

struct sv_gunzip {
    z_stream stream;
    bool ended; /* a member of the gzip file did, and no other has begun */
};

sv_gunzip *sv_gunzip_open(void) {
    sv_gunzip *gunzip = calloc(1, sizeof *gunzip);
    if (gunzip && inflateInit2(&gunzip->stream, MAX_WBITS + 32) != Z_OK) {
        free(gunzip);
        return NULL;
    }
    return gunzip;
}

void sv_gunzip_close(sv_gunzip *gunzip) {
    if (gunzip)
        inflateEnd(&gunzip->stream);
    free(gunzip);
}

bool sv_gunzip_feed(sv_gunzip *gunzip, const char *data, size_t size, sv_gunzip_take *take, void *context) {
    z_stream *stream = &gunzip->stream;
    unsigned char piece[PIECE];
    stream->next_in = (unsigned char *)data;
    stream->avail_in = (unsigned)size;
    do {
        if (gunzip->ended) {
            if (stream->avail_in == 0)
                return true;
            inflateReset(stream);
            gunzip->ended = false;
        }
        stream->next_out = piece;
        stream->avail_out = sizeof piece;
        int result = inflate(stream, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return false;
        gunzip->ended = result == Z_STREAM_END;
        size_t count = sizeof piece - stream->avail_out;
        if (count > 0 && !take(context, (const char *)piece, count))
            return true;
    } while (stream->avail_in > 0 || stream->avail_out == 0);
    return true;
}

bool sv_gunzip_is_complete(const sv_gunzip *gunzip) {
    return gunzip->ended;
}
