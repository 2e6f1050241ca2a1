/* senvec embed: texts to vectors. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/daemon.h"
#include "cli/human.h"
#include "cli/output.h"
#include "cli/parts.h"
#include "cli/stream.h"
#include "cli/write_target.h"

/* A missing file is found before hours of work on those in front of it. */
static senvec_status check_readable(const sv_operands *files, senvec_error *err) {
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i], "-") != 0 && access(files->items[i], R_OK) != 0)
            return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: cannot be read: %s", files->items[i], strerror(errno));
    return SENVEC_OK;
}

static void print_summary(const sv_stream_result *result) {
    if (result->texts == 0) {
        sv_cli_say("no text in the input, so no vector");
        return;
    }
    double rate = result->seconds > 0 ? (double)result->texts / result->seconds : 0;
    char line[512];
    int used = snprintf(line, sizeof line, "%s text%s, %s tokens in %s, %s texts/s (computing %.1f %% of the time)",
                        sv_human_count((char[SV_HUMAN]){0}, result->texts), result->texts == 1 ? "" : "s",
                        sv_human_count((char[SV_HUMAN]){0}, result->stats.tokens),
                        sv_human_seconds((char[SV_HUMAN]){0}, result->seconds), sv_human_rate((char[SV_HUMAN]){0}, rate),
                        result->seconds > 0 ? 100 * result->computing / result->seconds : 0);
    if (result->stats.truncated)
        used += snprintf(line + used, sizeof line - (size_t)used, "; %s truncated",
                         sv_human_count((char[SV_HUMAN]){0}, result->stats.truncated));
    if (result->stats.invalid_utf8)
        snprintf(line + used, sizeof line - (size_t)used, "; %s with invalid UTF-8",
                 sv_human_count((char[SV_HUMAN]){0}, result->stats.invalid_utf8));
    sv_cli_say("%s", line);
}

/* "2/8": the second of eight. */
static senvec_status parse_shard(const char *text, sv_stream *stream, senvec_error *err) {
    char number[32];
    const char *slash = text ? strchr(text, '/') : NULL;
    stream->shard = 0;
    stream->shards = 1;
    if (!text)
        return SENVEC_OK;
    snprintf(number, sizeof number, "%.*s", slash ? (int)(slash - text) : 0, text);
    if (!slash || slash - text >= (ptrdiff_t)sizeof number || !sv_parse_count(number, &stream->shard) ||
        !sv_parse_count(slash + 1, &stream->shards) || stream->shard < 1 || stream->shard > stream->shards)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--shard' takes I/N with I from 1 to N, not '%s'", text);
    stream->shard--;
    return SENVEC_OK;
}

/* What goes with what among the options of the output. */
static senvec_status check_output(const char *path, int format, int type, bool parts, sv_output_options *output,
                                  senvec_error *err) {
    output->format = parts && format < 0 ? SV_OUTPUT_NPY : (sv_output_format)format;
    output->type = (sv_output_type)type;
    if (format < 0 && !parts)
        SENVEC_TRY(sv_output_format_of(path, &output->format, err));
    if (output->format == SV_OUTPUT_F32 && output->type != SV_TYPE_FLOAT32)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "format f32 is of float32 only; for %s give -f raw, npy, jsonl or csv",
                       sv_output_type_choices[type]);
    return SENVEC_OK;
}

/* Who computes: the daemon, or a model of this process. */
typedef struct computer {
    const sv_common *common;
    sv_daemon *daemon; /* NULL: this process */
    senvec_model *model;
    senvec_session *session;
} computer;

static senvec_status open_model(computer *c, senvec_error *err) {
    SENVEC_TRY(sv_common_open_model(c->common, &c->model, err));
    return sv_common_open_session(c->common, c->model, &c->session, err);
}

/* A daemon that is gone, or that can't do what is asked, is no reason to fail. */
static senvec_status compute(void *context, const senvec_text *texts, size_t count, const senvec_embed_options *options,
                             float *out, size_t stride, senvec_embed_stats *stats, senvec_error *err) {
    computer *c = context;
    if (c->daemon && sv_daemon_embed(c->daemon, texts, count, options, out, stride, stats))
        return SENVEC_OK;
    sv_daemon_close(c->daemon);
    c->daemon = NULL;
    if (!c->session)
        SENVEC_TRY(open_model(c, err));
    return senvec_embed_with(c->session, texts, count, options, out, stride, stats, err);
}

