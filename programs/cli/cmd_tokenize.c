/* senvec tokenize: texts to token ids, as the model gets them. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/write_target.h"
#include "common/file.h"

enum { ID_BYTES = 11 }; /* an id and a space */

/* "101 7592 102\n"; returns the length. */
static size_t format_ids(const uint32_t *ids, size_t count, char *line) {
    char *to = line;
    for (size_t i = 0; i < count; i++) {
        char reversed[10];
        size_t digits = 0;
        uint32_t id = ids[i];
        do
            reversed[digits++] = (char)('0' + id % 10);
        while ((id /= 10) != 0);
        while (digits > 0)
            *to++ = reversed[--digits];
        *to++ = i + 1 < count ? ' ' : '\n';
    }
    return (size_t)(to - line);
}

typedef struct job {
    const senvec_model *model;
    const sv_text_options *text;
    senvec_truncation truncation;
    FILE *to;
    const char *to_name;
    size_t capacity;
    uint32_t *ids; /* (capacity) */
    char *line;    /* (capacity * ID_BYTES) */
} job;

static senvec_status tokenize_file(const job *j, const char *path, senvec_error *err) {
    sv_corpus *corpus = NULL;
    SENVEC_TRY(sv_text_open(path, j->text, &corpus, err));
    senvec_status status;
    senvec_text text;
    bool more;
    while ((status = sv_corpus_next(corpus, &text, &more, err)) == SENVEC_OK && more) {
        size_t count = 0;
        status = senvec_tokenize_with(j->model, text, j->truncation, j->ids, j->capacity, &count, NULL, err);
        if (status != SENVEC_OK)
            break;
        if (fwrite(j->line, format_ids(j->ids, count, j->line), 1, j->to) != 1) {
            status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", j->to_name, strerror(errno));
            break;
        }
    }
    sv_corpus_close(corpus);
    return status;
}

static senvec_status tokenize(const sv_common *common, const sv_text_options *text, senvec_truncation truncation,
                              const sv_operands *files, const char *path, senvec_error *err) {
    senvec_model *model = NULL;
    SENVEC_TRY(sv_target_input(files, path, err));
    SENVEC_TRY(sv_common_check_output(common, path, err));
    SENVEC_TRY(sv_common_open_model(common, &model, err));
    senvec_model_info info;
    senvec_model_describe(model, &info);
    job j = {.model = model,
             .text = text,
             .truncation = truncation,
             .to = stdout,
             .to_name = "standard output",
             .capacity = info.max_seq_length};
    j.ids = malloc(j.capacity * sizeof *j.ids);
    j.line = malloc(j.capacity * ID_BYTES);
    sv_atomic_file file = {0};
    senvec_status status = SENVEC_OK;
    if (!j.ids || !j.line)
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu ids", j.capacity);
    if (status == SENVEC_OK && path && strcmp(path, "-") != 0) {
        status = sv_atomic_file_open(&file, path, err);
        if (status == SENVEC_OK) {
            j.to = file.stream;
            j.to_name = file.path;
        }
    }
    for (size_t i = 0; i < files->count && status == SENVEC_OK; i++)
        status = tokenize_file(&j, files->items[i], err);
    if (status == SENVEC_OK && file.stream)
        status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    free(j.ids);
    free(j.line);
    senvec_model_free(model);
    return status;
}

int sv_cmd_tokenize(int argc, char **argv) {
    sv_common common = {.model = SV_DEFAULT_MODEL, .tokenizer_only = true};
    sv_text_options text = {0};
    const char *path = NULL;
    int truncation = SENVEC_TRUNCATION_AUTO;
    const sv_option options[] = {
        SV_OPTION_TEXT('o', "output", "FILE", &path, "write here, whole or not at all; else to stdout"),
        SV_TRUNCATION_OPTION(&truncation),
        SV_TEXT_OPTIONS(&text),
        SV_COMMON_OPTIONS(&common),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "tokenize [OPTION]... [FILE]...",
        .about = "Prints a line of token ids for each text, [CLS] and [SEP] included, cut to the length of the model. Texts\n"
                 "come from FILEs or standard input as in 'senvec embed'.",
        .options = options,
        .most_operands = SIZE_MAX,
    };
    sv_operands files;
    int code = sv_options_parse(&usage, argc, argv, &files);
    if (code != SV_RUN)
        return code;
    char *standard_input[] = {"-", NULL};
    if (files.count == 0)
        files = (sv_operands){1, standard_input};
    senvec_error err;
    return tokenize(&common, &text, (senvec_truncation)truncation, &files, path, &err) == SENVEC_OK ? SV_EXIT_DONE
                                                                                                    : sv_cli_fail(&err);
}
