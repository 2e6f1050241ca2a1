/* senvec selftest: a model's vectors or scores beside those that other engines computed with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "hub/hub.h"
#include "hub/registry.h"

/* The registry's entry of a model, by any name that it has; NULL: none. */
static const sv_registry_entry *find_entry(const char *model, const char *directory) {
    const char *const asked[] = {model, directory};
    for (size_t i = 0; i < 2; i++) {
        sv_hub_names names;
        sv_hub_name_model(asked[i], true, &names);
        for (size_t j = 0; j < names.count; j++) {
            const sv_registry_entry *entry = sv_registry_find(names.items[j]);
            if (entry)
                return entry;
        }
    }
    return NULL;
}

/* One reference: computes it and prints a line. Errors: as senvec_embed_with and senvec_score_pairs. */
static senvec_status check(senvec_session *session, const senvec_model_info *info, const sv_reference *reference, float *room,
                           bool *passed, senvec_error *err) {
    const senvec_text text = {reference->text, strlen(reference->text)};
    size_t count = info->dimensions;
    if (reference->passage) {
        const senvec_pair pair = {text, {reference->passage, strlen(reference->passage)}};
        const senvec_score_options how = {.activation = SENVEC_ACTIVATION_NONE};
        count = info->labels;
        SENVEC_TRY(senvec_score_pairs(session, &pair, 1, &how, room, count, NULL, err));
    } else {
        const senvec_embed_options how = {.prompt = ""};
        SENVEC_TRY(senvec_embed_with(session, &text, 1, &how, room, count, NULL, err));
    }
    const sv_verdict verdict = sv_reference_judge(reference, room, count, info->precision);
    const char *shown = reference->passage ? reference->passage : reference->text;
    printf("%-6s %-9s ", verdict.passed ? "ok" : "FAILED", reference->source);
    if (verdict.by_cosine)
        printf("cosine %.5f (least %.2f)", verdict.value, verdict.limit);
    else
        printf("off by %.1e (most %.0e)", verdict.value, verdict.limit);
    printf("  %.33s%s\n", shown, strlen(shown) > 33 ? "..." : "");
    *passed = verdict.passed;
    return SENVEC_OK;
}

static senvec_status check_all(const sv_common *common, const sv_registry_entry *entry, size_t *failed, senvec_error *err) {
    senvec_model *model = NULL;
    senvec_session *session = NULL;
    SENVEC_TRY(sv_common_open_model(common, &model, err));
    senvec_status status = sv_common_open_session(common, model, &session, err);
    senvec_model_info info;
    senvec_model_describe(model, &info);
    float *room = calloc(info.dimensions + info.labels + 1, sizeof *room);
    if (status == SENVEC_OK && !room)
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a vector");
    *failed = 0;
    for (size_t i = 0; status == SENVEC_OK && i < entry->reference_count; i++) {
        bool passed = false;
        status = check(session, &info, &entry->references[i], room, &passed, err);
        *failed += !passed;
    }
    free(room);
    senvec_session_free(session);
    senvec_model_free(model);
    return status;
}

int sv_cmd_selftest(int argc, char **argv) {
    sv_common common = SV_COMMON_DEFAULTS;
    common.precision = SENVEC_PRECISION_FP32;
    const char *as = NULL;
    const sv_option options[] = {
        SV_OPTION_TEXT(0, "as", "NAME", &as, "compare with what is published of this model; else MODEL's\nname decides"),
        SV_OPTION_CHOICE('p', "precision", &common.precision, sv_precision_choices,
                         "arithmetic; fp32 is compared float by float, bf16 and int8 by\ncosine"),
        SV_OPTION_COUNT('t', "threads", "N", &common.threads, 1, SV_MAX_THREADS,
                        "threads; else what CPU quota and affinity allow"),
        SV_OPTION_TEXT(0, "cpu", "MASK", &common.cpu, "instruction sets to use, e.g. ref, avx2, avx512"),
        SV_OPTION_FLAG('q', "quiet", &common.quiet, "no warnings"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "selftest [OPTION]... [MODEL]",
        .about = "Computes a few texts with MODEL (default all-MiniLM-L6-v2) and compares the vectors or\n"
                 "scores with those that other engines published. One line a check; the exit code is 1\n"
                 "when one fails, or when there is nothing to compare with.",
        .options = options,
        .most_operands = 1,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    if (operands.count > 0)
        common.model = operands.items[0];
    char directory[SV_MAX_PATH];
    senvec_error err;
    if (sv_hub_resolve(common.model, directory, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    const sv_registry_entry *entry = as ? sv_registry_find(as) : find_entry(common.model, directory);
    if (as && !entry)
        return sv_cli_usage_error("--as %s: no such model; 'senvec models' lists them", as);
    if (!entry || entry->reference_count == 0) {
        sv_cli_say("%s: no published vectors are known of it, so nothing was compared%s", as ? as : common.model,
                   entry ? "" : "; --as NAME says which model it is");
        return SV_EXIT_FAILED;
    }
    size_t failed;
    if (check_all(&common, entry, &failed, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    if (failed == 0)
        return SV_EXIT_DONE;
    fflush(stdout);
    sv_cli_say("%s: %zu of %zu checks failed; fetch it again, or report it with what 'senvec doctor' prints", common.model,
               failed, entry->reference_count);
    return SV_EXIT_FAILED;
}