/* Floats of a vector; and the options are looked at before there is an output, with no texts yet. */
static senvec_status find_dimensions(computer *c, sv_stream *stream, senvec_error *err) {
    size_t own;
    if (c->daemon) {
        own = sv_daemon_dimensions(c->daemon);
    } else {
        senvec_model_info info;
        SENVEC_TRY(open_model(c, err));
        senvec_model_describe(c->model, &info);
        own = info.dimensions;
    }
    stream->dimensions = stream->embed.dimensions ? stream->embed.dimensions : own;
    return compute(c, NULL, 0, &stream->embed, NULL, stream->dimensions, NULL, err);
}

/* What the command line says of one run. */
typedef struct embed_job {
    const sv_common *common;
    bool daemon;
    const char *path; /* NULL: standard output; a folder where `rows` isn't 0 */
    sv_output_options output;
    uint64_t rows; /* of a part; 0: there are none */
    bool resume;
    const char *kept, *shard; /* as typed */
} embed_job;

/* What a folder of parts is of: all that vectors and their order depend on. */
static senvec_status describe_run(const embed_job *job, const sv_stream *stream, const senvec_model *model, json_t **out,
                                  senvec_error *err) {
    senvec_model_info info;
    char space[SENVEC_SPACE_ID_SIZE];
    SENVEC_TRY(senvec_model_space_id(model, space, err));
    senvec_model_describe(model, &info);
    json_t *inputs = json_array();
    for (size_t i = 0; i < stream->path_count; i++) {
        json_t *input;
        senvec_status status = sv_parts_fingerprint(stream->paths[i], &input, err);
        if (status != SENVEC_OK) {
            json_decref(inputs);
            return status;
        }
        json_array_append_new(inputs, input);
    }
    const sv_text_options *text = stream->text;
    const senvec_embed_options *embed = &stream->embed;
    json_t *options =
        json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:b, s:b, s:i}", "format", sv_output_choices[job->output.format],
                  "output_type", sv_output_type_choices[job->output.type], "rows", (json_int_t)job->rows, "dimensions",
                  (json_int_t)stream->dimensions, "normalize", (int)embed->normalize, "truncation", (int)embed->truncation,
                  "header", text->header, "skip_bad", text->skip_bad, "quoting", text->quoting);
    const struct {
        const char *name, *value;
    } words[] = {{"key", text->key},    {"column", text->column},       {"separator", text->separator}, {"keep", job->kept},
                 {"shard", job->shard}, {"prompt", embed->prompt_name}, {"prompt_text", embed->prompt}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        json_object_set_new(options, words[i].name, sv_parts_text(words[i].value));
    *out = json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:o}", "senvec", senvec_version(), "model", "space_id", space, "precision",
                     senvec_precision_name(info.precision), "tier", info.tier, "options", options, "inputs", inputs);
    return SENVEC_OK;
}

static senvec_status open_output(const embed_job *job, const computer *c, sv_stream *stream, senvec_error *err) {
    if (!job->rows)
        return sv_output_open(job->path, &job->output, &stream->output, err);
    json_t *run;
    SENVEC_TRY(describe_run(job, stream, c->model, &run, err));
    senvec_status status =
        sv_parts_open(job->path, &job->output, job->rows, run, job->resume, &stream->parts, &stream->done, err);
    json_decref(run);
    return status;
}

static senvec_status close_output(sv_stream *stream, senvec_error *err) {
    return stream->output ? sv_output_close(stream->output, err) : sv_parts_close(stream->parts, err);
}

static senvec_status check_target(const embed_job *job, senvec_error *err) {
    if (!job->rows)
        return sv_common_check_output(job->common, job->path, err);
    char model[SV_MAX_PATH];
    SENVEC_TRY(sv_hub_resolve(job->common->model, model, err));
    return sv_target_folder(model, job->path, err);
}

