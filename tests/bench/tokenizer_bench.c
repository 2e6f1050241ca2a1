/* How fast the tokenizer is, on one core.
 *
 * usage: tokenizer_bench DIRECTORY FILE
 *
 * DIRECTORY is a model, FILE any text. Prints, as medians of rounds of at least 50 ms, by the thread's CPU time, so that other
 * processes count as little as they can:
 *   lines      every line of the file is a text, cut to 256 ids; empty lines are left out
 *   whole      the file is one text, nothing is cut
 *   60 bytes   the lines of at least 60 bytes, cut to 60: time for one
 * tokenizer_peer.py measures Hugging Face `tokenizers` in the same way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/file.h"
#include "text/tokenizer.h"

enum { ROUNDS = 15, SHORT = 60, MAX_IDS = 256 };

typedef struct text {
    const char *data;
    size_t length;
} text;

typedef struct bench {
    sv_tokenizer *tokenizer;
    uint32_t *ids;
    size_t max_ids;
    const text *texts;
    size_t count;
} bench;

static int fail(const char *why) {
    fprintf(stderr, "tokenizer_bench: %s\n", why);
    return 1;
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * SV_NS_PER_S + (uint64_t)now.tv_nsec;
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Median nanoseconds for all the texts once; *ids gets how many ids they have. */
static double measure(const bench *b, size_t *ids) {
    double samples[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t start = cpu_ns(), now;
        size_t passes = 0;
        do {
            *ids = 0;
            for (size_t i = 0; i < b->count; i++)
                *ids += sv_tokenizer_encode(b->tokenizer, b->texts[i].data, b->texts[i].length, SENVEC_TRUNCATION_AUTO, b->ids,
                                            b->max_ids)
                            .count;
            passes++;
            now = cpu_ns();
        } while (now - start < SV_NS_PER_S / 20);
        samples[round] = (double)(now - start) / (double)passes;
    }
    qsort(samples, ROUNDS, sizeof samples[0], compare_doubles);
    return samples[ROUNDS / 2];
}

static void report(const char *name, const bench *b) {
    size_t bytes = 0, ids;
    for (size_t i = 0; i < b->count; i++)
        bytes += b->texts[i].length;
    double ns = measure(b, &ids);
    printf("%-9s %8zu texts %9zu bytes %9zu ids  %7.1f MB/s  %8.3f us/text  %6.1f ns/id\n", name, b->count, bytes, ids,
           (double)bytes / ns * 1e3, ns / (double)b->count / 1e3, ns / (double)ids);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return fail("usage: tokenizer_bench DIRECTORY FILE");
    senvec_error err;
    bench b = {0};
    sv_file_map file;
    uint64_t start = cpu_ns();
    if (sv_tokenizer_load(argv[1], NULL, &b.tokenizer, &err) != SENVEC_OK)
        return fail(err.message);
    printf("loaded in %.1f ms, %zu KB\n", (double)(cpu_ns() - start) / 1e6, sv_tokenizer_memory(b.tokenizer) / 1024);
    if (sv_file_map_open(argv[2], &file, &err) != SENVEC_OK)
        return fail(err.message);

    const char *data = (const char *)file.data, *end = data + file.size;
    text *lines = malloc((file.size + 1) * sizeof *lines), *cut = malloc((file.size + 1) * sizeof *cut);
    b.ids = malloc((file.size + 2) * sizeof *b.ids); /* no text has more ids than bytes, [CLS] and [SEP] aside */
    if (!lines || !cut || !b.ids || file.size == 0)
        return fail("out of memory, or an empty file");
    size_t line_count = 0, cut_count = 0;
    for (const char *at = data, *stop; at < end; at = stop + 1) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        size_t length = (size_t)(stop - at);
        if (length > 0)
            lines[line_count++] = (text){at, length};
        if (length >= SHORT)
            cut[cut_count++] = (text){at, SHORT};
    }
    b.max_ids = MAX_IDS;
    b.texts = lines;
    b.count = line_count;
    report("lines", &b);
    b.texts = cut;
    b.count = cut_count;
    if (cut_count > 0)
        report("60 bytes", &b);
    text whole = {data, file.size};
    b.texts = &whole;
    b.count = 1;
    b.max_ids = file.size + 2;
    report("whole", &b);
    sv_file_map_close(&file);
    sv_tokenizer_free(b.tokenizer);
    free(lines);
    free(cut);
    free(b.ids);
    return 0;
}
