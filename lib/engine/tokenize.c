/* Token ids of texts and pairs, as the engine computes with them, and the texts of tokens. */
#include "engine/model.h"

senvec_status sv_model_check_truncation(senvec_truncation truncation, const char *call, senvec_error *err) {
    if ((unsigned)truncation > SENVEC_TRUNCATION_LEFT)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: truncation %u isn't a senvec_truncation", call,
                       (unsigned)truncation);
    return SENVEC_OK;
}

senvec_status sv_model_check_reading(const senvec_model *model, const senvec_embed_options *options, const char *call,
                                     senvec_error *err) {
    const char *text;
    SENVEC_TRY(sv_model_check_truncation(options->truncation, call, err));
    return options->prompt || !options->prompt_name ? SENVEC_OK
                                                    : sv_prompts_find(&model->prompts, options->prompt_name, &text, err);
}

senvec_status sv_model_check_pairs(const senvec_model *model, senvec_error *err) {
    if (!sv_tokenizer_takes_pairs(model->tokenizer))
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: its tokenizer.json has no template for pairs of texts",
                       model->files.path);
    if (model->config.max_seq_length < sv_tokenizer_specials(model->tokenizer, true))
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: its %zu tokens have no room for a pair of texts", model->files.path,
                       model->config.max_seq_length);
    return SENVEC_OK;
}

static void add_stats(senvec_embed_stats *stats, sv_tokens tokens) {
    if (!stats)
        return;
    stats->tokens += tokens.count;
    stats->truncated += tokens.truncated;
    stats->invalid_utf8 += tokens.invalid_utf8;
}

senvec_status senvec_tokenize(const senvec_model *model, senvec_text text, uint32_t *ids, size_t capacity, size_t *count,
                              senvec_embed_stats *stats, senvec_error *err) {
    return senvec_tokenize_with(model, text, SENVEC_TRUNCATION_AUTO, ids, capacity, count, stats, err);
}

senvec_status senvec_tokenize_with(const senvec_model *model, senvec_text text, senvec_truncation truncation, uint32_t *ids,
                                   size_t capacity, size_t *count, senvec_embed_stats *stats, senvec_error *err) {
    if (!model || !count || (!ids && capacity) || (!text.data && text.length))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_tokenize: a pointer is NULL");
    SENVEC_TRY(sv_model_check_truncation(truncation, "senvec_tokenize", err));
    size_t longest = model->config.max_seq_length;
    size_t room = capacity < longest ? capacity : longest;
    sv_tokens tokens = {0};
    if (room >= 2)
        tokens = sv_tokenizer_encode(model->tokenizer, text.data, text.length, truncation, ids, room);
    if (tokens.no_memory)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "senvec_tokenize: no memory for a very long word");
    if (room < longest && (room < 2 || tokens.truncated))
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "senvec_tokenize: the text has over %zu tokens; give room for %zu", capacity,
                       longest);
    *count = tokens.count;
    add_stats(stats, tokens);
    return SENVEC_OK;
}

senvec_status senvec_tokenize_pair(const senvec_model *model, const senvec_pair *pair, senvec_truncation truncation,
                                   uint32_t *ids, uint32_t *types, size_t *count, senvec_embed_stats *stats,
                                   senvec_error *err) {
    if (!model || !pair || !ids || !count || (!pair->first.data && pair->first.length) ||
        (!pair->second.data && pair->second.length))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_tokenize_pair: a pointer is NULL");
    SENVEC_TRY(sv_model_check_truncation(truncation, "senvec_tokenize_pair", err));
    SENVEC_TRY(sv_model_check_pairs(model, err));
    const sv_tokens tokens = sv_tokenizer_encode_pair(model->tokenizer, pair->first, pair->second, truncation, ids, types,
                                                      model->config.max_seq_length);
    if (tokens.no_memory)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "senvec_tokenize_pair: no memory for a very long word");
    *count = tokens.count;
    add_stats(stats, tokens);
    return SENVEC_OK;
}

senvec_status senvec_tokenize_whole(const senvec_model *model, senvec_text text, uint32_t *ids, size_t capacity, size_t *count,
                                    senvec_error *err) {
    if (!model || !count || (!ids && capacity) || (!text.data && text.length))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "senvec_tokenize_whole: a pointer is NULL");
    sv_tokens tokens = sv_tokenizer_count(model->tokenizer, text.data, text.length);
    if (ids && tokens.count > capacity)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "senvec_tokenize_whole: the text has %zu tokens; there is room for %zu",
                       tokens.count, capacity);
    if (ids && !tokens.no_memory)
        tokens = sv_tokenizer_encode(model->tokenizer, text.data, text.length, SENVEC_TRUNCATION_RIGHT, ids, tokens.count);
    if (tokens.no_memory)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "senvec_tokenize_whole: no memory for a very long word");
    *count = tokens.count;
    return SENVEC_OK;
}

const char *senvec_token_text(const senvec_model *model, uint32_t id, size_t *length) {
    return sv_tokenizer_token(model->tokenizer, id, length);
}