static senvec_status embed(embed_job *job, sv_stream *stream, sv_stream_result *result, senvec_error *err) {
    SENVEC_TRY(check_target(job, err));
    computer c = {.common = job->common, .daemon = job->daemon ? sv_daemon_open(job->common) : NULL};
    stream->compute = compute;
    stream->context = &c;
    senvec_status status = find_dimensions(&c, stream, err);
    job->output.dimensions = stream->dimensions;
    if (status == SENVEC_OK)
        status = open_output(job, &c, stream, err);
    if (status == SENVEC_OK) {
        status = sv_stream_run(stream, result, err);
        if (status == SENVEC_OK) {
            status = close_output(stream, err);
        } else {
            sv_output_abort(stream->output);
            sv_parts_abort(stream->parts);
        }
    }
    sv_daemon_close(c.daemon);
    senvec_session_free(c.session);
    senvec_model_free(c.model);
    return status;
}

/* --rows and --resume with what they need and exclude. */
static senvec_status check_parts(const embed_job *job, const sv_operands *files, senvec_error *err) {
    if (job->resume && !job->rows)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--resume' goes on with a folder of parts; give '--rows' as well");
    if (!job->rows)
        return SENVEC_OK;
    if (!job->path || strcmp(job->path, "-") == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--rows' writes files into a folder; name it by '-o'");
    if (job->daemon)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'--rows' is for large jobs and '--daemon' for small ones; give one");
    for (size_t i = 0; job->resume && i < files->count; i++)
        if (strcmp(files->items[i], "-") == 0)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                           "'--resume' has to know that the input is the same, which standard input can't show; name a file");
    return SENVEC_OK;
}

static const char *const normalize_choices[] = {
#define NORMALIZE_CHOICE(name, value, text) [value] = text,
    SENVEC_NORMALIZE_MAP(NORMALIZE_CHOICE)
#undef NORMALIZE_CHOICE
        NULL,
};

