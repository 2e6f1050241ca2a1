/* senvec rerank: passages in the order of their scores for a query. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "io/texts.h"

enum { CHUNK = 1024 }; /* passages of a call */

/* A passage: its number among all, from 0, and its score. */
typedef struct ranked {
    size_t index;
    float score;
} ranked;

typedef struct rerank {
    const char *query;
    size_t top; /* 0: all */
    bool jsonl;
    int activation; /* a senvec_activation */
    int truncation; /* a senvec_truncation */
} rerank;

static const char *const format_choices[] = {"text", "jsonl", NULL};

static const char *const activation_choices[] = {
#define ACTIVATION_CHOICE(name, value, text) [value] = text,
    SENVEC_ACTIVATION_MAP(ACTIVATION_CHOICE)
#undef ACTIVATION_CHOICE
        NULL,
};

static int by_score(const void *a, const void *b) {
    const ranked *first = a, *second = b;
    if (first->score != second->score)
        return first->score < second->score ? 1 : -1;
    return (first->index > second->index) - (first->index < second->index);
}

/* All texts of the files, in memory. */
static senvec_status read_passages(const sv_operands *files, const sv_text_options *options, sv_texts *out, senvec_error *err) {
    size_t room = 0;
    for (size_t i = 0; i < files->count; i++) {
        sv_corpus *corpus;
        SENVEC_TRY(sv_text_open(files->items[i], options, &corpus, err));
        senvec_text text;
        bool more;
        senvec_status status;
        while ((status = sv_corpus_next(corpus, &text, &more, err)) == SENVEC_OK && more) {
            if (out->count == room) {
                room = room ? 2 * room : CHUNK;
                senvec_text *larger = realloc(out->texts, room * sizeof *larger);
                if (!larger) {
                    status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu passages", room);
                    break;
                }
                out->texts = larger;
            }
            status = sv_texts_append(out, text, err);
            if (status != SENVEC_OK)
                break;
        }
        sv_corpus_close(corpus);
        SENVEC_TRY(status);
    }
    return SENVEC_OK;
}

static senvec_status score(senvec_session *session, const rerank *options, const sv_texts *passages, ranked *out,
                           senvec_error *err) {
    const senvec_score_options how = {.activation = (senvec_activation)options->activation,
                                      .truncation = (senvec_truncation)options->truncation};
    const senvec_text query = {options->query, strlen(options->query)};
    for (size_t first = 0; first < passages->count; first += CHUNK) {
        senvec_pair pairs[CHUNK];
        float scores[CHUNK];
        const size_t count = passages->count - first < CHUNK ? passages->count - first : CHUNK;
        for (size_t i = 0; i < count; i++)
            pairs[i] = (senvec_pair){query, passages->texts[first + i]};
        SENVEC_TRY(senvec_score_pairs(session, pairs, count, &how, scores, 1, NULL, err));
        for (size_t i = 0; i < count; i++)
            out[first + i] = (ranked){first + i, scores[i]};
    }
    qsort(out, passages->count, sizeof *out, by_score);
    return SENVEC_OK;
}

static senvec_status print(const rerank *options, const sv_texts *passages, const ranked *order, senvec_error *err) {
    const size_t count = options->top && options->top < passages->count ? options->top : passages->count;
    for (size_t i = 0; i < count; i++) {
        const senvec_text text = passages->texts[order[i].index];
        if (options->jsonl) {
            json_t *object = json_pack("{s:I, s:f, s:s%}", "index", (json_int_t)order[i].index, "score", (double)order[i].score,
                                       "text", text.data, text.length);
            char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
            json_decref(object);
            if (!line)
                return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a line of output");
            puts(line);
            free(line);
        } else {
            printf("%.6g\t", (double)order[i].score);
            fwrite(text.data, 1, text.length, stdout);
            putchar('\n');
        }
    }
    return SENVEC_OK;
}

static senvec_status rank(const sv_common *common, const rerank *options, const sv_text_options *text, const sv_operands *files,
                          senvec_error *err) {
    senvec_model *model = NULL;
    senvec_session *session = NULL;
    sv_texts passages = {0};
    sv_arena_init(&passages.arena, NULL);
    ranked *order = NULL;
    senvec_status status = sv_common_open_model(common, &model, err);
    senvec_model_info info = {0};
    if (status == SENVEC_OK)
        senvec_model_describe(model, &info);
    if (status == SENVEC_OK && info.task != SENVEC_TASK_RERANKER)
        status = sv_fail(err, SENVEC_UNSUPPORTED, 0,
                         "%s: is a model for %s, not a reranker; give one with -m, e.g. cross-encoder/ms-marco-MiniLM-L6-v2",
                         info.directory, senvec_task_name(info.task));
    if (status == SENVEC_OK)
        status = read_passages(files, text, &passages, err);
    if (status == SENVEC_OK && !(order = malloc((passages.count + 1) * sizeof *order)))
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu scores", passages.count);
    if (status == SENVEC_OK)
        status = sv_common_open_session(common, model, &session, err);
    if (status == SENVEC_OK)
        status = score(session, options, &passages, order, err);
    if (status == SENVEC_OK)
        status = print(options, &passages, order, err);
    free(order);
    free(passages.texts);
    sv_arena_release(&passages.arena);
    senvec_session_free(session);
    senvec_model_free(model);
    return status;
}

int sv_cmd_rerank(int argc, char **argv) {
    sv_common common = SV_COMMON_DEFAULTS;
    sv_text_options text = {0};
    rerank chosen = {0};
    int format = 0;
    const sv_option options[] = {
        SV_OPTION_COUNT('n', "top", "N", &chosen.top, 1, SIZE_MAX >> 12, "print the N best passages only"),
        SV_OPTION_CHOICE('f', "format", &format, format_choices, "text: score, tab, passage; jsonl: an object a line"),
        SV_OPTION_CHOICE(0, "activation", &chosen.activation, activation_choices,
                         "what is done to the model's logits; auto: what it\nwas made for"),
        SV_TRUNCATION_OPTION(&chosen.truncation),
        SV_TEXT_OPTIONS(&text),
        SV_COMMON_OPTIONS(&common),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "rerank [OPTION]... QUERY [FILE]...",
        .about = "Scores each passage for the QUERY with a cross-encoder and prints the passages, the best first. Each line\n"
                 "of each FILE is a passage (.jsonl, .csv and .tsv with --key or --column); without a FILE, or for '-',\n"
                 "each line of standard input. The model (-m) has to be a reranker.",
        .options = options,
        .notes =
            "jsonl is {\"index\":3,\"score\":0.93,\"text\":\"...\"}; index is the passage's position in the input, from 0.\n\n"
            "Example:\n"
            "  senvec rerank -m cross-encoder/ms-marco-MiniLM-L6-v2 --top 5 \\\n"
            "    'how do plants eat?' passages.txt",
        .least_operands = 1,
        .most_operands = SIZE_MAX,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    chosen.query = operands.items[0];
    chosen.jsonl = format == 1;
    sv_operands files = {operands.count - 1, operands.items + 1};
    char *standard_input[] = {"-", NULL};
    if (files.count == 0)
        files = (sv_operands){1, standard_input};
    senvec_error err;
    return rank(&common, &chosen, &text, &files, &err) == SENVEC_OK ? SV_EXIT_DONE : sv_cli_fail(&err);
}
