/* Reading vocab.txt, one token a line, the line's number is its id. The rest is what transformers' BertTokenizer makes of it
 * with the arguments of tokenizer_config.json, every one of which is optional. */
#include "common/foreign.h"
#include "text/tokenizer_config.h"

/* Refuses what would change ids and isn't done here. */
static senvec_status check_options(const sv_tokenizer_config *config, senvec_error *err) {
    bool basic = true;
    SENVEC_TRY(sv_part_option_bool(&config->part, "do_basic_tokenize", &basic));
    if (!basic)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: do_basic_tokenize false is not supported", config->path);
    const sv_json never_split = sv_part_get(&config->part, "never_split");
    if (never_split.kind == SV_JSON_ARRAY && sv_json_count(never_split) > 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: never_split is not supported", config->path);
    if (config->named && config->class != SV_CLASS_BERT)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0,
                       "%s: tokenizer_class \"%s\" needs a tokenizer.json; only BertTokenizer reads vocab.txt", config->path,
                       config->class_name);
    return SENVEC_OK;
}

/* One line at `at`, without its "\n" or "\r\n"; returns the start of the next. */
static const char *next_line(const char *at, const char *end, size_t *length) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    *length = (size_t)(stop - at);
    if (*length > 0 && at[*length - 1] == '\r')
        --*length;
    return newline ? newline + 1 : end;
}

static senvec_status read_lines(sv_tokenizer *tokenizer, const sv_file_map *file, const char *path, senvec_error *err) {
    const char *start = (const char *)file->data, *end = start + file->size;
    size_t length, lines = 0;
    for (const char *at = start; at < end; at = next_line(at, end, &length))
        lines++;
    SENVEC_TRY(sv_tokenizer_reserve(tokenizer, lines, file->size, lines, path, err));
    uint64_t id = 0;
    for (const char *at = start; at < end; id++) {
        const char *line = at;
        at = next_line(at, end, &length);
        SENVEC_TRY(sv_tokenizer_add(tokenizer, line, length, id, path, err));
    }
    return SENVEC_OK;
}

senvec_status sv_tokenizer_read_vocabulary(sv_tokenizer *tokenizer, const char *path, sv_file_map file,
                                           const sv_tokenizer_config *config, senvec_error *err) {
    SENVEC_TRY(check_options(config, err));
    if (file.size > SV_MAX_JSON_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes, but at most %u are read", path, file.size, SV_MAX_JSON_BYTES);
    if (file.size == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: the file is empty; fetch it again", path);
    const sv_part none = sv_part_of(path, "the file", (sv_json){0}, err);
    SENVEC_TRY(sv_tokenizer_config_steps(tokenizer, config, SV_CLASS_BERT, &none));
    tokenizer->wordpiece.prefix = "##";
    tokenizer->wordpiece.prefix_length = 2;
    tokenizer->wordpiece.max_word_chars = 100;
    const char *foreign = sv_foreign_format(file.data, file.size);
    if (foreign)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: is %s", path, foreign);
    SENVEC_TRY(read_lines(tokenizer, &file, path, err));
    SENVEC_TRY(sv_tokenizer_config_added(tokenizer, config, SV_CLASS_BERT, path, (sv_json){0}, err));
    SENVEC_TRY(sv_tokenizer_config_anew(tokenizer, config, SV_CLASS_BERT, path));
    return sv_tokenizer_config_common(tokenizer, config, err);
}
