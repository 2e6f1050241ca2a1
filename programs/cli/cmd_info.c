/* senvec info: what a model is, and how it would run here. */
#include <dirent.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/human.h"
#include "common/cpu/machine.h"
#include "common/file.h"

__attribute__((format(printf, 2, 3))) static void row(const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("  %-14s ", name);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* Calls `each` for the regular files of the model's folder, in order of name. */
static void for_each_file(const char *directory, void (*each)(void *context, const char *name, uint64_t bytes), void *context) {
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[SV_MAX_PATH];
        struct stat facts;
        if (sv_path_join(directory, entries[i]->d_name, path, NULL) == SENVEC_OK && stat(path, &facts) == 0 &&
            S_ISREG(facts.st_mode))
            each(context, entries[i]->d_name, (uint64_t)facts.st_size);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void print_file(void *context, const char *name, uint64_t bytes) {
    bool *first = context;
    char size[SV_HUMAN];
    row(*first ? "files" : "", "%10s  %s", sv_human_bytes(size, bytes), name);
    *first = false;
}

static void add_file(void *context, const char *name, uint64_t bytes) {
    json_object_set_new(context, name, json_integer((json_int_t)bytes));
}

/* "2: affinity allows 2 of 4 CPUs, quota 2.0 CPUs" */
static void print_threads(size_t threads, size_t asked, const sv_machine *machine) {
    char quota[SV_HUMAN + 16] = "no quota";
    if (machine->quota_cpus > 0)
        snprintf(quota, sizeof quota, "quota %.4g CPUs", machine->quota_cpus);
    if (asked > 0)
        row("threads", "%zu (as asked)", threads);
    else
        row("threads", "%zu (affinity allows %zu of %zu CPUs, %s)", threads, machine->affinity_cpus, machine->online_cpus,
            quota);
}

static void print_info(const sv_common *common, const senvec_model_info *info, const char *space, size_t threads,
                       const sv_machine *machine) {
    char a[SV_HUMAN], b[SV_HUMAN], c[SV_HUMAN];
    bool first = true;
    bool bold = sv_human_colour(stdout);
    printf("%s%s%s\n", bold ? "\033[1m" : "", common->model, bold ? "\033[0m" : "");
    row("folder", "%s", info->directory);
    if (info->labels)
        row("task", "%s, %zu label%s, activation %s", senvec_task_name(info->task), info->labels, info->labels == 1 ? "" : "s",
            senvec_activation_name(info->activation));
    else
        row("task", "%s", senvec_task_name(info->task));
    row("encoder", "%s, %zu layers, %zu heads, hidden %zu, inner %zu, vocabulary %s", info->architecture, info->layers,
        info->heads, info->hidden, info->inner, sv_human_count(a, info->vocabulary));
    row("parameters", "%s", sv_human_count(a, info->parameters));
    if (info->task == SENVEC_TASK_EMBEDDING) {
        if (info->dimensions < info->most_dimensions)
            row("dimensions", "%zu of %zu (truncate_dim)", info->dimensions, info->most_dimensions);
        else
            row("dimensions", "%zu", info->dimensions);
        row("pooling", "%s, %s", info->pooling, info->normalized ? "normalised to length 1" : "not normalised");
    }
    for (size_t i = 0; i < info->prompt_count; i++)
        if (*info->prompts[i].text)
            row("prompt", "%s: \"%s\"%s", info->prompts[i].name, info->prompts[i].text,
                info->default_prompt_name && strcmp(info->prompts[i].name, info->default_prompt_name) == 0
                    ? ", before each text unless another is asked for"
                    : "");
    row("space", "%s", space);
    row("longest text", "%zu tokens", info->max_seq_length);
    row("work", "%s multiply-accumulates a token in the linear layers", sv_human_count(a, info->linear_macs));
    row("precision", "%s", senvec_precision_name(info->precision));
    if (info->wide_layers) {
        row("cosine", "mean %.5f, least %.4f with fp32, as calibration measured it", info->cosine_mean, info->cosine_least);
        if (*info->wide_layers)
            row("wide layers", "%s: in %s, %.0f %% of the work", info->wide_layers, senvec_precision_name(info->wide_precision),
                100 * (double)info->wide_macs / (double)info->linear_macs);
        else
            row("wide layers", "none: int8 holds them all");
    }
    row("ISA tier", "%s", info->tier);
    print_threads(threads, common->threads, machine);
    row("memory", "%s allocated, %s mapped", sv_human_bytes(b, info->memory_bytes), sv_human_bytes(c, info->mapped_bytes));
    for_each_file(info->directory, print_file, &first);
}

static int print_json(const sv_common *common, const senvec_model_info *info, const char *space, size_t threads,
                      const sv_machine *machine) {
    json_t *files = json_object(), *prompts = json_object();
    for (size_t i = 0; i < info->prompt_count; i++)
        json_object_set_new(prompts, info->prompts[i].name, json_string(info->prompts[i].text));
    for_each_file(info->directory, add_file, files);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:s, "
        "s:I, s:s, s:o, s:s?, s:o}",
        "model", common->model, "folder", info->directory, "encoder", info->architecture, "layers", (json_int_t)info->layers,
        "heads", (json_int_t)info->heads, "inner", (json_int_t)info->inner, "vocabulary", (json_int_t)info->vocabulary,
        "parameters", (json_int_t)info->parameters, "dimensions", (json_int_t)info->dimensions, "pooling", info->pooling,
        "normalized", info->normalized, "max_seq_length", (json_int_t)info->max_seq_length, "linear_macs",
        (json_int_t)info->linear_macs, "precision", senvec_precision_name(info->precision), "tier", info->tier, "threads",
        (json_int_t)threads, "online_cpus", (json_int_t)machine->online_cpus, "affinity_cpus",
        (json_int_t)machine->affinity_cpus, "quota_cpus", machine->quota_cpus, "memory_bytes", (json_int_t)info->memory_bytes,
        "mapped_bytes", (json_int_t)info->mapped_bytes, "weights_bytes", (json_int_t)info->weights_bytes, "name", info->name,
        "hidden", (json_int_t)info->hidden, "space_id", space, "prompts", prompts, "default_prompt_name",
        info->default_prompt_name, "files", files);
    if (object) {
        json_object_set_new(object, "task", json_string(senvec_task_name(info->task)));
        json_object_set_new(object, "labels", json_integer((json_int_t)info->labels));
        if (info->wide_layers) {
            json_object_set_new(object, "cosine_mean", json_real(info->cosine_mean));
            json_object_set_new(object, "cosine_least", json_real(info->cosine_least));
            json_object_set_new(object, "wide_layers", json_string(info->wide_layers));
            json_object_set_new(object, "wide_precision", json_string(senvec_precision_name(info->wide_precision)));
            json_object_set_new(object, "wide_macs", json_integer((json_int_t)info->wide_macs));
        }
    }
    if (!object) {
        sv_cli_say("no memory, or a name that isn't UTF-8");
        return SV_EXIT_FAILED;
    }
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
    return SV_EXIT_DONE;
}

int sv_cmd_info(int argc, char **argv) {
    sv_common common = SV_COMMON_DEFAULTS;
    bool json = false;
    const sv_option options[] = {
        SV_OPTION_FLAG(0, "json", &json, "as one JSON object"),
        SV_COMMON_OPTIONS(&common),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "info [OPTION]...",
        .about = "Describes a model, and the precision, instruction set and threads with which it runs here.",
        .options = options,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    senvec_error err;
    senvec_model *model = NULL;
    senvec_session *session = NULL;
    senvec_status status = sv_common_open_model(&common, &model, &err);
    if (status == SENVEC_OK)
        status = sv_common_open_session(&common, model, &session, &err);
    if (status != SENVEC_OK) {
        senvec_model_free(model);
        return sv_cli_fail(&err);
    }
    senvec_model_info info;
    sv_machine machine;
    char space[SENVEC_SPACE_ID_SIZE];
    senvec_model_describe(model, &info);
    if (senvec_model_space_id(model, space, &err) != SENVEC_OK)
        snprintf(space, sizeof space, "unknown");
    sv_machine_describe(&machine);
    size_t threads = senvec_session_threads(session);
    if (json)
        code = print_json(&common, &info, space, threads, &machine);
    else
        print_info(&common, &info, space, threads, &machine);
    senvec_session_free(session);
    senvec_model_free(model);
    return json ? code : SV_EXIT_DONE;
}
