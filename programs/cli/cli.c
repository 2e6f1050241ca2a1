/* Messages and signals.
 *
 * A signal ends the program from inside of its handler: embedding a batch or reading a terminal can take long, and a flag that
 * is looked at between batches would leave Ctrl-C unanswered. What it needs (readlink, unlink, write, _exit) is allowed there.
 */
#include "cli/cli.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "common/file.h"
#include "system/temporary.h"

static const char *command_name;

void sv_cli_set_command(const char *name) {
    command_name = name;
}

static void say(const char *format, va_list arguments) {
    char line[1200];
    int length = vsnprintf(line, sizeof line, format, arguments);
    if (length < 0)
        return;
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    sv_progress_clear();
    fprintf(stderr, "senvec%s%s: %s\n", command_name ? " " : "", command_name ? command_name : "", line);
}

void sv_cli_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

int sv_cli_usage_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    return SV_EXIT_USAGE;
}

int sv_cli_fail(const senvec_error *err) {
    sv_cli_say("%s", err->message);
    return err->code == SENVEC_INVALID_ARGUMENT ? SV_EXIT_USAGE : SV_EXIT_FAILED;
}

static void leave(int signal) {
    sv_atomic_files_remove();
    sv_progress_clear_in_signal();
    _exit(128 + signal);
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

bool sv_cli_takes_signal(int signal) {
    struct sigaction inherited;
    return sigaction(signal, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN;
}

/* `flags` of sigaction. */
static void install(void (*handler)(int), int flags) {
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
        if (!sv_cli_takes_signal(ending[i]))
            continue;
        sigfillset(&action.sa_mask);
        sigaction(ending[i], &action, NULL);
    }
}

void sv_cli_on_signal(void (*handler)(int)) {
    install(handler, SA_RESETHAND | SA_RESTART);
}

void sv_cli_catch_signals(void) {
    install(leave, 0);
    signal(SIGPIPE, SIG_IGN);
}

static void *json_memory(size_t size) {
    void *block = malloc(size);
    if (block)
        return block;
    sv_cli_say("JSON: %zu bytes could not be allocated; free memory", size);
    sv_atomic_files_remove();
    sv_temporary_folders_remove();
    _exit(SV_EXIT_FAILED);
}

void sv_cli_guard_json(void) {
    json_set_alloc_funcs(json_memory, free);
}
