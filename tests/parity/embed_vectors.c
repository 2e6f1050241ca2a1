/* embed_vectors MODEL TIER THREADS: texts on stdin, vectors on stdout, through senvec.h; for tests that compare them.
 *
 * A text is a native 32-bit length and that many bytes; a vector is its floats. All texts make one batch. Exit 0; 1 with a line
 * on stderr; 77 if this build or CPU hasn't got the tier. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "senvec.h"

/* All of stdin, for free(). */
static char *read_all(size_t *size) {
    size_t room = 1 << 20, used = 0;
    char *data = malloc(room);
    for (size_t n; data && (n = fread(data + used, 1, room - used, stdin)) > 0;) {
        used += n;
        if (used < room)
            continue;
        char *larger = realloc(data, room *= 2);
        if (!larger)
            free(data);
        data = larger;
    }
    *size = used;
    return data;
}

/* The texts in `data`, for free(); NULL if it is cut short. */
static senvec_text *split(const char *data, size_t size, size_t *count) {
    senvec_text *texts = malloc((size / sizeof(uint32_t) + 1) * sizeof *texts);
    *count = 0;
    for (size_t at = 0; texts && at < size;) {
        uint32_t length = 0;
        if (size - at >= sizeof length)
            memcpy(&length, data + at, sizeof length);
        at += sizeof length;
        if (at > size || length > size - at) {
            free(texts);
            return NULL;
        }
        texts[(*count)++] = (senvec_text){data + at, length};
        at += length;
    }
    return texts;
}

static int embed(const char *directory, const char *tier, size_t threads, const senvec_text *texts, size_t count) {
    senvec_model *model = NULL;
    senvec_session *session = NULL;
    senvec_error err = {0};
    senvec_model_info info;
    float *vectors = NULL;
    int result = 1;
    senvec_model_options options = {.precision = SENVEC_PRECISION_FP32, .cpu = tier};
    if (senvec_model_open(directory, &options, &model, &err) != SENVEC_OK)
        goto out;
    senvec_model_describe(model, &info);
    if (strcmp(info.tier, tier) != 0) {
        result = 77;
        goto out;
    }
    vectors = malloc((count * info.dimensions + 1) * sizeof *vectors);
    if (!vectors || senvec_session_open(model, &(senvec_session_options){.threads = threads}, &session, &err) != SENVEC_OK ||
        senvec_embed(session, texts, count, vectors, info.dimensions, NULL, &err) != SENVEC_OK)
        goto out;
    if (fwrite(vectors, info.dimensions * sizeof *vectors, count, stdout) == count && fflush(stdout) == 0)
        result = 0;
out:
    if (result == 1)
        fprintf(stderr, "embed_vectors: %s\n", err.code ? err.message : "no memory, or writing failed");
    free(vectors);
    senvec_session_free(session);
    senvec_model_free(model);
    return result;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: embed_vectors MODEL TIER THREADS < texts > vectors\n");
        return 2;
    }
    size_t size, count;
    char *data = read_all(&size);
    senvec_text *texts = data ? split(data, size, &count) : NULL;
    if (!texts) {
        fprintf(stderr, "embed_vectors: stdin could not be read as texts\n");
        free(data);
        return 1;
    }
    int result = embed(argv[1], argv[2], (size_t)atoi(argv[3]), texts, count);
    free(texts);
    free(data);
    return result;
}
