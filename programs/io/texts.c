/* Reservoir sampling (Vitter's algorithm R) keeps memory at `limit` texts however long the file is. A text that is drawn late
 * replaces an earlier one in place, so the order is restored by position at the end. */
#include "io/texts.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/limits.h"
#include "common/utf8.h"
#include "stats/random.h"

/* One kept text: owned bytes and its place in the file. */
typedef struct kept {
    char *data;
    size_t length;
    uint64_t position;
} kept;

/* A malloc'ed copy of `text` in which invalid bytes have become U+FFFD, so that every worker is given the same text. */
static senvec_status copy_valid(senvec_text text, kept *out, bool *invalid, senvec_error *err) {
    const uint8_t *at = (const uint8_t *)text.data, *end = at + text.length;
    char *copy = text.length > SIZE_MAX / 4 ? NULL : malloc(text.length * 3 + 1); /* a bad byte becomes three */
    if (!copy)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "a text of %zu bytes could not be copied", text.length);
    size_t length = 0;
    *invalid = false;
    while (at < end) {
        uint32_t c;
        at += sv_utf8_decode(at, end, &c, invalid);
        length += sv_utf8_encode(c, (uint8_t *)copy + length);
    }
    char *trimmed = realloc(copy, length + 1);
    out->data = trimmed ? trimmed : copy;
    out->length = length;
    return SENVEC_OK;
}

static int compare_position(const void *left, const void *right) {
    uint64_t a = ((const kept *)left)->position, b = ((const kept *)right)->position;
    return (a > b) - (a < b);
}

/* Fills reservoir[0 .. limit) from the file; *count and texts->seen, ->invalid_utf8 get the numbers. */
static senvec_status sample(sv_texts *texts, sv_corpus *corpus, size_t limit, uint64_t seed, kept *reservoir, size_t *count,
                            senvec_error *err) {
    sv_random random;
    sv_random_seed(&random, seed);
    for (;;) {
        senvec_text text;
        bool more, invalid = false;
        SENVEC_TRY(sv_corpus_next(corpus, &text, &more, err));
        if (!more)
            return SENVEC_OK;
        uint64_t position = texts->seen++;
        uint64_t slot = position < limit ? position : sv_random_below(&random, position + 1);
        if (slot >= limit)
            continue;
        kept fresh = {.position = position};
        SENVEC_TRY(copy_valid(text, &fresh, &invalid, err));
        texts->invalid_utf8 += invalid;
        free(reservoir[slot].data);
        reservoir[slot] = fresh;
        if (slot >= *count)
            *count = (size_t)slot + 1;
    }
}

typedef struct keyed {
    senvec_text text;
    size_t index;
} keyed;

static int compare_text(const void *left, const void *right) {
    const keyed *a = left, *b = right;
    size_t shorter = a->text.length < b->text.length ? a->text.length : b->text.length;
    int order = memcmp(a->text.data, b->text.data, shorter);
    if (order == 0)
        order = (a->text.length > b->text.length) - (a->text.length < b->text.length);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static int compare_index(const void *left, const void *right) {
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    return (a > b) - (a < b);
}

static senvec_status find_distinct(sv_texts *texts, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&texts->arena, texts->count, sizeof(keyed), "sorted texts", &memory, err));
    keyed *sorted = memory;
    SENVEC_TRY(sv_arena_alloc(&texts->arena, texts->count, sizeof(size_t), "distinct texts", &memory, err));
    texts->distinct = memory;
    for (size_t i = 0; i < texts->count; i++)
        sorted[i] = (keyed){texts->texts[i], i};
    qsort(sorted, texts->count, sizeof(keyed), compare_text);
    for (size_t i = 0; i < texts->count; i++) {
        const senvec_text *before = i ? &sorted[i - 1].text : NULL, *text = &sorted[i].text;
        if (!before || before->length != text->length || memcmp(before->data, text->data, text->length) != 0)
            texts->distinct[texts->distinct_count++] = sorted[i].index;
    }
    qsort(texts->distinct, texts->distinct_count, sizeof(size_t), compare_index);
    return SENVEC_OK;
}

static senvec_status load_file(sv_texts *texts, const char *path, const sv_corpus_options *options, size_t limit, uint64_t seed,
                               senvec_error *err) {
    sv_corpus *corpus;
    SENVEC_TRY(sv_corpus_open(path, options, &corpus, err));
    size_t count = 0;
    kept *reservoir = calloc(limit, sizeof *reservoir);
    senvec_status status = reservoir ? sample(texts, corpus, limit, seed, reservoir, &count, err)
                                     : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for %zu texts", path, limit);
    if (status == SENVEC_OK && count == 0)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: holds no text; give a file with at least one", path);
    void *memory = NULL;
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&texts->arena, count, sizeof(senvec_text), "texts", &memory, err);
    texts->texts = memory;
    if (status == SENVEC_OK)
        qsort(reservoir, count, sizeof *reservoir, compare_position);
    for (size_t i = 0; i < count; i++) {
        const char *copy;
        if (status == SENVEC_OK)
            status = sv_arena_string(&texts->arena, reservoir[i].data, reservoir[i].length, &copy, err);
        if (status == SENVEC_OK)
            texts->texts[texts->count++] = (senvec_text){copy, reservoir[i].length};
        free(reservoir[i].data);
    }
    free(reservoir);
    sv_corpus_close(corpus);
    return status;
}

senvec_status sv_texts_append(sv_texts *texts, senvec_text text, senvec_error *err) {
    kept fresh;
    bool invalid;
    const char *copy;
    SENVEC_TRY(copy_valid(text, &fresh, &invalid, err));
    senvec_status status = sv_arena_string(&texts->arena, fresh.data, fresh.length, &copy, err);
    if (status == SENVEC_OK) {
        texts->texts[texts->count++] = (senvec_text){copy, fresh.length};
        texts->invalid_utf8 += invalid;
    }
    free(fresh.data);
    return status;
}

