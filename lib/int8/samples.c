/* Sample texts for calibration. Most texts that people have are short, and what a layer reads depends on the length of the
 * text and the place in it; so each text is used alone, and then neighbours are joined to samples of up to SAMPLE_LENGTH
 * tokens. Joined are the tokens: behind another text, a text's words are the same words. */
#include <assert.h>
#include <string.h>

#include "int8/calibrate.h"

#define SAMPLE_LENGTH 256
#define ALONE_TOKENS (SV_SAMPLE_TOKENS / 2) /* for texts alone, at most */

/* What joined samples are made up to, one after the other. */
static const size_t joined_lengths[] = {24, 192, 48, 128, 32, 256, 64, 96};

/* Sample `index`, without [CLS] and [SEP]. */
static size_t words_of(const sv_samples *samples, size_t index, const uint32_t **ids) {
    *ids = samples->ids + samples->begin[index] + 1;
    return samples->begin[index + 1] - samples->begin[index] - 2;
}

/* Adds a sample of `length` tokens: the words of the first `alone` ones from *next on, round and round. */
static void join(sv_samples *samples, size_t alone, size_t length, size_t *next) {
    const uint32_t *words;
    size_t begin = samples->begin[samples->count], used = 1;
    uint32_t *ids = samples->ids + begin;
    ids[0] = samples->ids[0];
    for (size_t tries = 0; tries < length && used < length - 1; tries++) { /* a text may have no words */
        size_t count = words_of(samples, *next, &words);
        count = count < length - 1 - used ? count : length - 1 - used;
        memcpy(ids + used, words, count * sizeof *ids);
        used += count;
        *next = (*next + 1) % alone;
    }
    ids[used++] = samples->ids[samples->begin[1] - 1];
    samples->count++;
    samples->begin[samples->count] = begin + used;
}

static size_t longest_sample(const sv_config *config) {
    return config->positions < SAMPLE_LENGTH ? config->positions : SAMPLE_LENGTH;
}

/* Adds a text as a sample of its own. */
static void add_alone(sv_samples *samples, const sv_tokenizer *tokenizer, senvec_text text, size_t longest) {
    uint32_t *ids = samples->ids + samples->begin[samples->count];
    size_t tokens = sv_tokenizer_encode(tokenizer, text.data, text.length, SENVEC_TRUNCATION_AUTO, ids, longest).count;
    samples->count++;
    samples->begin[samples->count] = samples->begin[samples->count - 1] + tokens;
}

senvec_status sv_samples_alone(const sv_config *config, const sv_tokenizer *tokenizer, const senvec_text *texts, size_t count,
                               sv_arena *arena, sv_samples *out, senvec_error *err) {
    const size_t longest = longest_sample(config);
    void *ids, *begin;
    SENVEC_TRY(sv_arena_alloc(arena, count, longest * sizeof(uint32_t), "calibration texts", &ids, err));
    SENVEC_TRY(sv_arena_alloc(arena, count + 1, sizeof(size_t), "calibration texts", &begin, err));
    *out = (sv_samples){.ids = ids, .begin = begin};
    for (size_t i = 0; i < count; i++)
        add_alone(out, tokenizer, texts[i], longest);
    return SENVEC_OK;
}

senvec_status sv_samples_make(const sv_config *config, const sv_tokenizer *tokenizer, const senvec_text *texts, size_t count,
                              sv_arena *arena, sv_samples *out, senvec_error *err) {
    assert(count > 0);
    size_t longest = longest_sample(config);
    void *ids, *begin;
    /* One more sample than fits; each has two tokens at least. */
    SENVEC_TRY(sv_arena_alloc(arena, SV_SAMPLE_TOKENS + SAMPLE_LENGTH, sizeof(uint32_t), "calibration texts", &ids, err));
    SENVEC_TRY(sv_arena_alloc(arena, SV_SAMPLE_TOKENS / 2 + 2, sizeof(size_t), "calibration texts", &begin, err));
    *out = (sv_samples){.ids = ids, .begin = begin};

    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += sv_tokenizer_encode(tokenizer, texts[i].data, texts[i].length, SENVEC_TRUNCATION_AUTO, ids, longest).count;
    size_t step = (total + ALONE_TOKENS - 1) / ALONE_TOKENS;
    for (size_t i = 0; i < count && out->begin[out->count] < ALONE_TOKENS; i += step)
        add_alone(out, tokenizer, texts[i], longest);
    size_t alone = out->count, next = 0;
    for (size_t i = 0; out->begin[out->count] < SV_SAMPLE_TOKENS; i++) {
        size_t length = joined_lengths[i % (sizeof joined_lengths / sizeof *joined_lengths)];
        join(out, alone, length < longest ? length : longest, &next);
    }
    return SENVEC_OK;
}
