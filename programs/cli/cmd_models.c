/* senvec models: the registry, and which of it is in a cache. */
#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "hub/hub.h"
#include "hub/registry.h"

/* The folder of an entry in a cache, or NULL. */
static const char *find(const sv_registry_entry *entry, char directory[SV_MAX_PATH]) {
    return sv_hub_resolve(entry->name, directory, NULL) == SENVEC_OK ? directory : NULL;
}

/* "" for what isn't known. */
static const char *figure(char out[SV_HUMAN], size_t value) {
    if (value)
        snprintf(out, SV_HUMAN, "%zu", value);
    else
        out[0] = 0;
    return out;
}

/* 79 columns. */
static void print_rows(const sv_registry_entry *entries, size_t count, senvec_task task, const char *title) {
    printf("%-44s %-5s %5s %6s %8s %6s\n", title, "lang", "dim", "tokens", "size", "int8");
    for (size_t i = 0; i < count; i++) {
        const sv_registry_entry *entry = &entries[i];
        char directory[SV_MAX_PATH], dimensions[SV_HUMAN], length[SV_HUMAN], size[SV_HUMAN] = "", cosine[SV_HUMAN] = "";
        if (entry->task != task)
            continue;
        if (entry->bytes)
            sv_human_bytes(size, entry->bytes);
        if (entry->int8_mean > 0)
            snprintf(cosine, sizeof cosine, "%.4f", entry->int8_mean);
        printf("%c %-42s %-5s %5s %6s %8s %6s\n", find(entry, directory) ? '*' : ' ', entry->name,
               entry->languages ? entry->languages : "", figure(dimensions, entry->dimensions), figure(length, entry->length),
               size, cosine);
    }
}

static json_t *text_or_null(const char *text) {
    return text ? json_string(text) : json_null();
}

static json_t *count_or_null(uint64_t value) {
    return value ? json_integer((json_int_t)value) : json_null();
}

static json_t *describe(const sv_registry_entry *entry) {
    char directory[SV_MAX_PATH];
    json_t *pins = json_object();
    for (size_t i = 0; entry->files.pins[i].file; i++)
        json_object_set_new(pins, entry->files.pins[i].file, json_string(entry->files.pins[i].sha256));
    json_t *cosine =
        entry->int8_mean > 0 ? json_pack("{s:f, s:f}", "mean", entry->int8_mean, "least", entry->int8_least) : json_null();
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:I, s:o}", "name", entry->name, "task",
                     senvec_task_name(entry->task), "languages", text_or_null(entry->languages), "dimensions",
                     count_or_null(entry->dimensions), "max_seq_length", count_or_null(entry->length), "licence",
                     text_or_null(entry->licence), "weights_bytes", count_or_null(entry->bytes), "revision",
                     text_or_null(entry->revision), "sha256", pins, "prompts", "query", text_or_null(entry->query_prompt),
                     "document", text_or_null(entry->document_prompt), "int8_cosine", cosine, "published_results",
                     (json_int_t)entry->reference_count, "folder", text_or_null(find(entry, directory)));
}

static int print_json(const sv_registry_entry *entries, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, describe(&entries[i])) != 0) {
            json_decref(array);
            sv_cli_say("no memory for the list");
            return SV_EXIT_FAILED;
        }
    json_dumpf(array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(array);
    return SV_EXIT_DONE;
}

int sv_cmd_models(int argc, char **argv) {
    bool json = false;
    const sv_option options[] = {
        SV_OPTION_FLAG(0, "json", &json, "as a JSON array, with licences, prompts, revisions and digests"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "models [OPTION]...",
        .about = "Lists the models that senvec knows by name; '*' marks those that are in a cache.",
        .options = options,
        .notes = "Unknown values are left empty. size is the size of the weights; int8 is the mean cosine\n"
                 "of int8 vectors with PyTorch's, if it was measured. Other models of the same\n"
                 "architectures work as well: 'senvec pull ORG/NAME'.",
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    size_t count;
    const sv_registry_entry *entries = sv_registry_entries(&count);
    if (json)
        return print_json(entries, count);
    print_rows(entries, count, SENVEC_TASK_EMBEDDING, "Embedding");
    putchar('\n');
    print_rows(entries, count, SENVEC_TASK_RERANKER, "Rerankers");
    return SV_EXIT_DONE;
}