int sv_cmd_embed(int argc, char **argv) {
    sv_common common = SV_COMMON_DEFAULTS;
    sv_text_options text = {0};
    embed_job job = {.common = &common};
    size_t rows = 0;
    int format = -1, type = SV_TYPE_FLOAT32, normalize = SENVEC_NORMALIZE_AUTO, truncation = SENVEC_TRUNCATION_AUTO;
    senvec_embed_options embedding = {0};
    static sv_keep keep;
    const sv_option options[] = {
        SV_OPTION_TEXT('o', "output", "FILE", &job.path, "write here, whole or not at all; else to stdout"),
        SV_OPTION_COUNT(0, "rows", "N", &rows, 1, SV_MAX_PART_ROWS,
                        "write a folder FILE of files with N vectors each:\npart-000000.npy and so on"),
        SV_OPTION_FLAG(0, "resume", &job.resume, "continue an interrupted run with --rows"),
        SV_OPTION_CHOICE('f', "format", &format, sv_output_choices, "format of the vectors; else by FILE's name, else jsonl"),
        SV_OPTION_CHOICE(0, "output-type", &type, sv_output_type_choices,
                         "numbers of the vectors; int8 and uint8 have fixed ranges\n(docs/EMBED.md), binary is a bit a number"),
        SV_OPTION_TEXT(
            0, "prompt", "NAME", &embedding.prompt_name,
            "put the model's prompt of this name before each text (query,\ndocument, ...: see 'senvec info'); else its "
            "default prompt"),
        SV_OPTION_TEXT(0, "prompt-text", "TEXT", &embedding.prompt, "put this before each text; '' for no prompt at all"),
        SV_OPTION_COUNT(0, "dimensions", "N", &embedding.dimensions, 1, SV_MAX_VECTOR,
                        "keep the first N numbers of each vector (Matryoshka)"),
        SV_OPTION_CHOICE(0, "normalize", &normalize, normalize_choices,
                         "whether vectors get length 1: auto: as the model does,\nbefore --dimensions cuts; on: always, after "
                         "the cut; off: never"),
        SV_TRUNCATION_OPTION(&truncation),
        SV_OPTION_TEXT(0, "keep", "NAMES", &job.kept, "copy these members or columns beside the vector:\nid,title"),
        SV_TEXT_OPTIONS(&text),
        SV_OPTION_FLAG(0, "skip-bad", &text.skip_bad, "leave out records that can't be read, and count them"),
        SV_OPTION_TEXT(0, "shard", "I/N", &job.shard, "embed every Nth record, from the Ith on: a part of a\nlarger job"),
        SV_OPTION_FLAG(0, "daemon", &job.daemon,
                       "let this user's daemon compute. The first call starts it, and\nit ends after ten idle minutes"),
        SV_COMMON_OPTIONS(&common),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "embed [OPTION]... [FILE]...",
        .about =
            "Turns texts into vectors, in order. Each line of each FILE is a text (or a member of .jsonl with --key, a column "
            "of "
            ".csv and .tsv with --column); without a FILE, or for '-', each line of standard input. Input in gzip and zstd is "
            "unpacked.",
        .options = options,
        .notes =
            "Examples:\n"
            "  senvec embed texts.txt -o vectors.npy\n"
            "  senvec embed --key body --keep id articles.jsonl.gz -o vectors.jsonl\n"
            "  senvec embed --prompt query questions.txt -o queries.npy\n"
            "  senvec embed --rows 1000000 --resume huge.txt.zst -o vectors\n"
            "  echo 'a sentence' | senvec embed\n"
            "\n"
            "Formats: npy is one NumPy matrix; jsonl is {\"index\":0,\"embedding\":[...]} a text; csv is a line of numbers "
            "a text; f32 is the floats alone, little-endian, and raw the same in any --output-type. An npy into a pipe comes "
            "at the end. docs/EMBED.md says more.",
        .most_operands = SIZE_MAX,
    };
    sv_operands files;
    int code = sv_options_parse(&usage, argc, argv, &files);
    if (code != SV_RUN)
        return code;
    if (embedding.prompt && embedding.prompt_name)
        return sv_cli_usage_error("give one of --prompt, --prompt-text");
    embedding.normalize = (senvec_normalize)normalize;
    embedding.truncation = (senvec_truncation)truncation;
    char *standard_input[] = {"-", NULL};
    if (files.count == 0) {
        files = (sv_operands){1, standard_input};
        if (isatty(STDIN_FILENO) && !common.quiet)
            sv_cli_say("reading texts from the terminal, one a line; Ctrl-D ends");
    }
    sv_stream stream = {.paths = files.items,
                        .path_count = files.count,
                        .text = &text,
                        .keep = &keep,
                        .embed = embedding,
                        .quiet = common.quiet};
    stream.bare = (!job.path || strcmp(job.path, "-") == 0) && isatty(STDOUT_FILENO);
    sv_stream_result result;
    senvec_error err;
    sv_corpus_options unused;
    job.rows = rows;
    senvec_status status = check_parts(&job, &files, &err);
    if (status == SENVEC_OK)
        status = check_output(job.path, format, type, rows > 0, &job.output, &err);
    if (status == SENVEC_OK)
        status = sv_keep_parse(&keep, job.kept, job.output.format, &err);
    if (status == SENVEC_OK)
        status = parse_shard(job.shard, &stream, &err);
    text.keep = keep.names;
    text.keep_count = keep.count;
    stream.format = job.output.format;
    if (status == SENVEC_OK)
        status = sv_text_corpus(&text, &unused, &err);
    if (status == SENVEC_OK)
        status = check_readable(&files, &err);
    if (status == SENVEC_OK)
        status = sv_target_input(&files, job.path, &err);
    if (status == SENVEC_OK)
        status = embed(&job, &stream, &result, &err);
    if (status != SENVEC_OK)
        return sv_cli_fail(&err);
    if (!common.quiet && result.skipped)
        sv_cli_say("%s bad record%s left out; the first: %s", sv_human_count((char[SV_HUMAN]){0}, result.skipped),
                   result.skipped == 1 ? "" : "s", result.first_skipped);
    if (!common.quiet && stream.done)
        sv_cli_say("%s text%s had a vector from an earlier run", sv_human_count((char[SV_HUMAN]){0}, stream.done),
                   stream.done == 1 ? "" : "s");
    if (!common.quiet && (result.texts || !stream.done))
        print_summary(&result);
    return SV_EXIT_DONE;
}
