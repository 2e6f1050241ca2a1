/* A text's key is made of the token ids that are computed, after the cut on the side that the request asks for; of the prompt,
 * since pooling may leave the prompt's tokens out; and of the options. The model, its precision and the CPU's tier are the
 * batcher's, whose cache it is. */
#include "batcher/request_texts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *prompt_of(const senvec_model_info *info, const senvec_embed_options *options) {
    const char *name = options && options->prompt_name ? options->prompt_name : info->default_prompt_name;
    if (options && options->prompt)
        return options->prompt;
    for (size_t i = 0; name && i < info->prompt_count; i++)
        if (strcmp(info->prompts[i].name, name) == 0)
            return info->prompts[i].text;
    return "";
}

static size_t prompt_tokens(const senvec_model *model, const senvec_model_info *info, const char *prompt) {
    uint32_t ids[SV_MAX_POSITIONS];
    size_t tokens = 2;
    if (*prompt)
        senvec_tokenize(model, (senvec_text){prompt, strlen(prompt)}, ids, info->max_seq_length, &tokens, NULL, NULL);
    return tokens - 2;
}

size_t sv_batcher_prompt_tokens(const senvec_model *model, const senvec_embed_options *options) {
    senvec_model_info info;
    senvec_model_describe(model, &info);
    return prompt_tokens(model, &info, prompt_of(&info, options));
}

/* What texts have in common that are computed with the same options. */
typedef struct setting {
    const char *prompt;
    senvec_truncation truncation;
    size_t tokens; /* that are added to a text */
    sv_text_key key;
} setting;

static setting setting_of(const senvec_model *model, const senvec_model_info *info, const sv_result_cache *cache,
                          const senvec_embed_options *options, size_t extra_tokens) {
    setting s = {.prompt = prompt_of(info, options), .truncation = options ? options->truncation : SENVEC_TRUNCATION_AUTO};
    s.tokens = prompt_tokens(model, info, s.prompt) + extra_tokens;
    if (cache) {
        uint32_t normalize = options ? options->normalize : SENVEC_NORMALIZE_AUTO;
        s.key = sv_result_cache_key(cache, s.prompt, strlen(s.prompt));
        s.key.halves[0] += normalize;
    }
    return s;
}

enum { HEAD = sizeof(sv_text_key) / sizeof(uint32_t) }; /* ids that the setting's key takes the place of */

/* The text's key. `ids` are `count` of the text alone, behind room for the setting's key; they are replaced by those that it
 * has with its prompt, since the two are tokenized together: a text's first letters may join the prompt's last word. False: no
 * memory for that. */
static bool make_key(const senvec_model *model, const senvec_model_info *info, const sv_result_cache *cache, const setting *s,
                     senvec_text text, uint32_t *ids, size_t count, sv_text_key *out) {
    size_t length = strlen(s->prompt);
    if (length) {
        char *joined = malloc(length + text.length);
        if (!joined)
            return false;
        memcpy(joined, s->prompt, length);
        if (text.length)
            memcpy(joined + length, text.data, text.length);
        senvec_status status = senvec_tokenize_with(model, (senvec_text){joined, length + text.length}, s->truncation,
                                                    ids + HEAD, info->max_seq_length, &count, NULL, NULL);
        free(joined);
        if (status != SENVEC_OK)
            return false;
    }
    memcpy(ids, &s->key, sizeof s->key);
    *out = sv_result_cache_key(cache, ids, (HEAD + count) * sizeof *ids);
    return true;
}

/* The ids that text i is computed with, or its pair, without the prompt. Adds to the request's stats. */
static senvec_status tokenize(const senvec_model *model, const senvec_model_info *info, sv_request *request, size_t i,
                              senvec_truncation truncation, uint32_t *ids, size_t *count) {
    senvec_text text = request->texts[i];
    if (request->seconds)
        return senvec_tokenize_pair(model, &(senvec_pair){text, request->seconds[i]}, truncation, ids, NULL, count,
                                    &request->stats, NULL);
    return senvec_tokenize_with(model, text, truncation, ids, info->max_seq_length, count, &request->stats, NULL);
}

/* A prompt and its text are counted one by one; together they may be a token or two less. */
void sv_request_texts_count(const senvec_model *model, sv_result_cache *cache, sv_request *request) {
    uint32_t ids[HEAD + SV_MAX_POSITIONS];
    senvec_model_info info;
    senvec_model_describe(model, &info);
    if (!cache || request->run)
        request->keys = NULL;
    setting s = setting_of(model, &info, cache, request->options, request->extra_tokens);
    request->stats = (senvec_embed_stats){0};
    for (size_t i = 0; i < request->count; i++) {
        size_t tokens = 0;
        uint64_t truncated = request->stats.truncated;
        assert(request->texts[i].data || !request->texts[i].length);
        if (sv_request_options(request, i) != request->options)
            s = setting_of(model, &info, cache, request->last_options, request->extra_tokens);
        senvec_status status = tokenize(model, &info, request, i, s.truncation, ids + HEAD, &tokens);
        size_t room = info.max_seq_length - tokens, added = s.tokens < room ? s.tokens : room;
        request->stats.tokens += added;
        request->stats.truncated += added < s.tokens && request->stats.truncated == truncated;
        request->lengths[i] = (uint32_t)(tokens + added);
        if (request->keys &&
            (status != SENVEC_OK || !make_key(model, &info, cache, &s, request->texts[i], ids, tokens, &request->keys[i])))
            request->keys = NULL;
        if (request->keys && sv_result_cache_has(cache, request->keys[i]))
            request->lengths[i] = 1;
    }
}