static senvec_status load_default(sv_texts *texts, size_t limit, senvec_error *err) {
    void *memory;
    size_t count = limit < SV_STUDY_DEFAULT_TEXTS ? limit : SV_STUDY_DEFAULT_TEXTS;
    SENVEC_TRY(sv_arena_alloc(&texts->arena, count, sizeof(senvec_text), "texts", &memory, err));
    texts->texts = memory;
    for (size_t i = 0; i < count; i++) {
        const char *text = sv_default_corpus[i % sv_default_corpus_count];
        texts->texts[i] = (senvec_text){text, strlen(text)};
    }
    texts->count = count;
    texts->seen = count;
    return SENVEC_OK;
}

senvec_status sv_texts_load(sv_texts *texts, const char *path, const sv_corpus_options *options, size_t limit, uint64_t seed,
                            senvec_error *err) {
    *texts = (sv_texts){.source = path ? path : "built-in"};
    sv_arena_init(&texts->arena, NULL);
    if (limit < 1 || limit > SV_MAX_STUDY_TEXTS)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "a sample of %zu texts: give 1 to %u", limit, SV_MAX_STUDY_TEXTS);
    senvec_status status = path ? load_file(texts, path, options, limit, seed, err) : load_default(texts, limit, err);
    if (status == SENVEC_OK)
        status = find_distinct(texts, err);
    if (status != SENVEC_OK)
        sv_texts_release(texts);
    return status;
}

/* How a set is put together: `count` texts, each of sentences until it has at least `least` words. */
typedef struct recipe {
    const char *name;
    size_t count;
    size_t least, most;   /* words; text i of the set aims between these */
    size_t first, stride; /* which sentences: first, first + stride, ... */
    bool queries;         /* the set begins with all queries */
} recipe;

static const recipe recipes[] = {
    {SV_TEXTS_QUERY, 0, 0, 0, 0, 1, true},
    {SV_TEXTS_LISTING, 64, 58, 58, 0, 1, false}, /* English has about 1.3 tokens a word, and a sentence more comes on top */
    {SV_TEXTS_LONG, 32, 280, 280, 0, 1, false},
    {SV_TEXTS_WIDE, 160, 1, 250, 0, 2, true},
    {SV_TEXTS_CALIBRATION, 100, 1, 120, 1, 2, false},
};

static size_t count_words(const char *text) {
    size_t words = *text != '\0';
    for (; *text; text++)
        words += *text == ' ';
    return words;
}

/* Text `index` of a recipe: sentences in an order of the recipe's own until there are enough words. */
static senvec_status compose(sv_texts *texts, const recipe *made, size_t index, sv_random *random, senvec_error *err) {
    char buffer[8192];
    size_t used = 0, words = 0, choices = (sv_sentence_count - made->first + made->stride - 1) / made->stride;
    size_t target = made->least + (made->most - made->least) * index * index / (made->count * made->count);
    while (words < target) {
        /* The first pass takes each sentence once, so that all of them occur. */
        size_t choice = words == 0 && index < choices ? index : (size_t)sv_random_below(random, choices);
        const char *sentence = sv_sentences[made->first + choice * made->stride];
        size_t length = strlen(sentence);
        if (used + length + 2 > sizeof buffer)
            break;
        if (used)
            buffer[used++] = ' ';
        memcpy(buffer + used, sentence, length);
        used += length;
        words += count_words(sentence);
    }
    const char *copy;
    SENVEC_TRY(sv_arena_string(&texts->arena, buffer, used, &copy, err));
    texts->texts[texts->count++] = (senvec_text){copy, used};
    return SENVEC_OK;
}

static senvec_status follow(sv_texts *texts, const recipe *made, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&texts->arena, made->count + sv_query_count, sizeof(senvec_text), "texts", &memory, err));
    texts->texts = memory;
    for (size_t i = 0; made->queries && i < sv_query_count; i++)
        texts->texts[texts->count++] = (senvec_text){sv_queries[i], strlen(sv_queries[i])};
    sv_random random;
    sv_random_seed(&random, 0); /* not the study's seed: the texts are always the same */
    for (size_t i = 0; i < made->count; i++)
        SENVEC_TRY(compose(texts, made, i, &random, err));
    texts->seen = texts->count;
    return find_distinct(texts, err);
}

senvec_status sv_texts_make(sv_texts *texts, const char *name, senvec_error *err) {
    const recipe *made = recipes;
    while (strcmp(made->name, name) != 0)
        made++;
    *texts = (sv_texts){.source = name};
    sv_arena_init(&texts->arena, NULL);
    senvec_status status = follow(texts, made, err);
    if (status != SENVEC_OK)
        sv_texts_release(texts);
    return status;
}

void sv_texts_release(sv_texts *texts) {
    if (texts->source)
        sv_arena_release(&texts->arena);
    *texts = (sv_texts){0};
}

senvec_status sv_texts_write(const sv_texts *texts, const size_t *pick, size_t count, const char *path, senvec_error *err) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        const senvec_text *text = &texts->texts[pick ? pick[i] : i];
        if (json_array_append_new(array, json_stringn(text->data, text->length)) != 0) {
            json_decref(array);
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory for %zu texts", path, count);
        }
    }
    errno = 0;
    bool failed = json_dump_file(array, path, JSON_COMPACT) != 0;
    int number = errno;
    json_decref(array);
    if (failed)
        return sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(number ? number : EIO));
    return SENVEC_OK;
}
